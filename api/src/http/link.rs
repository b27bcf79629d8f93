//! Where a platform sends an account's owner back to: finishes the attempt and says in plain words how it ended. The
//! page is for a person: no scripts, nothing from elsewhere, and nothing of it is kept by anybody.

use std::{sync::LazyLock, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    accounts::{Accounts, AccountsError, FinishedLink, ReturnedLink},
    kernel::secret::Secret,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::auth::{answer_of, attempt, known, origin};
use crate::app::App;

/// Longest code or state that is read, in bytes.
const PARAMETER_MAX: usize = 2_048;

/// Longest the page waits for the platform.
const PATIENCE: Duration = Duration::from_secs(6);

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(web::resource("/link/{platform}/callback").route(web::get().to(callback)));
}

#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
}

/// What the page says.
struct Message {
    status: StatusCode,
    title: &'static str,
    text: String,
    good: bool,
}

impl Message {
    fn bad(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into(), good: false }
    }
}

async fn callback(
    app: web::Data<App>,
    request: HttpRequest,
    platform: web::Path<String>,
    returned: Result<web::Query<Returned>, actix_web::Error>,
) -> HttpResponse {
    let nothing = || Returned { state: String::new(), code: String::new() };
    let returned = returned.map_or_else(|_| nothing(), web::Query::into_inner);
    if returned.state.len() > PARAMETER_MAX || returned.code.len() > PARAMETER_MAX {
        return page(&request, &closed());
    }
    let state = Secret::from(returned.state);
    let scope = Accounts::tenant_of_state(&state);
    let result = async {
        attempt(&app, &request, state.expose_str().unwrap_or_default()).await?;
        let scope = known(&app, &request, scope, "finish_link").await?;
        origin(&app, &request, scope, "finish_link").await.map(|origin| (scope, origin))
    };
    let (scope, origin) = match result.await {
        Ok(found) => found,
        Err(answer) => return page(&request, &not_now(answer.status())),
    };
    if scope.is_none() {
        return page(&request, &closed());
    }
    let code = Some(returned.code).filter(|code| !code.is_empty()).map(Secret::from);
    let returned = ReturnedLink { platform: platform.into_inner(), state, code };
    // On a task of its own: a code works once, so what the platform gives for it is kept even if nobody waits any more.
    let accounts = std::sync::Arc::clone(&app.accounts);
    let finishing = tokio::spawn(async move { accounts.finish_link(&origin, returned).await });
    let finished = match tokio::time::timeout(PATIENCE, finishing).await {
        Ok(Ok(finished)) => finished,
        Ok(Err(_)) => return page(&request, &not_now(StatusCode::INTERNAL_SERVER_ERROR)),
        Err(_) => return page(&request, &soon()),
    };
    let message = match finished {
        Ok(FinishedLink::Linked { nickname, .. }) => Message {
            status: StatusCode::OK,
            title: "The account is linked",
            text: if nickname.is_empty() {
                "It can be used now. You can close this page.".to_owned()
            } else {
                format!("{nickname} can be used now. You can close this page.")
            },
            good: true,
        },
        Ok(FinishedLink::Failed { reason, .. }) => {
            Message::bad(StatusCode::BAD_REQUEST, "The account was not linked", explained(&reason))
        }
        Err(AccountsError::Port(fault)) => {
            tracing::warn!(port = fault.port, error = %fault.source, "a link was not finished");
            not_now(StatusCode::SERVICE_UNAVAILABLE)
        }
        Err(_) => closed(),
    };
    page(&request, &message)
}

fn closed() -> Message {
    Message::bad(
        StatusCode::BAD_REQUEST,
        "This page was used already, or is too old",
        "If the account does not show up in a moment, begin again where you came from.",
    )
}

fn soon() -> Message {
    Message {
        status: StatusCode::ACCEPTED,
        title: "The platform takes its time",
        text: "We go on without you: the account shows up where you came from as soon as the platform has confirmed \
               it. You can close this page."
            .to_owned(),
        good: true,
    }
}

fn not_now(status: StatusCode) -> Message {
    let text = "We could not finish this just now. Wait a minute and begin again where you came from.";
    Message::bad(status, "Not now", text)
}

/// What went wrong and the way out, for a person. The words are those of the attempt's trace.
fn explained(reason: &str) -> String {
    let text = match reason {
        "owner_refused" => "Nothing was granted on the platform's page. If that was not meant, begin again.",
        "session_over" => "Whoever began this has signed out or lost the right to. Sign in and begin again.",
        "app_removed" => "The app that asked was removed meanwhile. Begin again with another.",
        "other_account" => {
            "Another account consented than the one to be linked again. Sign in to the right one on the platform, then begin again."
        }
        _ if reason.starts_with("app_") => {
            "The platform did not take our credentials. Ask an administrator to check the app, then begin again."
        }
        _ => {
            "The platform did not confirm it. Begin again; if it happens again, the attempt's trace has the details."
        }
    };
    text.to_owned()
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:100vh;\
background:#f6f7f9;color:#1c2430}main{background:#fff;max-width:30rem;margin:1rem;padding:2rem;border-radius:.75rem;\
box-shadow:0 1px 4px #0002;border-top:.35rem solid #2f7d4f}main.bad{border-color:#b3261e}h1{font-size:1.3rem;margin:0 0 .5rem}\
small{color:#5b6573;overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{background:#14181f;color:#e6e9ee}\
main{background:#1e242d;box-shadow:none}small{color:#9aa4b2}}";

/// Only this style, and nothing else from anywhere (CSP level 3).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(request: &HttpRequest, message: &Message) -> HttpResponse {
    let class = if message.good { "good" } else { "bad" };
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><main class=\"{class}\"><h1>{title}</h1><p>{text}</p>\
         <small>{id}</small></main></html>",
        title = message.title,
        text = escape(&message.text),
        id = answer_of(request),
    );
    HttpResponse::build(message.status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY.as_str()))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(body)
}
