//! What the installation is filled with: tenants and members through the product's own stores, because their columns are
//! sealed; sessions by SQL.
//!
//! Ids are numbers written as UUIDs, so that a script can name any member without asking: tenant `t` (10 to 59) has the
//! members `1000 t` to `1000 t + 199`, the first of them its owner.

use std::{ops::Range, time::Duration};

use api::app::App;
use domain::{
    identity::{
        OpenTenant, SignIn, SignInOutcome,
        model::{EmailAddress, Member, MemberStatus, Slug, Tenant},
    },
    kernel::{
        actor::Role,
        clock::{Clock as _, Timestamp},
        ids::{ComplianceId, MemberId, TenantId},
        outbox::Origin,
        scope::TenantScope,
        secret::Secret,
    },
};
use harness::stores::HarnessError;
use infra::system::System;
use sqlx::{Executor as _, PgConnection};
use uuid::Uuid;

/// Numbers of the tenants.
pub(crate) const TENANTS: Range<u32> = 10..60;
/// Members of each.
pub(crate) const MEMBERS: u32 = 200;
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
    Ok(MemberId::from_uuid(Uuid::parse_str(&format!("00000000-0000-4000-a000-0000000{number}"))?))
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
