//! The page at `/_sandbox/`: what there is and what happened, to be read by people.

use std::fmt::Write as _;

use super::html::{document, escape, table};
use crate::platform::{Platform, calendar::instant, hooks::State};

/// Rows a table shows, the newest first.
const ROWS_MAX: usize = 50;

/// The page as it is now.
pub(super) fn render(platform: &Platform) -> String {
    let sections = [
        ("clock", "Clock", clock(platform)),
        ("apps", "Apps", apps(platform)),
        ("users", "Users", users(platform)),
        ("videos", "Videos", videos(platform)),
        ("calls", "Calls received", calls(platform)),
        ("webhooks", "Webhooks sent", webhooks(platform)),
        ("faults", "Faults armed", faults(platform)),
        ("ledger", "Effects", ledger(platform)),
    ];
    let links = sections.each_ref().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>"));
    let mut body = format!("<nav aria-label=\"Sections\">{}</nav>\n", links.join("\n"));
    for (id, title, text) in &sections {
        let _ = write!(
            body,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{text}</section>\n"
        );
    }
    document("Rehearsal of the Douyin open platform", &body)
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// What the control API calls it, for people.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    escape(&value.as_str().unwrap_or_default().replace('_', " "))
}

fn newest<T>(all: impl DoubleEndedIterator<Item = T>, row: impl Fn(T) -> Vec<String>) -> Vec<Vec<String>> {
    all.rev().take(ROWS_MAX).map(row).collect()
}

fn clock(platform: &Platform) -> String {
    let runs = if platform.clock.is_frozen() { "stands still" } else { "runs" };
    format!(
        "<p>It is <time>{}</time> on the sandbox's clock, which {runs}. The seed is {}.</p>\n\
         <form class=\"line\" method=\"post\" action=\"/_sandbox/clock\">\n\
         <label>Seconds forward <input name=\"advance_s\" type=\"number\" value=\"60\" required></label>\n\
         <label>Then <select name=\"frozen\"><option value=\"\">as before</option><option value=\"true\">stand still</option>\
         <option value=\"false\">run</option></select></label>\n<button>Move the clock</button>\n</form>\n",
        instant(platform.now_ms()),
        platform.chance.seed()
    )
}

fn apps(platform: &Platform) -> String {
    let row = |app: &crate::platform::cast::App| {
        let on: Vec<_> =
            app.subscriptions.iter().filter(|(_, on)| **on).map(|(event, _)| event.as_str()).collect();
        vec![
            escape(&app.name),
            code(&app.client_key),
            code(&app.client_secret),
            code(&app.redirect_uris.join(" ")),
            code(app.webhook_url.as_deref().unwrap_or("none")),
            escape(&on.join(", ")),
        ]
    };
    let heads = ["Name", "client_key", "client_secret", "redirect_uris", "Webhook", "Events"];
    let form = "<form class=\"line\" method=\"post\" action=\"/_sandbox/apps\">\n\
        <label>Name <input name=\"name\"></label>\n<label>Redirect addresses <input name=\"redirect_uris\"></label>\n\
        <button>Add an app</button>\n</form>\n";
    table("Apps", &heads, &newest(platform.apps.values(), row)) + form
}

fn users(platform: &Platform) -> String {
    let row = |user: &crate::platform::cast::User| {
        let granted = platform.grants.all.values().filter(|grant| grant.user == user.id && !grant.revoked);
        let apps: Vec<_> = granted.map(|grant| code(&grant.client_key)).collect();
        vec![code(&user.id), escape(&user.nickname), word(user.state), apps.join(" ")]
    };
    let form = "<form class=\"line\" method=\"post\" action=\"/_sandbox/users\">\n\
        <label>Nickname <input name=\"nickname\" required></label>\n<button>Add a user</button>\n</form>\n";
    table("Users", &["User", "Nickname", "State", "Apps let in"], &newest(platform.users.values(), row))
        + form
}

