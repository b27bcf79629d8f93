//! `matricula keys`: what an operator does to tenants' keys.

use std::io::Write as _;

use domain::{
    compliance::{KeyKeeping, actions},
    kernel::{
        ids::{ComplianceId, PLATFORM},
        outbox::Origin,
        scope::TenantScope,
    },
};
use infra::system::System;

use crate::{
    config::Config,
    serve::Duties,
    wiring::{Parts, StartupError, build},
};

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysTask {
    /// Tell which keys there are.
    Status,
    /// Make newer ones, under the provider named or the one there.
    Rotate(Option<String>),
    /// Bring older data keys under the newest tenant key.
    Rewrap,
    /// Refuse from now on what is under older tenant keys.
    Retire,
    /// Make newer keys that sign the tenants' logs.
    RotateLogKey,
}

/// Does `task` for each tenant named, or for the platform itself when none is, and says on standard output what came of
/// it, one line a key.
///
/// # Errors
/// A tenant is unknown, or its keys can't be had. Those before it in the list are done.
pub async fn run(mut config: Config, task: KeysTask, tenants: &[String]) -> Result<(), StartupError> {
    // Nobody need be at work to give events their indexes.
    config.audit.index_wait = std::time::Duration::ZERO;
    let parts = build(&config, &Duties::none(), String::new()).await?;
    if let KeysTask::Rotate(Some(name)) = &task
        && !parts.envelope.providers().contains(&name.as_str())
    {
        let there = parts.envelope.providers().join(", ");
        return Err(format!("no key provider is called {name}; configured are {there}").into());
    }
    let mut scopes = Vec::new();
    for slug in tenants {
        // Also of one whose end has begun, and can't go on without its keys.
        let origin = Origin::system(ComplianceId::new(&System), "keys");
        let standing = parts.app.identity.tenant_standing(&origin, slug).await?;
        scopes.push((slug.as_str(), standing.ok_or_else(|| format!("there is no tenant {slug}"))?.0));
    }
    if scopes.is_empty() {
        scopes.push(("(platform)", TenantScope::of(PLATFORM)));
    }
    let done = all(&parts, &task, &scopes).await;
    parts.envelope.close();
    done
}

async fn all(parts: &Parts, task: &KeysTask, scopes: &[(&str, TenantScope)]) -> Result<(), StartupError> {
    let keeping = KeyKeeping::new(parts.envelope.clone());
    let mut out = std::io::stdout();
    for (slug, scope) in scopes {
        let done = match task {
            KeysTask::Status => None,
            KeysTask::Rotate(to) => {
                let rotated = keeping.rotate(*scope, to.as_deref()).await;
                Some((actions::ROTATE_KEYS, rotated.map(|()| "rotated".to_owned())))
            }
            KeysTask::Rewrap => {
                let count = keeping.rewrap(*scope).await;
                Some((actions::REWRAP_KEYS, count.map(|count| format!("{count} data keys wrapped anew"))))
            }
            KeysTask::Retire => {
                let count = keeping.retire(*scope).await;
                Some((actions::RETIRE_KEYS, count.map(|count| format!("{count} tenant keys retired"))))
            }
            KeysTask::RotateLogKey => {
                let rotated = parts.app.compliance.rotate_log_key(*scope).await;
                Some((actions::ROTATE_LOG_KEY, rotated.map(|()| "the log's key rotated".to_owned())))
            }
        };
        if let Some((action, done)) = done {
            let origin = Origin::system(ComplianceId::new(&System), action.name);
            let told = async {
                let mut work = parts.app.units.begin(*scope, &origin).await?;
                keeping.tell(&mut *work, *scope, action, done.is_ok()).await?;
                work.commit().await
            };
            let told = told.await;
            // What went wrong with the keys is the thing to hear of first.
            writeln!(out, "{slug}: {}", done?)?;
            told?;
        }
        if *task == KeysTask::RotateLogKey {
            // As lines of a policy, for whoever checks the logs.
            for key in parts.app.compliance.log_keys(*scope).await? {
                writeln!(out, "log {key}")?;
            }
            continue;
        }
        let versions = keeping.status(*scope).await?;
        let newest = versions.last().map_or(0, |key| key.version);
        for key in versions {
            let needed = if key.is_retired {
                ", retired"
            } else if key.data_keys == 0 && key.version != newest {
                ", not needed any more but for backups"
            } else {
                ""
            };
            writeln!(
                out,
                "{slug}: tenant key {} of {}, {} data keys under it{needed}",
                key.version, key.provider, key.data_keys
            )?;
        }
    }
    Ok(())
}
