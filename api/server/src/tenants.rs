//! `matricula tenant`: what an operator does with whole tenants.

use std::io::{Read as _, Write};

use domain::{
    identity::{
        OpenTenant, TenantStanding,
        model::{Closing, TenantStatus},
    },
    kernel::{ids::ComplianceId, outbox::Origin, scope::TenantScope, secret::Secret},
};
use infra::system::System;

use crate::{
    config::Config,
    serve::Duties,
    wiring::{Parts, StartupError, build},
};

/// Longest password that is read.
const PASSWORD_MAX_BYTES: u64 = 1_024;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantTask {
    /// Open one with its first owner, whose password is read from standard input.
    Open {
        /// Its public name.
        slug: String,
        /// Its display name.
        name: String,
        /// The owner's address.
        owner_email: String,
        /// The owner's name.
        owner_name: String,
    },
    /// Close one.
    Close {
        /// Its public name.
        slug: String,
        /// For how long it can be taken back.
        days: u16,
    },
    /// Take one back that is closed.
    Reopen {
        /// Its public name.
        slug: String,
    },
    /// Tell where one is.
    Status {
        /// Its public name.
        slug: String,
    },
}

/// Does `task`, and says to `out` what came of it.
///
/// # Errors
/// It is refused, or what it takes is away.
pub async fn run(
    mut config: Config,
    task: TenantTask,
    out: &mut (dyn Write + Send),
) -> Result<(), StartupError> {
    // Nobody need be at work yet to give events their indexes.
    config.audit.index_wait = std::time::Duration::ZERO;
    let parts = build(&config, &Duties::writing(), String::new()).await?;
    let said = done(&parts, task).await;
    parts.envelope.close();
    Ok(writeln!(out, "{}", said?)?)
}

async fn done(parts: &Parts, task: TenantTask) -> Result<String, StartupError> {
    let identity = &parts.app.identity;
    let origin = |verb| Origin::system(ComplianceId::new(&System), verb);
    match task {
        TenantTask::Open { slug, name, owner_email, owner_name } => {
            let mut password = String::new();
            std::io::stdin().take(PASSWORD_MAX_BYTES).read_to_string(&mut password)?;
            let owner_password = Secret::from(password.trim_end_matches(['\r', '\n']).to_owned());
            let draft = OpenTenant { slug, name, owner_email, owner_name, owner_password };
            let opened = identity.open_tenant(&origin("open_tenant"), draft).await?;
            Ok(opened.tenant.uuid().to_string())
        }
        TenantTask::Close { slug, days } => {
            let (scope, _) = found(parts, &slug).await?;
            let closing = identity.close_tenant(&origin("close_tenant"), scope, days).await?;
            Ok(format!(
                "{slug} is closed: nobody signs in, no key works, nothing is posted. On {} all there is of it goes for good, \
                 but its log; until then, `matricula tenant reopen --slug {slug}` takes it back",
                instant(&closing)
            ))
        }
        TenantTask::Reopen { slug } => {
            let (scope, _) = found(parts, &slug).await?;
            identity.reopen_tenant(&origin("reopen_tenant"), scope).await?;
            Ok(format!(
                "{slug} is taken back. Its accounts are paused, so that what was due meanwhile does not go out all at once: \
                 whoever may resumes them"
            ))
        }
        TenantTask::Status { slug } => {
            let (scope, standing) = found(parts, &slug).await?;
            Ok(format!("{slug} ({}): {}", scope.tenant().uuid(), told(&standing)))
        }
    }
}

async fn found(parts: &Parts, slug: &str) -> Result<(TenantScope, TenantStanding), StartupError> {
    let origin = Origin::system(ComplianceId::new(&System), "tenant_status");
    let standing = parts.app.identity.tenant_standing(&origin, slug).await?;
    standing.ok_or_else(|| format!("there is no tenant {slug}").into())
}

fn instant(closing: &Closing) -> String {
    closing.ends_at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn told(standing: &TenantStanding) -> String {
    match (&standing.closing, standing.status) {
        (Some(Closing { ended_at: Some(at), .. }), _) => {
            format!("ended on {}; its log is kept as all logs are", at.format("%Y-%m-%d %H:%M UTC"))
        }
        (Some(Closing { begun_at: Some(at), .. }), _) => {
            format!("ends since {}; it takes an hour or a little more", at.format("%Y-%m-%d %H:%M UTC"))
        }
        (Some(closing), _) => format!("closed; it ends on {} unless it is taken back", instant(closing)),
        (None, Some(status)) => match status {
            TenantStatus::Active => "active".to_owned(),
            TenantStatus::Suspended => "suspended".to_owned(),
            TenantStatus::AwaitingErasure => {
                "nobody is let in, as somebody who was erased before the database was put back can't be erased again"
                    .to_owned()
            }
            TenantStatus::Closed => "closed".to_owned(),
        },
        (None, None) => "its opening was never finished, and its name is taken".to_owned(),
    }
}
