//! The page on which a user lets an app in, for people to click and for tests to skip.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::call::{Call, Page, Reply};
use crate::{
    control::html::{document, escape},
    platform::{
        Platform,
        cast::{App, AppState, UserState},
        switches::RedirectMatch,
    },
};

const PATH: &str = "/platform/oauth/connect/";
const SILENT: &str = "/oauth/authorize/v2/";

/// What the app asks its user for.
#[derive(Debug)]
struct Wish {
    client_key: String,
    redirect_uri: String,
    state: Option<String>,
    required: Vec<String>,
    /// What may be unticked, and whether it is ticked at first.
    optional: Vec<(String, bool)>,
}

/// Why the page shows an error and sends nobody back.
#[derive(Debug)]
struct Fault {
    code: i64,
    says: String,
}

fn fault(code: i64, says: impl Into<String>) -> Fault {
    Fault { code, says: says.into() }
}

/// Answers, when the call is for this page.
pub(super) fn serve(platform: &mut Platform, call: &Call) -> Option<Reply> {
    let reply = match (call.path.as_str(), call.method.as_str()) {
        (PATH, "GET") => wish(platform, call).map(|wish| page(platform, &wish)),
        (PATH, "POST") => wish(platform, call).and_then(|wish| clicked(platform, call, &wish)),
        (SILENT, "GET") => silent(platform, call),
        _ => return None,
    };
    Some(reply.unwrap_or_else(|fault| error_page(&fault)))
}