fn videos(platform: &Platform) -> String {
    let row = |post: &crate::platform::posts::Post| {
        let figures = platform.shown_figures(post);
        vec![
            instant(post.created_ms),
            code(&post.user),
            escape(&post.text),
            super::reads::stage(post.stage(platform.now_ms())).replace('_', " "),
            figures.play.to_string(),
            figures.comment.to_string(),
        ]
    };
    let heads = ["Posted", "User", "Text", "Stage", "Plays", "Comments"];
    table("Videos", &heads, &newest(platform.posts.all.values(), row))
}

fn calls(platform: &Platform) -> String {
    let row = |call: &crate::platform::CallRecord| {
        vec![
            call.number.to_string(),
            instant(call.at_ms),
            code(&format!("{} {}", call.method, call.path)),
            code(&call.user),
            if call.code == 0 { call.status.to_string() } else { call.code.to_string() },
            call.fault.map(|fault| format!("fault {fault}")).unwrap_or_default(),
        ]
    };
    let heads = ["No.", "At", "Call", "User", "Answer", "Fault"];
    table("Calls received", &heads, &newest(platform.calls.iter(), row))
}

fn webhooks(platform: &Platform) -> String {
    let row = |delivery: &crate::platform::hooks::Delivery| {
        let state = match delivery.state {
            State::Waiting => format!("waiting until {}", instant(delivery.due_ms)),
            State::Delivered => "delivered".to_owned(),
            State::GivenUp => "given up".to_owned(),
        };
        vec![
            instant(delivery.emitted_ms),
            code(&delivery.client_key),
            code(&delivery.event),
            code(&delivery.url),
            delivery.attempts.len().to_string(),
            state,
        ]
    };
    let heads = ["Emitted", "App", "Event", "To", "Tries", "State"];
    table("Webhooks sent", &heads, &newest(platform.hooks.all.iter(), row))
}

fn faults(platform: &Platform) -> String {
    let row = |fault: &crate::platform::faults::Fault| {
        vec![
            fault.number.to_string(),
            code(&fault.draft.path),
            word(fault.draft.harm),
            fault.draft.count.map_or_else(|| "without end".to_owned(), |count| count.to_string()),
            fault.struck.to_string(),
        ]
    };
    let harms = [
        "busy",
        "network",
        "slow",
        "reset",
        "truncated",
        "html502",
        "html413",
        "risk",
        "retired",
        "banned",
        "rate",
    ];
    let options = harms.map(|harm| format!("<option>{harm}</option>")).concat();
    let form = format!(
        "<form class=\"line\" method=\"post\" action=\"/_sandbox/faults\">\n\
         <label>Path, or its beginning and * <input name=\"path\" value=\"/api/douyin/v1/video/create_video/\" required></label>\n\
         <label>Harm <select name=\"harm\">{options}</select></label>\n\
         <label>Times <input name=\"count\" type=\"number\" min=\"1\" value=\"1\"></label>\n\
         <label>Delay in ms <input name=\"delay_ms\" type=\"number\" min=\"0\"></label>\n<button>Arm a fault</button>\n</form>\n\
         <form class=\"line\" method=\"post\" action=\"/_sandbox/faults/clear\"><button>Disarm all</button></form>\n"
    );
    table("Faults", &["No.", "Path", "Harm", "Times", "Struck"], &newest(platform.faults.armed.iter(), row))
        + &form
}

fn ledger(platform: &Platform) -> String {
    let row = |effect: &crate::platform::ledger::Effect| {
        vec![
            effect.number.to_string(),
            instant(effect.at_ms),
            escape(&effect.kind.replace('_', " ")),
            code(&effect.user),
            effect.call.to_string(),
            code(&effect.made.to_string()),
        ]
    };
    let heads = ["No.", "At", "Effect", "User", "By call", "Made"];
    table("Effects", &heads, &newest(platform.ledger.iter(), row))
}
