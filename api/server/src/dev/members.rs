//! The two demo tenants, each with a member of every role.

use std::{collections::BTreeMap, path::Path};

use api::app::App;
use domain::{
    identity::{AcceptInvitation, OpenTenant, SignIn, SignInOutcome, TokenPair},
    kernel::{
        actor::{Actor, Principal, Role},
        ids::{ComplianceId, Entropy as _, TenantId},
        outbox::Origin,
        secret::Secret,
    },
};
use infra::system::System;
use serde::Serialize;
use uuid::Uuid;

use super::report::write_private;
use crate::wiring::StartupError;

/// Public names of the demo tenants.
const TENANTS: [(&str, &str); 2] = [("aurora", "Aurora Media"), ("borealis", "Borealis Studio")];

/// A member of a demo tenant, as `dev.json` has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoMember {
    /// The role held.
    pub role: &'static str,
    /// The address signed in with.
    pub email: String,
    /// The password.
    pub password: String,
    /// A fresh access token.
    pub access_token: String,
}

/// A demo tenant, as `dev.json` has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoTenant {
    /// Its id.
    pub id: Uuid,
    /// Its public name.
    pub slug: &'static str,
    /// A member of every role.
    pub members: Vec<DemoMember>,
}

/// Finds or makes the demo tenants, and signs every member in. Passwords are kept in `dir`, for the next start.
pub(super) async fn ensure(app: &App, dir: &Path) -> Result<Vec<DemoTenant>, StartupError> {
    let file = dir.join("members.json");
    let mut passwords: BTreeMap<String, String> = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => BTreeMap::new(),
    };
    for (slug, _) in TENANTS {
        for role in Role::ALL {
            if let std::collections::btree_map::Entry::Vacant(slot) = passwords.entry(email_of(slug, role)) {
                slot.insert(password()?);
            }
        }
    }
    // Before any member is made: a member whose password is lost could not be signed in again.
    write_private(&file, &serde_json::to_vec_pretty(&passwords)?)?;
    let mut tenants = Vec::new();
    for (slug, name) in TENANTS {
        tenants.push(ensure_tenant(app, slug, name, &passwords).await?);
    }
    Ok(tenants)
}

fn email_of(slug: &str, role: Role) -> String {
    format!("{}@{slug}.example", role.as_str())
}

fn password() -> Result<String, std::fmt::Error> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in &System.bytes32()[..12] {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

fn origin(app: &App, operation: &str) -> Origin {
    Origin::system(ComplianceId::new(&*app.ids), operation)
}

async fn ensure_tenant(
    app: &App,
    slug: &'static str,
    name: &str,
    passwords: &BTreeMap<String, String>,
) -> Result<DemoTenant, StartupError> {
    let secret = |email: &str| Secret::from(passwords.get(email).cloned().unwrap_or_default());
    let tenant = if let Some(scope) = app.identity.find_tenant(slug).await? {
        scope.tenant()
    } else {
        let email = email_of(slug, Role::Owner);
        let draft = OpenTenant {
            slug: slug.to_owned(),
            name: name.to_owned(),
            owner_password: secret(&email),
            owner_email: email,
            owner_name: "Owner".to_owned(),
        };
        app.identity.open_tenant(&origin(app, "open_tenant"), draft).await?.tenant
    };
    let mut members = Vec::new();
    for role in Role::ALL {
        let email = email_of(slug, role);
        let mut pair = sign_in(app, slug, &email, secret(&email)).await?;
        if pair.is_none() {
            join(app, tenant, &email, role, secret(&email)).await?;
            pair = sign_in(app, slug, &email, secret(&email)).await?;
        }
        let pair = pair.ok_or_else(|| format!("{email} can't sign in: start again with --fresh"))?;
        members.push(DemoMember {
            role: role.as_str(),
            password: passwords.get(&email).cloned().unwrap_or_default(),
            email,
            access_token: pair.access_token.expose_str().unwrap_or_default().to_owned(),
        });
    }
    Ok(DemoTenant { id: tenant.uuid(), slug, members })
}

async fn sign_in(
    app: &App,
    slug: &str,
    email: &str,
    password: Secret,
) -> Result<Option<TokenPair>, StartupError> {
    let scope = app.identity.find_tenant(slug).await?;
    let input = SignIn { tenant: slug.to_owned(), email: email.to_owned(), password, second_factor: None };
    match app.identity.sign_in(scope, &origin(app, "sign_in"), input).await? {
        SignInOutcome::SignedIn(pair) => Ok(Some(pair)),
        SignInOutcome::SecondFactorNeeded | SignInOutcome::Refused => Ok(None),
    }
}

async fn join(
    app: &App,
    tenant: TenantId,
    email: &str,
    role: Role,
    password: Secret,
) -> Result<(), StartupError> {
    let actor = Actor { tenant, principal: Principal::System };
    let mut work = app.units.begin(actor.scope(), &origin(app, "invite_member")).await?;
    let invited = app.identity.invite_member(&mut *work, &actor, email, role).await?;
    work.commit().await?;
    let mut name = role.as_str().to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let input = AcceptInvitation { token: invited.token, name, password };
    app.identity.accept_invitation(&origin(app, "accept_invitation"), input).await?;
    Ok(())
}
