//! The planner for fleets: 300 posts on 120 accounts, by itself and asked for over GraphQL.

use std::sync::Arc;

use api::app::App;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use domain::{
    accounts::model::{App as PlatformApp, TokenSecrets, TokenTerms, Tokens},
    content::model::{MediaFacts, Piece, Probed, Upload, UploadDraft, UploadState, VideoFacts},
    kernel::{
        clock::{Clock as _, Timestamp},
        ids::{AccountId, ComplianceId, UploadId},
        outbox::Origin,
        scope::TenantScope,
        secret::Secret,
    },
    publishing::model::{Fleet, FleetAccount},
};
use harness::{client::Client, stores::HarnessError};
use infra::system::System;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    goals::{Goal, number},
    installation::Installation,
    machine::Watched,
    rounds::{ROUNDS, Rounds, median, order},
    seed::{Owner, TENANTS, account, plan, platform_app, post, sign_in},
    table::Table,
};

/// Accounts.
const ACCOUNTS: usize = 120;
/// Posts that are to be placed.
const ITEMS: usize = 300;
/// Files, each on as many accounts as makes [`ITEMS`].
const FILES: usize = 60;
/// Posts that every account has already.
const TAKEN: i64 = 4;
/// Days that are planned.
const DAYS: i64 = 7;
/// Calls of each kind in a round.
const CALLS: usize = 20;
/// Least minutes between two posts of an account.
const SPACING_MINUTES: i64 = 60;

const QUERY: &str = "query ($input: FleetPlanInput!) { fleetPlan(input: $input) { \
                     placements { uploadId accountId plannedAt } unplaced { uploadId count reason } \
                     capacities { accountId places reason } endsAt } }";

/// What the planner is asked by itself.
const CASES: [(&str, Case); 4] = [
    ("60 contents on 5 accounts each, all accounts fit", Case { contents: 60, fit: ACCOUNTS, per_day: 75 }),
    ("300 contents on 1 account each, all accounts fit", Case { contents: 300, fit: ACCOUNTS, per_day: 75 }),
    ("300 contents on 1 account each, 3 accounts fit", Case { contents: 300, fit: 3, per_day: 1 }),
    ("60 contents on 5 accounts each, 4 accounts fit", Case { contents: 60, fit: 4, per_day: 75 }),
];

#[derive(Clone, Copy, Debug)]
struct Case {
    contents: usize,
    /// Accounts that each content may go on.
    fit: usize,
    /// Posts of an account on one day, at most.
    per_day: u32,
}

/// Measures the planner and the query, and tells of them.
///
/// # Errors
/// The product refused, or placed other than it must.
pub(crate) async fn run(
    installation: &Installation,
    app: &Arc<App>,
) -> Result<(Vec<Table>, Vec<Goal>), HarnessError> {
    let owner = sign_in(app, TENANTS.start).await?;
    let now = System.now();
    let uploads = fill(app, &owner, now).await?;
    let running = Box::pin(installation.serve()).await?;
    let watched = installation.target(Some(&running))?.watched;
    let asked = asked(&uploads, now);
    let query = Query {
        client: &running.client,
        owner: &owner,
        asked,
        watched: Watched { server: running.service().pid, ..watched },
    };
    let found = Box::pin(measure(&query, now)).await;
    let log = running.stop().await?;
    Ok(told(found.map_err(|error| format!("{error}\n{log}"))?))
}

/// Milliseconds of one kind of call: in the middle of each round, and the slowest.
#[derive(Default)]
struct Times {
    middle: Vec<f64>,
    slowest: Vec<f64>,
    foreign_cores: f64,
    note: String,
}