fn wish(platform: &mut Platform, call: &Call) -> Result<Wish, Fault> {
    let needed = |name: &str| call.parameter(name).ok_or_else(|| fault(10_005, format!("{name} is missing")));
    let client_key = needed("client_key")?;
    let app = platform.app(&client_key).map_err(|_| fault(10_003, "client_key is unknown"))?;
    match app.state {
        AppState::Approved => {}
        AppState::InReview => return Err(fault(10_012, "the app is in review")),
        AppState::Banned => return Err(fault(28_001_016, "the app is banned")),
    }
    if needed("response_type")? != "code" {
        return Err(fault(10_002, "response_type is not code"));
    }
    let redirect_uri = needed("redirect_uri")?;
    if !fits(app, &redirect_uri, platform.switches.redirect_match) {
        return Err(fault(10_006, "redirect_uri is not the one registered"));
    }
    let required = listed(&needed("scope")?);
    let flags = listed(&call.parameter("optionalScope").unwrap_or_default());
    let optional: Vec<_> = flags
        .chunks(2)
        .map(|pair| (pair.first().cloned().unwrap_or_default(), pair.get(1).is_some_and(|flag| flag == "1")))
        .collect();
    let mut asked = required.iter().chain(optional.iter().map(|(scope, _)| scope));
    if let Some(scope) = asked.find(|scope| !app.scopes.contains(*scope)) {
        return Err(fault(10_004, format!("scope illegal: {scope}")));
    }
    platform.caller.0.clone_from(&client_key);
    Ok(Wish { client_key, redirect_uri, state: call.parameter("state"), required, optional })
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn fits(app: &App, uri: &str, rule: RedirectMatch) -> bool {
    let Ok(asked) = url::Url::parse(uri) else { return false };
    let cut = |text: &str| text.split(['#', '?']).next().unwrap_or_default().to_owned();
    app.redirect_uris.iter().any(|registered| match rule {
        RedirectMatch::Exact => registered == uri,
        RedirectMatch::BeforeQuery => cut(registered) == cut(uri),
        RedirectMatch::Host => {
            url::Url::parse(registered).is_ok_and(|known| known.host_str() == asked.host_str())
        }
    })
}

fn clicked(platform: &mut Platform, call: &Call, wish: &Wish) -> Result<Reply, Fault> {
    if call.text("decision") != "allow" {
        let says = "<p>Nothing was granted. The platform sends nobody back.</p>";
        return Ok(Reply::html(200, document("Refused", says)));
    }
    let ticked = listed(call.text("optional"));
    let (to, _) = allow(platform, wish, call.text("user"), &ticked)?;
    Ok(Reply::redirect(302, to))
}

/// The user says yes. Says where the browser goes, and what it takes along.
fn allow(
    platform: &mut Platform,
    wish: &Wish,
    user: &str,
    ticked: &[String],
) -> Result<(String, Value), Fault> {
    let known = platform.users.get(user).ok_or_else(|| fault(10_002, "there is no such user"))?;
    if known.state != UserState::Active {
        return Err(fault(28_001_046, "the user is banned or deregistered"));
    }
    let chosen = wish.optional.iter().map(|(scope, _)| scope).filter(|scope| ticked.contains(*scope));
    let scopes: Vec<_> = wish.required.iter().chain(chosen).cloned().collect();
    let code = platform.authorize(&wish.client_key, user, scopes.iter().cloned().collect::<BTreeSet<_>>());
    user.clone_into(&mut platform.caller.1);
    let scopes = scopes.join(",");
    let mut to =
        url::Url::parse(&wish.redirect_uri).map_err(|_| fault(10_006, "redirect_uri is no address"))?;
    {
        let mut query = to.query_pairs_mut();
        query.append_pair("code", &code);
        if let Some(state) = &wish.state {
            query.append_pair("state", state);
        }
        query.append_pair("scopes", &scopes);
    }
    let told = json!({ "redirect": to.as_str(), "code": code, "state": wish.state, "scopes": scopes });
    Ok((to.into(), told))
}

/// What the page does, without a browser: `user` says yes, to what is ticked or to `scopes` of what is optional.
pub(crate) fn without_browser(platform: &mut Platform, call: &Call) -> Reply {
    let optional = call.body.get("optional").and_then(Value::as_array);
    let answer = wish(platform, call).and_then(|wish| {
        let ticked: Vec<_> = match optional {
            Some(scopes) => scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => {
                wish.optional.iter().filter(|(_, ticked)| *ticked).map(|(scope, _)| scope.clone()).collect()
            }
        };
        allow(platform, &wish, call.text("user"), &ticked)
    });
    match answer {
        Ok((_, told)) => Reply::json(200, told),
        Err(fault) => Reply::json(400, json!({ "error": fault.says, "code": fault.code })),
    }
}

/// Silent login: an open_id without a page, for the scope `login_id` alone. The first user is the one at the phone,
/// unless `sandbox_user` says who is.
fn silent(platform: &mut Platform, call: &Call) -> Result<Reply, Fault> {
    let wish = wish(platform, call)?;
    if wish.required != ["login_id"] {
        return Err(fault(10_004, "scope illegal: silent login is for login_id"));
    }
    let first = platform.users.keys().next().cloned().unwrap_or_default();
    let user = call.query.get("sandbox_user").cloned().unwrap_or(first);
    let (to, _) = allow(platform, &wish, &user, &[])?;
    Ok(Reply::redirect(302, to))
}

fn error_page(fault: &Fault) -> Reply {
    let body =
        format!("<p role=\"alert\"><strong>{}</strong> (code {})</p>", escape(&fault.says), fault.code);
    let page = Page::Html(document("Authorization failed", &body));
    Reply { status: 200, page, code: fault.code, strike: None }
}

fn page(platform: &Platform, wish: &Wish) -> Reply {
    use std::fmt::Write as _;
    let app = platform.apps.get(&wish.client_key).map_or("", |app| &app.name);
    let mut form =
        format!("<form method=\"post\" action=\"{PATH}\">\n<fieldset><legend>Who are you?</legend>\n");
    for (index, user) in platform.users.values().filter(|user| user.state == UserState::Active).enumerate() {
        let (id, checked) = (escape(&user.id), if index == 0 { " checked" } else { "" });
        let _ = writeln!(
            form,
            "<label><input type=\"radio\" name=\"user\" value=\"{id}\"{checked} required> {} <small>{id}</small></label>",
            escape(&user.nickname)
        );
    }
    form.push_str("</fieldset>\n<fieldset><legend>What it asks for</legend>\n");
    for scope in &wish.required {
        let scope = escape(scope);
        let _ = writeln!(form, "<label><input type=\"checkbox\" checked disabled> {scope}</label>");
    }
    for (scope, ticked) in &wish.optional {
        let (scope, checked) = (escape(scope), if *ticked { " checked" } else { "" });
        let _ = writeln!(
            form,
            "<label><input type=\"checkbox\" name=\"optional\" value=\"{scope}\"{checked}> {scope} <small>optional</small></label>"
        );
    }
    form.push_str("</fieldset>\n");
    let flags: Vec<_> =
        wish.optional.iter().map(|(s, ticked)| format!("{s},{}", i32::from(*ticked))).collect();
    let hidden = [
        ("client_key", wish.client_key.as_str()),
        ("response_type", "code"),
        ("redirect_uri", &wish.redirect_uri),
        ("scope", &wish.required.join(",")),
        ("optionalScope", &flags.join(",")),
        ("state", wish.state.as_deref().unwrap_or_default()),
    ];
    for (name, value) in hidden {
        let _ = writeln!(form, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    }
    form.push_str(
        "<p><button name=\"decision\" value=\"allow\">Allow</button> <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>",
    );
    let body = format!("<p><strong>{}</strong> wants to act for you.</p>\n{form}", escape(app));
    Reply::html(200, document("Authorize", &body))
}
