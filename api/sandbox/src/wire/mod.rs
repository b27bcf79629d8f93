//! The platform's endpoints: from a call to a step of the model, and from its outcome to an envelope.
//!
//! One file per family; each lists its routes. Invariants: business errors are HTTP 200 with the code inside; what a call
//! did is in the ledger whatever fault struck its answer; nothing here does I/O.
//!
//! Absent on purpose: endpoints that have no part in linking, posting, reading and answering (jump links, mini-app links,
//! places); they answer 28001017. Star map, task box, showcase and search are refused in `restricted`.

mod access;
pub(crate) mod authorize;
pub(crate) mod call;
mod codes;
mod comments;
mod envelope;
mod oauth;
mod restricted;
mod share;
mod statistics;
mod tasks;
mod upload;
mod videos;
mod webhooks;

use serde_json::{Value, json};

use self::{
    call::{Call, Page, Reply},
    envelope::{Envelope, seal},
};
use crate::platform::{
    CallRecord, Platform,
    faults::{Harm, Strike},
    refusal::Refusal,
};

type Serve = fn(&mut Platform, &Call) -> Result<Value, Refusal>;

/// One endpoint.
struct Route {
    /// `*` takes every method.
    method: &'static str,
    path: &'static str,
    envelope: Envelope,
    serve: Serve,
}

const fn route(method: &'static str, path: &'static str, envelope: Envelope, serve: Serve) -> Route {
    Route { method, path, envelope, serve }
}

const FAMILIES: [&[Route]; 8] = [
    oauth::ROUTES,
    upload::ROUTES,
    videos::ROUTES,
    statistics::ROUTES,
    comments::ROUTES,
    webhooks::ROUTES,
    share::ROUTES,
    tasks::ROUTES,
];

/// One call to the platform, with whatever fault is armed for it.
pub(crate) fn serve(platform: &mut Platform, call: &Call, wall_ms: i64) -> Reply {
    platform.begin(wall_ms, call.fingerprint());
    let chance = platform.chance.clone();
    let strike = platform.faults.strike(&call.path, &chance);
    let done = strike.as_ref().is_none_or(|strike| strike.after_commit);
    let answer = if done { answer(platform, call) } else { refused(platform, call, Refusal::Busy) };
    let reply = match strike {
        Some(strike) => harmed(platform, call, answer, strike),
        None => answer,
    };
    let (client_key, user) = platform.caller.clone();
    let record = CallRecord {
        number: platform.step.call,
        at_ms: platform.step.now_ms,
        wall_ms,
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.open_query(),
        client_key,
        user,
        fingerprint: platform.step.fingerprint.clone(),
        code: reply.code,
        status: reply.status,
        fault: reply.strike.as_ref().map(|strike| strike.fault),
        done,
    };
    platform.remember(record);
    reply
}

fn answer(platform: &mut Platform, call: &Call) -> Reply {
    if let Some(reply) = authorize::serve(platform, call) {
        return reply;
    }
    if let Some(refusal) = restricted::serve(platform, call) {
        return refusal;
    }
    let Some(route) = find(call) else { return refused(platform, call, Refusal::UnknownUri) };
    if call.unreadable {
        return refused(platform, call, Refusal::BadParameter("body"));
    }
    let result = (route.serve)(platform, call);
    seal(platform, call, route.envelope, result)
}

fn find(call: &Call) -> Option<&'static Route> {
    // The frame's endpoints are written with and without their last slash.
    let path = if call.path.contains("/get_iframe_") { call.path.trim_end_matches('/') } else { &call.path };
    let mut routes = FAMILIES.iter().copied().flatten();
    routes.find(|route| route.path == path && (route.method == "*" || route.method == call.method))
}

fn refused(platform: &Platform, call: &Call, refusal: Refusal) -> Reply {
    let envelope = find(call).map_or_else(|| Envelope::of(&call.path), |route| route.envelope);
    seal(platform, call, envelope, Err(refusal))
}

/// The answer as the fault leaves it.
fn harmed(platform: &Platform, call: &Call, answer: Reply, strike: Strike) -> Reply {
    let coded = |refusal| refused(platform, call, refusal);
    let reply = match strike.harm {
        Harm::Slow | Harm::Reset | Harm::Truncated => answer,
        Harm::Busy => coded(Refusal::Busy),
        Harm::Network => coded(Refusal::NetworkInside),
        Harm::Risk => coded(Refusal::RiskControl),
        Harm::Retired => coded(Refusal::Retired),
        Harm::Banned => coded(Refusal::AppBanned),
        Harm::Rate => coded(Refusal::TooFast),
        Harm::Code => coded(Refusal::Code(strike.code)),
        Harm::Html502 => gateway(502, "Bad Gateway"),
        Harm::Html413 => gateway(413, "Request Entity Too Large"),
    };
    Reply { strike: Some(strike), ..reply }
}

/// What the gateway answers before the platform hears of a call.
pub(crate) fn gateway(status: u16, says: &str) -> Reply {
    let html = format!(
        "<html>\r\n<head><title>{status} {says}</title></head>\r\n<body>\r\n<center><h1>{status} {says}</h1></center>\r\n\
         <hr><center>gateway</center>\r\n</body>\r\n</html>\r\n"
    );
    Reply { status, page: Page::Html(html), code: 0, strike: None }
}

/// An answer without data of its own.
fn nothing() -> Value {
    json!({})
}
