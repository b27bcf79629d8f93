//! The one door for mutations: actor, permission, idempotency, transaction, audit event, answer.

use std::{pin::Pin, sync::Arc};

use async_graphql::Context;
use domain::{
    identity::actions,
    kernel::{
        action::{Action, Idempotency},
        ids::ComplianceId,
        outbox::{Outcome, Record},
    },
    work::{Claimed, IdempotencyClaim, Work},
};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;
use transport::ErrorCode;
use uuid::Uuid;

use super::error::{ApiError, Failure, UserError, from_transport};
use crate::{
    app::App,
    callers::Caller,
    metrics::CommandLabels,
    origin::{bare_origin, origin_of},
};
use domain::kernel::actor::Actor;

/// The steps of a command, on the transaction it is lent.
pub(super) type Steps<'a, R> = Pin<Box<dyn Future<Output = Result<R, Failure>> + Send + 'a>>;

/// How a command ended: what it leaves behind, or why it was not done.
pub(super) struct Done<R> {
    pub(super) receipt: Option<R>,
    pub(super) user_errors: Vec<UserError>,
    pub(super) compliance_id: Uuid,
}

/// The app behind the schema.
pub(super) fn app<'a>(ctx: &Context<'a>) -> &'a Arc<App> {
    ctx.data_unchecked::<Arc<App>>()
}

/// The caller, who must be known.
pub(super) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller, ApiError> {
    ctx.data_opt::<Caller>().ok_or_else(ApiError::unauthenticated)
}

/// The identifier of the answer being made.
pub(super) fn compliance_id(ctx: &Context<'_>) -> ComplianceId {
    ComplianceId::from_uuid(transport::answer_id(ctx).unwrap_or_default())
}

/// Runs a command. What it leaves (`R`) is kept under the idempotency key, sealed, and given again to who
/// repeats it.
pub(super) async fn command<R, F>(ctx: &Context<'_>, action: Action, steps: F) -> Result<Done<R>, ApiError>
where
    R: Serialize + DeserializeOwned + Send,
    F: for<'a> FnOnce(&'a App, &'a Actor, &'a mut dyn Work) -> Steps<'a, R> + Send,
{
    let app = app(ctx);
    let id = compliance_id(ctx);
    let scope = action.scope_words().join(",");
    let span =
        tracing::info_span!("command", action = action.name, compliance.id = %id, compliance.scope = %scope);
    let result = run(ctx, app, id, action, steps).instrument(span).await;
    let outcome = match &result {
        Ok(done) if done.user_errors.is_empty() => Outcome::Success,
        Err(error) if error.is_ours() => Outcome::Failure,
        Ok(_) | Err(_) => Outcome::Refused,
    };
    app.metrics
        .commands
        .get_or_create(&CommandLabels { action: action.name, outcome: outcome.as_str() })
        .inc();
    result
}

