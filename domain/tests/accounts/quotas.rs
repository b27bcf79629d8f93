//! What was used of quotas, and how calls to platforms go: who sees it, and what planning makes of it.

use chrono::TimeDelta;
use domain::{
    accounts::model::{
        LATENCY_PLACES, LineReport, LineState, ProcessReport, QuotaSpan, QuotaTally, QuotaUse,
    },
    kernel::{clock::Clock as _, ids::AppId, platform::PlatformKey},
};
use uuid::Uuid;

use crate::world::World;

fn today(world: &World) -> QuotaSpan {
    let begins_at = world.clock.now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    QuotaSpan { begins_at, ends_at: begins_at + TimeDelta::days(1) }
}

#[test]
fn posts_count_against_their_day_and_what_the_platform_says_counts_most() {
    let world = World::new();
    let account = world.account(world.link("o1"));
    let span = today(&world);
    let used = |done, used_up_at| QuotaUse {
        quota: "posts".to_owned(),
        begins_at: span.begins_at,
        tally: QuotaTally { answered: done, done, unsure: 0, used_up_at },
    };
    let posts = || {
        world.command(async |tx| {
            let used = world.accounts.posts_used(tx, &[&account]).await?;
            Ok(used.get(&account.id).copied())
        })
    };
    let nothing = posts().expect("read").expect("counted by the platform");
    assert_eq!((nothing.used, nothing.day), (0, span));
    world.store.change(world.scope, |rows| rows.quotas.push((account.id, used(1, None))));
    let one = posts().expect("read").expect("counted by the platform");
    assert_eq!((one.at(span.begins_at), one.at(span.ends_at)), (1, 0), "of its day alone");
    // Its owner posted by hand, and the platform said so with a refusal.
    world.store.change(world.scope, |rows| rows.quotas.push((account.id, used(0, Some(world.clock.now())))));
    assert_eq!(posts().expect("read").expect("counted by the platform").used, 2);
    world.wait(TimeDelta::days(1));
    assert_eq!(posts().expect("read").expect("counted by the platform").used, 0, "another day");
}

#[test]
fn an_accounts_quotas_are_its_own() {
    let world = World::new();
    let [one, other] = ["o1", "o2"].map(|open_id| world.account(world.link(open_id)));
    let tally = QuotaTally { answered: 1, done: 1, unsure: 0, used_up_at: None };
    let used = QuotaUse { quota: "posts".to_owned(), begins_at: today(&world).begins_at, tally };
    world.store.change(world.scope, |rows| rows.quotas.push((one.id, used)));
    let asked = [other.clone(), one.clone()];
    let all = world.command(async |tx| world.accounts.quotas_of(tx, &world.owner, &asked).await);
    let used: Vec<_> = all.expect("read").iter().map(|quotas| quotas[0].used()).collect();
    assert_eq!(used, [Some(0), Some(1)]);
    // No quota of this platform is an app's.
    let app = world.rows().apps[&world.app].0.clone();
    let shared = world.command(async |tx| world.accounts.quotas_of_app(tx, &world.owner, &app).await);
    assert!(shared.expect("read").is_empty());
}

#[test]
fn what_can_not_be_asked_is_not_known() {
    let world = World::new();
    let health = || {
        world.command(async |tx| world.accounts.platform_health(tx, &world.owner).await).expect("answered")
    };
    let away = health();
    assert_eq!((away.is_known, away.state()), (false, None));
    world.health.say(Some(Vec::new()));
    assert_eq!((health().is_known, health().state()), (true, None), "nobody says anything");
    let line = LineReport {
        platform: PlatformKey::parse("memory").expect("a name"),
        app: AppId::from_uuid(Uuid::nil()),
        endpoint: "publish".to_owned(),
        state: LineState::Closed,
        open_until: None,
        calls: 0,
        failed: 0,
        took: [0; LATENCY_PLACES],
        waiting: 0,
    };
    let report = ProcessReport { process: Uuid::nil(), as_of: world.clock.now(), lines: vec![line] };
    world.health.say(Some(vec![report]));
    assert_eq!(health().state(), Some(LineState::Closed));
}