async fn measure(query: &Query<'_>, now: Timestamp) -> Result<Vec<Times>, HarnessError> {
    let fleets: Vec<Fleet> = CASES.iter().map(|(_, case)| fleet(case, now)).collect();
    let mut all: Vec<Times> = (0..fleets.len() + 2).map(|_| Times::default()).collect();
    query.plan().await?;
    for round in 0..ROUNDS {
        for at in order(round, all.len()) {
            let mut times = Vec::with_capacity(CALLS);
            let before = query.watched.usage()?;
            for _ in 0..CALLS {
                let began = Instant::now();
                all[at].note = match fleets.get(at) {
                    Some(fleet) => place(fleet)?,
                    None if at == fleets.len() => query.plan().await?,
                    None => query.nothing().await?,
                };
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
            let spent = query.watched.usage()?.since(&before);
            all[at].slowest.push(times.iter().copied().fold(0.0, f64::max));
            all[at].middle.push(median(times));
            all[at].foreign_cores = all[at].foreign_cores.max(spent.foreign_cores);
        }
    }
    Ok(all)
}

/// Places a fleet; how many found a place.
fn place(fleet: &Fleet) -> Result<String, HarnessError> {
    let planned = std::hint::black_box(fleet).place();
    let placed = planned.placements.iter().flatten().count();
    if planned.placements.len() == ITEMS && placed > 0 {
        Ok(format!("{placed} of {ITEMS} placed"))
    } else {
        Err("nothing was placed".into())
    }
}

fn fleet(case: &Case, now: Timestamp) -> Fleet {
    let account = |number: usize| FleetAccount {
        until: now + TimeDelta::days(30),
        per_day: case.per_day,
        day_ahead: TimeDelta::hours(8),
        taken: taken(number, now).collect(),
        more_today: u32::from(number.is_multiple_of(3)),
    };
    Fleet {
        items: (0..ITEMS).map(|item| item % case.contents).collect(),
        contents: (0..case.contents)
            .map(|content| {
                let mut fit: Vec<_> =
                    (0..case.fit).map(|step| (content * 7 + step * 11) % ACCOUNTS).collect();
                fit.sort_unstable();
                fit.dedup();
                fit
            })
            .collect(),
        accounts: (0..ACCOUNTS).map(account).collect(),
        now,
        from: now,
        until: now + TimeDelta::days(DAYS),
        spacing: TimeDelta::minutes(SPACING_MINUTES),
    }
}

/// When an account has posts already: some a day apart, at another time for each account.
fn taken(account: usize, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let minutes = i64::try_from(account).unwrap_or_default() * 11;
    (0..TAKEN).map(move |day| now + TimeDelta::days(day) + TimeDelta::minutes(minutes))
}

/// The query, and who asks it.
struct Query<'a> {
    client: &'a Client,
    owner: &'a Owner,
    asked: Value,
    watched: Watched,
}

impl Query<'_> {
    async fn plan(&self) -> Result<String, HarnessError> {
        let variables = json!({ "input": self.asked });
        let answer = self.client.graphql(&self.owner.token, QUERY, variables).await?;
        let plan = answer.data("fleetPlan");
        let length = |name: &str| plan[name].as_array().map(Vec::len);
        let found = (length("placements"), length("unplaced"), length("capacities"));
        if answer.body["errors"].is_null() && found == (Some(ITEMS), Some(0), Some(ACCOUNTS)) {
            Ok(format!("{ITEMS} of {ITEMS} placed"))
        } else {
            Err(format!("fleetPlan answered another thing: {} {}", answer.status, answer.body).into())
        }
    }

    async fn nothing(&self) -> Result<String, HarnessError> {
        let answer = self.client.graphql(&self.owner.token, "{ __typename }", json!({})).await?;
        if answer.data("__typename").is_string() { Ok("floor".to_owned()) } else { Err("no answer".into()) }
    }
}

fn asked(uploads: &[UploadId], now: Timestamp) -> Value {
    let global = |id: &UploadId| URL_SAFE_NO_PAD.encode(format!("upload:{}", id.uuid().simple()));
    let item = |id| json!({ "uploadId": global(id), "count": ITEMS / FILES });
    json!({
        "items": uploads.iter().map(item).collect::<Vec<_>>(),
        "from": now.to_rfc3339(),
        "until": (now + TimeDelta::days(DAYS)).to_rfc3339(),
        "spacingMinutes": SPACING_MINUTES,
    })
}

