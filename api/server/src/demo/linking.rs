//! The story goes on: each demo tenant links three accounts on the rehearsed platform.

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{
    client::{Front, Socket},
    stage::Stage,
    story::text,
};
use crate::{
    dev::{DemoTenant, Dev},
    wiring::StartupError,
};

/// People on the rehearsed platform, three for each tenant.
const OWNERS: [[&str; 3]; 2] = [
    ["Aurora Kitchen", "Aurora Travel", "Aurora Tech"],
    ["Borealis Music", "Borealis Sport", "Borealis News"],
];

/// What the apps were granted.
const SCOPES: [&str; 8] = [
    "user_info",
    "renew_refresh_token",
    "video.create.bind",
    "video.list.bind",
    "video.data.bind",
    "item.comment",
    "aweme.share",
    "data.external.item",
];

pub(super) async fn play(dev: &Dev, front: &Front, stage: &mut Stage) -> Result<(), StartupError> {
    for (tenant, owners) in dev.report.tenants.iter().zip(OWNERS) {
        let owner = tenant.members.first().ok_or("the demo tenant has no owner")?;
        let token = owner.access_token.as_str();

        stage.step(&format!("{}: register an app, and make a matrix with a group", tenant.slug));
        let app = register(dev, front, tenant, token).await?;
        let group = make_matrix(front, token, tenant.slug).await?;
        stage.done(&format!("app {}, to be sent back to {}", app["clientKey"], app["redirectUri"]));

        stage.step(&format!(
            "{}: link three accounts, each owner consenting on the platform's page",
            tenant.slug
        ));
        let query = "subscription { accountEvents { kind subjectId } }";
        let mut events = Socket::subscribe(&dev.report.websocket, token, query).await?;
        for owner in owners {
            link(dev, front, token, &app, &group, owner).await?;
        }
        let mut linked = 0;
        while linked < owners.len() {
            let event = events.receive("next").await?;
            linked += usize::from(event["payload"]["data"]["accountEvents"]["kind"] == "ACCOUNT_LINKED");
        }
        stage.done(&format!("{linked} arrived on the subscription"));

        stage.step(&format!("{}: look at the board", tenant.slug));
        for line in board(front, token).await? {
            stage.done(&line);
        }
    }
    Ok(())
}

/// The tenant's app, on the platform and in the product.
async fn register(dev: &Dev, front: &Front, tenant: &DemoTenant, token: &str) -> Result<Value, StartupError> {
    let client_key = format!("aw{:0<14}", tenant.slug);
    let control = format!("{}/_sandbox", dev.report.sandbox);
    let redirect = format!("{}/link/douyin/callback", dev.report.base());
    let secret = format!("demo-secret-of-{}", tenant.slug);
    let draft = json!({
        "client_key": client_key, "client_secret": secret, "name": tenant.slug, "redirect_uris": [redirect],
    });
    if front.rehearse(Method::POST, &format!("{control}/apps"), &draft).await?.is_none() {
        // It is there from an earlier story, which may have been told at another port.
        let change = json!({ "redirect_uris": [redirect], "client_secret": secret });
        front.rehearse(Method::PATCH, &format!("{control}/apps/{client_key}"), &change).await?;
    }
    let mutation = "mutation ($input: RegisterAppInput!, $key: String!) {
        registerApp(input: $input) @idempotent(key: $key) {
            app { id clientKey redirectUri } userErrors { code message }
        }
    }";
    let input = json!({
        "platform": "douyin", "name": "Demo app", "clientKey": client_key, "clientSecret": secret, "scopes": SCOPES,
    });
    let answer =
        front.graphql(token, mutation, json!({ "input": input, "key": format!("app-{client_key}") })).await?;
    let registered = &answer["registerApp"];
    if registered["app"].is_object() {
        return Ok(registered["app"].clone());
    }
    if registered["userErrors"][0]["code"] != "APP_TAKEN" {
        return Err(format!("the app was refused: {registered}").into());
    }
    let answer = front
        .graphql(token, "{ apps(first: 100) { nodes { id clientKey redirectUri } } }", json!({}))
        .await?;
    let apps = answer["apps"]["nodes"].as_array().cloned().unwrap_or_default();
    let app = apps.into_iter().find(|app| app["clientKey"] == client_key.as_str());
    app.ok_or_else(|| "the app is taken and not in the list".into())
}

