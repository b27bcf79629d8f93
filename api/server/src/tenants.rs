//! `matricula tenant`: what an operator does with whole tenants.

use std::io::{Read as _, Write};

use domain::{
    identity::{
        OpenTenant, TenantStanding,
        model::{Closing, TenantStatus},
    },
    kernel::{clock::Timestamp, ids::ComplianceId, outbox::Origin, scope::TenantScope, secret::Secret},
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
    let (identity, erasures) = (&parts.app.identity, &parts.app.erasures);
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
            let kept = erasures.keep_closing(scope, closing.closed_at, closing.ends_at).await;
            kept.map_err(|fault| {
                format!("{slug} is closed, but a database that is put back would not know, as that can't be written down: {fault}")
            })?;
            Ok(format!(
                "{slug} is closed: nobody signs in, no key works, nothing is posted. On {} all there is of it goes for good, \
                 but its log; until then, `matricula tenant reopen --slug {slug}` takes it back{}",
                instant(closing.ends_at),
                held(parts, scope).await?
            ))
        }
        TenantTask::Reopen { slug } => {
            let (scope, standing) = found(parts, &slug).await?;
            // Before it is done: a database that is put back to before it must not have the tenant end.
            if let Some(Closing { closed_at, begun_at: None, is_put_back: false, .. }) = standing.closing {
                erasures.keep_reopening(scope, closed_at).await?;
            }
            identity.reopen_tenant(&origin("reopen_tenant"), scope).await?;
            Ok(format!(
                "{slug} is taken back. Its accounts are paused, so that what was due meanwhile does not go out all at once: \
                 whoever may resumes them"
            ))
        }
        TenantTask::Status { slug } => {
            let (scope, standing) = found(parts, &slug).await?;
            let is_closed = standing.closing.as_ref().is_some_and(|closing| closing.begun_at.is_none());
            let held = if is_closed { held(parts, scope).await? } else { "" };
            Ok(format!("{slug} ({}): {}{held}", scope.tenant().uuid(), told(&standing)))
        }
    }
}

/// What else is to be said of a tenant that can't end.
async fn held(parts: &Parts, scope: TenantScope) -> Result<&'static str, StartupError> {
    let is_held = parts.app.erasures.is_held(scope).await?;
    Ok(if is_held {
        "; the data of somebody in it is under a legal hold: it does not end before that is released, for which it must be \
         taken back"
    } else {
        ""
    })
}

async fn found(parts: &Parts, slug: &str) -> Result<(TenantScope, TenantStanding), StartupError> {
    let origin = Origin::system(ComplianceId::new(&System), "tenant_status");
    let standing = parts.app.identity.tenant_standing(&origin, slug).await?;
    standing.ok_or_else(|| format!("there is no tenant {slug}").into())
}

fn instant(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn told(standing: &TenantStanding) -> String {
    match (&standing.closing, standing.status) {
        (Some(Closing { ended_at: Some(at), .. }), _) => {
            format!("ended on {}; its log is kept as all logs are", instant(*at))
        }
        (Some(Closing { begun_at: Some(at), .. }), _) => format!(
            "ends since {}: that takes an hour or a little more, unless what it takes is away (see the log of the process with \
             `matricula work --queue erasures`)",
            instant(*at)
        ),
        (Some(Closing { is_put_back: true, .. }), _) => {
            "had ended before the database was put back, and ends again".to_owned()
        }
        (Some(closing), _) => format!("closed; it ends on {} unless it is taken back", instant(closing.ends_at)),
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
