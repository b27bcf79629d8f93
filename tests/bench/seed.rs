//! What the installation is filled with: tenants and members through the product's own stores, because their columns are
//! sealed; sessions by SQL.
//!
//! Ids are numbers written as UUIDs, so that a script can name any member without asking: tenant `t` (10 to 59) has the
//! members `1000 t` to `1000 t + 199`, the first of them its owner.

use std::{ops::Range, time::Duration};

use api::app::App;
use domain::{
    accounts::model::{Account, AccountState, App as PlatformApp, AppState, Profile},
    identity::{
        OpenTenant, SignIn, SignInOutcome,
        model::{EmailAddress, Member, MemberStatus, Slug, Tenant},
    },
    kernel::{
        actor::Role,
        clock::{Clock as _, Timestamp},
        ids::{AccountId, AppId, ComplianceId, MemberId, PlanId, PostId, TenantId, UploadId},
        outbox::Origin,
        platform::PlatformKey,
        scope::TenantScope,
        secret::Secret,
    },
    publishing::model::{Plan, Post, PostDraft, Visibility},
};
use harness::stores::HarnessError;
use infra::system::System;
use sqlx::{Executor as _, PgConnection};
use uuid::Uuid;

/// Numbers of the tenants.
pub(crate) const TENANTS: Range<u32> = 10..60;
/// Members of each.
pub(crate) const MEMBERS: u32 = 200;
/// Accounts of every tenant but the first, where [`add_accounts`] is asked for them.
const ACCOUNTS: u32 = 100;
/// Posts of each.
const POSTS: u32 = 20;
/// Everybody's password.
const PASSWORD: &str = "correct horse battery staple";

/// Sessions of every member, those of one member apart from each other as they are when made over weeks.
const SESSIONS: &str = "
    INSERT INTO identity.sessions
        (tenant_id, id, member_id, created_at, last_seen_at, expires_at, device, mfa)
    SELECT m.tenant_id, gen_random_uuid(), m.id, now() - make_interval(days => 6 - n),
           now() - interval '1 hour', now() + interval '80 days', md5(m.id::text || n), 'not_enrolled'
    FROM generate_series(1, 5) AS n, identity.members AS m
    ORDER BY n, m.tenant_id, m.id";

/// An owner who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) token: String,
    pub(crate) tenant: TenantId,
}

/// The tenant of that number.
///
/// # Errors
/// The number is not one of [`TENANTS`].
pub(crate) fn tenant(number: u32) -> Result<TenantId, HarnessError> {
    Ok(TenantId::from_uuid(Uuid::parse_str(&format!("00000000-0000-4000-8000-0000000000{number}"))?))
}

fn member(number: u32) -> Result<MemberId, HarnessError> {
    Ok(MemberId::from_uuid(numbered('a', number)?))
}

/// An id that scripts can make up too; `number` has five digits.
fn numbered(kind: char, number: u32) -> Result<Uuid, HarnessError> {
    Ok(Uuid::parse_str(&format!("00000000-0000-4000-{kind}000-0000000{number}"))?)
}

/// Fills the installation and signs every owner in.
///
/// # Errors
/// A store did not answer.
pub(crate) async fn fill(app: &App, superuser: &mut PgConnection) -> Result<Vec<Owner>, HarnessError> {
    let password_hash = password_hash(app).await?;
    for number in TENANTS {
        add_tenant(app, number, &password_hash).await?;
    }
    superuser.execute(SESSIONS).await?;
    let mut owners = Vec::new();
    for number in TENANTS {
        owners.push(sign_in(app, number).await?);
    }
    superuser.execute("VACUUM (ANALYZE)").await?;
    superuser.execute("CHECKPOINT").await?;
    Ok(owners)
}

/// Gives every tenant but the first, which parts fill by themselves, accounts with posts that wait for nobody's work, and
/// gives the owners of those tenants.
///
/// # Errors
/// A store did not answer.
pub(crate) async fn add_accounts<'o>(
    app: &App,
    owners: &'o [Owner],
    superuser: &mut PgConnection,
) -> Result<&'o [Owner], HarnessError> {
    let owners = owners.get(1..).unwrap_or_default();
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM accounts.accounts)")
        .fetch_one(&mut *superuser)
        .await?;
    if there {
        return Ok(owners);
    }
    for (number, owner) in TENANTS.skip(1).zip(owners) {
        let now = System.now();
        let mut work = app.units.begin(TenantScope::of(owner.tenant), &origin("seed")).await?;
        let platform = platform_app(now)?;
        work.add_app(&platform, &Secret::from("secret of the app".to_owned())).await?;
        let plan = plan(now);
        work.add_plan(&plan).await?;
        let mut posts = Vec::new();
        for at in 0..ACCOUNTS {
            let id = AccountId::from_uuid(numbered('b', number * 1_000 + at)?);
            let account = Account { created_at: joined(now, at), ..account(id, at, &platform, now) };
            work.add_account(&account).await?;
            let hour = |nth: u32| now + Duration::from_secs(u64::from(nth * 3_600 + at));
            posts.extend((0..POSTS).map(|nth| post(&plan, id, hour(nth))));
        }
        work.add_posts(&posts).await?;
        work.commit().await?;
    }
    superuser.execute("VACUUM (ANALYZE)").await?;
    superuser.execute("CHECKPOINT").await?;
    Ok(owners)
}