/// Accounts that can be posted for, with posts they have already, and files that can be posted, through the product's own
/// stores.
async fn fill(app: &App, owner: &Owner, now: Timestamp) -> Result<Vec<UploadId>, HarnessError> {
    let origin = Origin::system(ComplianceId::new(&System), "fleet");
    let mut work = app.units.begin(TenantScope::of(owner.tenant), &origin).await?;
    let platform = platform_app(now)?;
    work.add_app(&platform, &Secret::from("secret of the app".to_owned())).await?;
    let plan = plan(now);
    work.add_plan(&plan).await?;
    for number in 0..ACCOUNTS {
        let account = account(AccountId::new(&System), u32::try_from(number)?, &platform, now);
        work.add_account(&account).await?;
        work.put_tokens(&tokens(account.id, number, &platform, now)).await?;
        let posts: Vec<_> = taken(number, now).map(|at| post(&plan, account.id, at)).collect();
        work.add_posts(&posts).await?;
    }
    let mut ids = Vec::with_capacity(FILES);
    for number in 0..FILES {
        let upload = upload(number, now)?;
        work.add_upload(&upload).await?;
        ids.push(upload.id);
    }
    work.commit().await?;
    Ok(ids)
}

fn tokens(account: AccountId, number: usize, app: &PlatformApp, now: Timestamp) -> Tokens {
    let terms = TokenTerms {
        scopes: app.scopes.clone(),
        consented_at: now,
        access_issued_at: now,
        access_expires_at: now + TimeDelta::days(15),
        refresh_expires_at: Some(now + TimeDelta::days(30)),
        refresh_life_s: 30 * 86_400,
        renewals_used: 0,
        renewals_max: 5,
        renewing_since: None,
        refreshed_at: now,
        last_error: None,
        failures: 0,
        version: 1,
    };
    let secrets = TokenSecrets {
        access: Secret::from(format!("act.{number}")),
        refresh: Some(Secret::from(format!("rft.{number}"))),
    };
    Tokens { account, app: app.id, terms, secrets }
}

/// A file as it is when it was verified and looked at.
fn upload(number: usize, now: Timestamp) -> Result<Upload, HarnessError> {
    let draft = UploadDraft {
        name: format!("{number}.mp4"),
        media_type: "video/mp4".to_owned(),
        size_bytes: 1_000_000,
        ..UploadDraft::default()
    };
    let video = VideoFacts {
        codec: "h264".to_owned(),
        width: 1_080,
        height: 1_920,
        frame_rate_milli: 30_000,
        pixel_format: Some("yuv420p".to_owned()),
    };
    let media =
        MediaFacts { container: "mp4".to_owned(), duration_ms: 15_000, video: Some(video), audio: None };
    Ok(Upload {
        received_bytes: 1_000_000,
        parts: 1,
        state: UploadState::Ready,
        digest: Some([7; 32]),
        probed: Some(Probed::Media(media)),
        ..Upload::begin(UploadId::new(&System), Piece::Whole, draft, None, now)?
    })
}

fn told(all: Vec<Times>) -> (Vec<Table>, Vec<Goal>) {
    let head = &["asked", "ms", "slowest ms", "others' cores", "reached"];
    let mut table = Table::new("The fleet planner: 300 posts on 120 accounts, a week", head);
    let over = ["`fleetPlan` over GraphQL: 60 files on 5 accounts each", "`{ __typename }`"];
    let names = CASES.iter().map(|(name, _)| format!("planner: {name}"));
    let names = names.chain(over.into_iter().map(ToOwned::to_owned));
    let mut goals = Vec::new();
    for (at, (name, times)) in names.zip(all).enumerate() {
        let slowest = Rounds(times.slowest);
        table.row(vec![
            name,
            Rounds(times.middle).told(""),
            number(slowest.of_three()[2], ""),
            format!("{:.1}", times.foreign_cores),
            times.note,
        ]);
        if at == CASES.len() {
            let goal = "the slowest `fleetPlan` of 300 posts on 120 accounts";
            goals.push(Goal::at_most(goal, "ms", [1_000.0, 1_000.0], slowest));
        }
    }
    (vec![table], goals)
}