async fn make_matrix(front: &Front, token: &str, name: &str) -> Result<Value, StartupError> {
    let found = front.graphql(token, "{ groups { id name parentId } }", json!({})).await?;
    let groups = found["groups"].as_array().cloned().unwrap_or_default();
    if let Some(group) = groups.iter().find(|group| group["name"] == "Video team") {
        return Ok(group["id"].clone());
    }
    let mutation = "mutation ($input: CreateGroupInput!, $key: String!) {
        createGroup(input: $input) @idempotent(key: $key) { group { id } userErrors { code message } }
    }";
    let matrix = json!({ "input": { "name": name }, "key": "matrix" });
    let matrix = front.graphql(token, mutation, matrix).await?;
    let team = json!({
        "input": { "name": "Video team", "parentId": matrix["createGroup"]["group"]["id"] }, "key": "team",
    });
    let team = front.graphql(token, mutation, team).await?;
    Ok(team["createGroup"]["group"]["id"].clone())
}

/// Begins, lets the owner consent without a browser, and opens the page the platform sends them to.
async fn link(
    dev: &Dev,
    front: &Front,
    token: &str,
    app: &Value,
    group: &Value,
    owner: &str,
) -> Result<(), StartupError> {
    let control = format!("{}/_sandbox", dev.report.sandbox);
    let users =
        front.rehearse(Method::GET, &format!("{control}/users"), &Value::Null).await?.unwrap_or_default();
    let known =
        users["users"].as_array().into_iter().flatten().find(|user| user["nickname"] == owner).cloned();
    let user = if let Some(user) = known {
        user
    } else {
        let draft = json!({ "nickname": owner });
        front.rehearse(Method::POST, &format!("{control}/users"), &draft).await?.ok_or("no user was made")?
    };
    let mutation = "mutation ($input: BeginLinkInput!, $key: String!) {
        beginLink(input: $input) @idempotent(key: $key) { consentUrl link { id } userErrors { code message } }
    }";
    let key = uuid::Uuid::from_bytes(*random().first_chunk().unwrap_or(&[0; 16])).to_string();
    let input = json!({ "appId": app["id"], "groupId": group });
    let begun = front.graphql(token, mutation, json!({ "input": input, "key": key })).await?;
    let url = Url::parse(text(&begun["beginLink"], "consentUrl")?)?;
    let mut consent = json!({ "user": user["id"] });
    for (name, value) in url.query_pairs() {
        consent[name.as_ref()] = value.as_ref().into();
    }
    let granted = front.rehearse(Method::POST, &format!("{control}/authorize"), &consent).await?;
    let back = granted.ok_or("the platform did not answer")?;
    let page = front.open(text(&back, "redirect")?).await?;
    if page.contains(owner) { Ok(()) } else { Err(format!("the page does not name {owner}: {page}").into()) }
}

fn random() -> [u8; 32] {
    use domain::kernel::ids::Entropy as _;
    infra::system::System.bytes32()
}

/// A line for each account.
async fn board(front: &Front, token: &str) -> Result<Vec<String>, StartupError> {
    let query = "{ accounts(first: 20) { nodes {
        nickname state tokens { health accessRemainingS renewalsLeft consentEndsAt }
        capabilities { ability way obstacle }
    } } }";
    let answer = front.graphql(token, query, json!({})).await?;
    let accounts = answer["accounts"]["nodes"].as_array().cloned().unwrap_or_default();
    let line = |account: &Value| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tokens = &account["tokens"];
        let days = tokens["accessRemainingS"].as_i64().unwrap_or_default() / 86_400;
        let able: Vec<_> = account["capabilities"].as_array().into_iter().flatten().collect();
        let able: Vec<_> =
            able.iter().filter(|one| one["way"] == "SERVER").map(|one| word(&one["ability"])).collect();
        format!(
            "{}: {}, tokens {} for {days} days and {} renewals, consent until {}; can {}",
            word(&account["nickname"]),
            word(&account["state"]).to_lowercase(),
            word(&tokens["health"]).to_lowercase(),
            tokens["renewalsLeft"],
            word(&tokens["consentEndsAt"]).get(..10).unwrap_or_default(),
            able.join(", ").to_lowercase(),
        )
    };
    Ok(accounts.iter().map(line).collect())
}