async fn run<R, F>(
    ctx: &Context<'_>,
    app: &App,
    id: ComplianceId,
    action: Action,
    steps: F,
) -> Result<Done<R>, ApiError>
where
    R: Serialize + DeserializeOwned + Send,
    F: for<'a> FnOnce(&'a App, &'a Actor, &'a mut dyn Work) -> Steps<'a, R> + Send,
{
    let caller = caller(ctx)?;
    let signed_in = caller.signed_in();
    let actor = &signed_in.actor;
    let origin = origin_of(app, actor.scope(), id, action.name, caller.facts(), Some(signed_in)).await;
    let origin = match origin {
        Ok(origin) => origin,
        Err(fault) => {
            // No keys, so nothing is done; that it was tried is in the log all the same.
            let bare = bare_origin(id, action.name, Some(signed_in));
            app.record_refusal(actor.scope(), &bare, action, Outcome::Failure, "unavailable").await?;
            return Err(fault.into());
        }
    };
    if let Some(permission) = action.permission
        && let Err(denied) = actor.require(permission)
    {
        app.record_refusal(actor.scope(), &origin, action, Outcome::Refused, "denied").await?;
        return Err(denied.into());
    }
    if actions::GUESSABLE.contains(&action) {
        limit_guesses(app, caller).await?;
    }
    let claim = claim_of(ctx, app, caller, action)?;
    let mut work = app.units.begin(actor.scope(), &origin).await?;
    if let Some(claim) = &claim {
        match work.claim(claim).await? {
            Claimed::New => {}
            Claimed::Answered(answer) => {
                let receipt = serde_json::from_slice(&answer).map_err(|_| ApiError::internal())?;
                let replayed = Record { reason: Some("replayed"), ..Record::refused(action, None, "") };
                work.record(Record { outcome: Outcome::Success, ..replayed }).await?;
                // The event alone: the key stays as it was.
                work.commit().await?;
                transport::mark_replay(ctx);
                return Ok(Done {
                    receipt: Some(receipt),
                    user_errors: Vec::new(),
                    compliance_id: id.uuid(),
                });
            }
            Claimed::OtherArguments => {
                return Err(ApiError::new(
                    ErrorCode::IdempotencyKeyReused,
                    "this idempotency key was used with other arguments; use a new key for a new intent",
                ));
            }
            Claimed::InProgress => {
                return Err(ApiError::new(
                    ErrorCode::IdempotencyInProgress,
                    "the first request with this idempotency key is still running",
                )
                .retry_after(1));
            }
        }
    }
    match steps(app, actor, &mut *work).await {
        Ok(receipt) => {
            if work.recorded() == 0 {
                tracing::error!("a command left no audit event and was rolled back");
                return Err(ApiError::internal());
            }
            if let Some(claim) = &claim {
                let answer = serde_json::to_vec(&receipt).map_err(|_| ApiError::internal())?;
                work.keep_answer(claim, &answer).await?;
            }
            work.commit().await?;
            // Roles, sessions and keys may have changed: this replica looks them up anew.
            app.callers.forget(actor.tenant);
            Ok(Done { receipt: Some(receipt), user_errors: Vec::new(), compliance_id: id.uuid() })
        }
        Err(error) => {
            work.roll_back().await;
            match error {
                Failure::User(error, reason) => {
                    app.record_refusal(actor.scope(), &origin, action, Outcome::Refused, reason).await?;
                    Ok(Done { receipt: None, user_errors: vec![error], compliance_id: id.uuid() })
                }
                Failure::Api(error, reason) => {
                    let outcome = if error.is_ours() { Outcome::Failure } else { Outcome::Refused };
                    // When the database is away there is nowhere to record it; the access event tells of it.
                    if let Err(fault) =
                        app.record_refusal(actor.scope(), &origin, action, outcome, reason).await
                    {
                        tracing::warn!(port = fault.port, error = %fault.source, "a failed command was not recorded");
                    }
                    Err(error)
                }
            }
        }
    }
}

/// One more guess at a secret of this member, or not for now.
async fn limit_guesses(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let key = format!("guess:{}:{}", caller.signed_in().actor.tenant.uuid(), caller.key());
    let verdict = app.limiter.take(&key, app.quotas.sign_in, 1).await?;
    if verdict.allowed {
        return Ok(());
    }
    let seconds = u32::try_from(verdict.retry_after_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
    Err(ApiError::new(ErrorCode::Throttled, "too many attempts").retry_after(seconds))
}

/// The claim to be made for a key that was sent; an error for one that had to be.
fn claim_of(
    ctx: &Context<'_>,
    app: &App,
    caller: &Caller,
    action: Action,
) -> Result<Option<IdempotencyClaim>, ApiError> {
    let key = transport::idempotency_key(ctx).map_err(|e| from_transport(&e))?;
    match (key, action.idempotency) {
        (None, Idempotency::Optional) => Ok(None),
        (None, Idempotency::Required) => Err(ApiError::bad_input(format!(
            "{} needs an idempotency key: add @idempotent(key: ...) to the field, or send the header Idempotency-Key",
            action.field_name()
        ))),
        (Some(key), Idempotency::Optional | Idempotency::Required) => Ok(Some(IdempotencyClaim {
            caller: caller.authority(),
            action: action.name,
            key: key.key,
            arguments: key.arguments_hash,
            at: app.clock.now(),
        })),
    }
}