/// A registration on a platform.
///
/// # Errors
/// Never in practice: the name is ours.
pub(crate) fn platform_app(now: Timestamp) -> Result<PlatformApp, HarnessError> {
    let scopes = ["user_info", "video.create.bind", "video.list.bind"];
    Ok(PlatformApp {
        id: AppId::new(&System),
        platform: PlatformKey::parse("douyin").map_err(|_| "the platform has another name")?,
        name: "Bench".to_owned(),
        client_key: "aw-bench".to_owned(),
        scopes: scopes.map(ToOwned::to_owned).to_vec(),
        scopes_off: Vec::new(),
        state: AppState::Active,
        created_at: now,
        version: 1,
    })
}

/// An account that can be posted for.
pub(crate) fn account(id: AccountId, number: u32, app: &PlatformApp, now: Timestamp) -> Account {
    Account {
        id,
        app: app.id,
        platform: app.platform.clone(),
        open_id: format!("open-{number}"),
        profile: Profile { nickname: format!("Account {number}"), ..Profile::default() },
        group: None,
        tags: Vec::new(),
        state: AccountState::Connected,
        paused: None,
        created_at: now,
        version: 1,
    }
}

/// A plan of a file that is not there.
pub(crate) fn plan(now: Timestamp) -> Plan {
    let (id, upload) = (PlanId::new(&System), UploadId::new(&System));
    Plan { id, name: "Bench".to_owned(), upload, planned_by: None, created_at: now }
}

/// A post that waits for nobody's work, and has its place in the calendar.
pub(crate) fn post(plan: &Plan, account: AccountId, planned_at: Timestamp) -> Post {
    let draft = PostDraft {
        upload: plan.upload,
        caption: "A caption as long as captions are, with a #word or two".to_owned(),
        cover_at_ms: None,
        visibility: Visibility::Public,
    };
    Post::new(PostId::new(&System), (plan.id, account), draft, planned_at, plan.created_at)
}

fn origin(operation: &str) -> Origin {
    Origin::system(ComplianceId::new(&System), operation)
}

/// The password, hashed once and for all: through the front door, of a tenant that is not measured.
async fn password_hash(app: &App) -> Result<String, HarnessError> {
    let draft = OpenTenant {
        slug: "bench-first".to_owned(),
        name: "First".to_owned(),
        owner_email: "owner@first.example".to_owned(),
        owner_name: "Owner".to_owned(),
        owner_password: Secret::from(PASSWORD.to_owned()),
    };
    let opened = app.identity.open_tenant(&origin("open_tenant"), draft).await?;
    let mut work = app.units.begin(TenantScope::of(opened.tenant), &origin("member")).await?;
    let owner = work.member(opened.owner).await?.ok_or("the tenant has no owner")?;
    Ok(owner.password_hash)
}

async fn add_tenant(app: &App, number: u32, password_hash: &str) -> Result<(), HarnessError> {
    let id = tenant(number)?;
    let now = System.now();
    let mut work = app.units.begin(TenantScope::of(id), &origin("seed")).await?;
    work.add_tenant(&Tenant::open(id, Slug::parse(&slug(number))?, &slug(number), now)?).await?;
    for at in 0..MEMBERS {
        let role = if at == 0 { Role::Owner } else { Role::Operator };
        let made = Member {
            id: member(number * 1_000 + at)?,
            email: EmailAddress::parse(&email(number, at))?,
            name: format!("Member {at}"),
            role,
            status: MemberStatus::Active,
            password_hash: password_hash.to_owned(),
            totp: None,
            created_at: joined(now, at),
            version: 1,
        };
        work.add_member(&made).await?;
    }
    Ok(work.commit().await?)
}

/// One after another, so that the oldest twenty are the first twenty.
fn joined(now: Timestamp, at: u32) -> Timestamp {
    now - Duration::from_secs(u64::from(30 * 86_400 - at))
}

/// Signs the owner of that tenant in: a token is good for a quarter of an hour.
///
/// # Errors
/// It was refused.
pub(crate) async fn sign_in(app: &App, number: u32) -> Result<Owner, HarnessError> {
    let tenant = tenant(number)?;
    let input = SignIn {
        tenant: slug(number),
        email: email(number, 0),
        password: Secret::from(PASSWORD.to_owned()),
        second_factor: None,
    };
    match app.identity.sign_in(Some(TenantScope::of(tenant)), &origin("sign_in"), input).await? {
        SignInOutcome::SignedIn(pair) => {
            Ok(Owner { token: pair.access_token.expose_str().unwrap_or_default().to_owned(), tenant })
        }
        SignInOutcome::SecondFactorNeeded | SignInOutcome::Refused => {
            Err(format!("the owner of tenant {number} was refused").into())
        }
    }
}

fn slug(tenant: u32) -> String {
    format!("bench-{tenant}")
}

fn email(tenant: u32, at: u32) -> String {
    format!("member-{at}@bench-{tenant}.example")
}
