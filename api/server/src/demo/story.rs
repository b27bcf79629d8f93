//! The story: a tenant opens, its owner signs in and invites a member, reads it back, sees it arrive, another tenant
//! is refused, the refusal is found in the log, both demo tenants link accounts, one of them posts a video on three, and
//! an auditor takes a report away and checks it.

use domain::{
    identity::OpenTenant,
    kernel::{
        ids::{ComplianceId, Entropy as _},
        outbox::Origin,
        secret::Secret,
    },
};
use infra::system::System;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    auditing,
    client::{Front, Socket},
    linking, posting,
    stage::Stage,
};
use crate::{dev::Dev, wiring::StartupError};

/// How often, and how long apart, the log is looked into until an event is there.
const LOOKS: (u32, std::time::Duration) = (40, std::time::Duration::from_millis(100));

pub(super) async fn play(dev: &Dev, stage: &mut Stage) -> Result<(), StartupError> {
    let front = Front::new(dev.report.base())?;
    stage.done(&format!("up at {}", dev.report.graphql));

    stage.step("Open a tenant");
    let (slug, password) = open_tenant(dev).await?;
    stage.done(&format!("{slug} is open, with one owner"));

    stage.step("Sign in as its owner");
    let body = json!({ "tenant": slug, "email": "founder@example.com", "password": password });
    let tokens = front.post("/auth/sign-in", &body).await?;
    let token = text(&tokens, "accessToken")?.to_owned();
    let viewer =
        front.graphql(&token, "{ viewer { tenant { slug } member { name role } } }", json!({})).await?;
    stage.done(&format!(
        "signed in to {} as {} ({})",
        viewer["viewer"]["tenant"]["slug"],
        viewer["viewer"]["member"]["name"],
        viewer["viewer"]["member"]["role"]
    ));

    stage.step("Follow what happens to members, on a WebSocket");
    let mut events = Socket::subscribe(
        &dev.report.websocket,
        &token,
        "subscription { memberEvents { kind subjectId at } }",
    )
    .await?;
    stage.done("listening");

    stage.step("Invite an operator, who accepts");
    let invited = invite(&front, &token).await?;
    let accept = json!({ "token": text(&invited, "token")?, "name": "Lin Mei", "password": password });
    front.post("/auth/invitations/accept", &accept).await?;
    stage.done(&format!("invited {}", invited["invitation"]["email"]));

    stage.step("See both arrive on the subscription");
    let mut seen = Vec::new();
    while !seen.iter().any(|kind| kind == "MEMBER_JOINED") {
        let event = events.receive("next").await?;
        seen.push(event["payload"]["data"]["memberEvents"]["kind"].as_str().unwrap_or_default().to_owned());
    }
    stage.done(&seen.join(", "));

    stage.step("Read the member back");
    let query = "{ members(first: 10) { totalCount nodes { id name role } } }";
    let members = front.graphql(&token, query, json!({})).await?;
    let nodes = members["members"]["nodes"].as_array().cloned().unwrap_or_default();
    let member =
        nodes.iter().find(|node| node["name"] == "Lin Mei").ok_or("the member is not in the list")?;
    stage.done(&format!("{} members, one is {}", members["members"]["totalCount"], member["name"]));

    stage.step("Try to suspend that member from another tenant");
    let refusal = trespass(&front, dev, member).await?;
    stage.done(&format!("refused: {}", refusal["userErrors"][0]["message"]));

    stage.step("Find the refusal in the audit log, by its compliance ID");
    let id = text(&refusal, "complianceId")?;
    let events = trail(&front, dev, id).await?;
    stage.done(&format!("{id}: {events}"));
    linking::play(dev, &front, stage).await?;
    posting::play(dev, &front, stage).await?;
    auditing::play(dev, &front, stage).await
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, StartupError> {
    value[name].as_str().ok_or_else(|| format!("{name} is missing in {value}").into())
}

async fn open_tenant(dev: &Dev) -> Result<(String, String), StartupError> {
    let app = &dev.service.parts.app;
    let random = Uuid::from_bytes(*System.bytes32().first_chunk().unwrap_or(&[0; 16])).simple().to_string();
    let (slug, password) = (format!("story-{}", &random[..8]), random[8..].to_owned());
    let draft = OpenTenant {
        slug: slug.clone(),
        name: "Story Tellers".to_owned(),
        owner_email: "founder@example.com".to_owned(),
        owner_name: "Ada Founder".to_owned(),
        owner_password: Secret::from(password.clone()),
    };
    let origin = Origin::system(ComplianceId::new(&*app.ids), "open_tenant");
    app.identity.open_tenant(&origin, draft).await?;
    Ok((slug, password))
}

async fn invite(front: &Front, token: &str) -> Result<Value, StartupError> {
    let mutation = "mutation ($key: String!, $input: InviteMemberInput!) {
        inviteMember(input: $input) @idempotent(key: $key) {
            invitation { email role } token userErrors { code message }
        }
    }";
    let input = json!({ "email": "lin.mei@example.com", "role": "OPERATOR" });
    let answer = front.graphql(token, mutation, json!({ "key": "story-invite", "input": input })).await?;
    Ok(answer["inviteMember"].clone())
}

async fn trespass(front: &Front, dev: &Dev, member: &Value) -> Result<Value, StartupError> {
    let mutation = "mutation ($input: SuspendMemberInput!) {
        suspendMember(input: $input) { userErrors { code message } complianceId }
    }";
    let variables = json!({ "input": { "id": member["id"] } });
    let answer = front.graphql(demo_token(dev, "owner")?, mutation, variables).await?;
    let refusal = answer["suspendMember"].clone();
    if refusal["userErrors"][0]["code"] == "NOT_FOUND" {
        Ok(refusal)
    } else {
        Err(format!("another tenant was not refused: {refusal}").into())
    }
}

/// The token of a member of the second demo tenant.
pub(super) fn demo_token<'a>(dev: &'a Dev, role: &str) -> Result<&'a str, StartupError> {
    let members = dev.report.tenants.last().into_iter().flat_map(|tenant| &tenant.members);
    let member = members.into_iter().find(|member| member.role == role);
    member.map(|member| member.access_token.as_str()).ok_or_else(|| format!("no demo {role}").into())
}

async fn trail(front: &Front, dev: &Dev, id: &str) -> Result<String, StartupError> {
    let query =
        "query ($id: ID!) { auditTrail(complianceId: $id) { events { stream index type outcome reason } } }";
    let auditor = demo_token(dev, "auditor")?;
    let (looks, pause) = LOOKS;
    for _ in 0..looks {
        let answer = front.graphql(auditor, query, json!({ "id": id })).await?;
        let events = answer["auditTrail"]["events"].as_array().cloned().unwrap_or_default();
        let told = events.iter().map(|event| {
            let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} #{} {} {} {}",
                word("stream"),
                word("index"),
                word("type"),
                word("outcome"),
                word("reason")
            )
        });
        if events.iter().any(|event| event["type"] == "suspend_member") && events.len() >= 2 {
            return Ok(told.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("; "));
        }
        tokio::time::sleep(pause).await;
    }
    Err("the refusal did not appear in the audit log".into())
}
