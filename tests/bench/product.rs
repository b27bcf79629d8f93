//! The product's own doors beside the same SQL by `pgbench`: reading a page, and a command.

use std::{fmt::Write as _, path::PathBuf};

use harness::{
    client::{Answer, Client},
    stores::HarnessError,
};
use serde_json::{Value, json};

use crate::{
    installation::Installation,
    load::{Tool, here},
    rounds::{Series, measure},
    seed::Owner,
    table::Table,
};

/// A page of twenty members, five sessions each.
const PAGE: &str = "{ members(first: 20) { nodes { id role status createdAt \
                    sessions(first: 5) { nodes { id createdAt lastSeenAt isCurrent } } } } }";

/// What is left when nothing is asked: the door, the caller, the quotas, the cost, the access event.
const NOTHING: &str = "{ __typename }";

const COMMAND: &str = "mutation ($id: ID!, $role: Role!) { \
                       changeMemberRole(input: { id: $id, role: $role }) { userErrors { code } } }";

/// Members of each tenant that change roles.
const CHANGED: usize = 40;

/// Bytes of the leaf of a changed role, for scripts.
const LEAF_BYTES: &str = "600";

/// Measures reading and the command, and tells of both.
///
/// # Errors
/// The product refused, or a tool failed.
pub(crate) async fn run(installation: &Installation, owners: &[Owner]) -> Result<Table, HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let target = installation.target(Some(&running))?;
    let files = Files { installation, client: &running.client, owners };
    let tools = [
        sql(installation, "read_floor", &script("read_floor")?)?,
        sql(installation, "read_today", &read_today()?)?,
        files.query("page", PAGE, &is_page).await?,
        files.query("nothing", NOTHING, &|answer| answer.data("__typename").is_string()).await?,
        sql(installation, "command_floor", &script("command_floor")?)?,
        files.commands().await?,
    ];
    let series = measure(tools, &target, async || Ok(())).await;
    running.stop().await?;
    let series = series.map_err(|error| format!("{error}\n{}", installation.log()))?;
    Ok(table(&series))
}

fn table([floor, today, page, nothing, command_floor, command]: &[Series; 6]) -> Table {
    let share = |part: &Series, whole: &Series| part.per_s() / whole.per_s() * 100.0;
    let mut table = Table::of_loads("Requests: the whole product");
    table.load("F1: the page as two statements, `pgbench`", floor, "floor");
    table.load(
        "F2: the page as the product asks today, `pgbench`",
        today,
        &format!("{:.0} % of F1", share(today, floor)),
    );
    let reached =
        format!("{:.0} % of F1 (goal: at least 55 %), {:.0} % of F2", share(page, floor), share(page, today));
    table.load("the page over GraphQL", page, &reached);
    let around = nothing.median(|sample| sample.server_us + sample.redis_us);
    table.load(
        "`{ __typename }`",
        nothing,
        &format!("{around:.0} us of server and Redis (goal: at most 100 us)"),
    );
    table.load("F3: the command's transaction, `pgbench`", command_floor, "floor");
    table.load(
        "`changeMemberRole`",
        command,
        &format!("{:.0} % of F3 (no goal)", share(command, command_floor)),
    );
    table
}

/// A script of this folder, with what is not the same everywhere put in.
///
/// # Errors
/// It is not there.
pub(crate) fn script(name: &str) -> Result<String, HarnessError> {
    let text = std::fs::read_to_string(here().join("sql").join(format!("{name}.sql")))?;
    Ok(text.replace("LEAF_BYTES", LEAF_BYTES))
}

/// Has `pgbench` run that text.
///
/// # Errors
/// It can't be written down.
pub(crate) fn sql(installation: &Installation, name: &str, text: &str) -> Result<Tool, HarnessError> {
    let script = installation.dir.join(format!("{name}.sql"));
    std::fs::write(&script, text)?;
    Ok(Tool::Sql { script })
}

/// One transaction for the members and one for the sessions of each.
fn read_today() -> Result<String, HarnessError> {
    let (mut text, sessions) = (script("read_members")?, script("read_sessions")?);
    for member in 0..20 {
        text.push_str(&sessions.replace("MEMBER", &member.to_string()));
    }
    Ok(text)
}

/// Files of requests, each tried once before it is measured.
struct Files<'a> {
    installation: &'a Installation,
    client: &'a Client,
    owners: &'a [Owner],
}

impl Files<'_> {
    /// One query by every owner.
    async fn query(
        &self,
        name: &str,
        query: &str,
        is_right: &(dyn Fn(&Answer) -> bool + Sync),
    ) -> Result<Tool, HarnessError> {
        let mut lines = String::new();
        let mut bytes = 0;
        for owner in self.owners {
            bytes = self.tried(owner, query, json!({}), is_right).await?;
            line(&mut lines, owner, query, &json!({}))?;
        }
        self.written(name, &lines, bytes)
    }

    /// Every owner gives some members one role, then the other.
    async fn commands(&self) -> Result<Tool, HarnessError> {
        let mut ids = Vec::new();
        for owner in self.owners {
            let list = format!("{{ members(first: {}) {{ nodes {{ id }} }} }}", CHANGED + 1);
            let answer = self.client.graphql(&owner.token, &list, json!({})).await?;
            let nodes = answer.data("members")["nodes"].as_array().cloned().unwrap_or_default();
            // The first is the owner itself.
            let changed: Vec<Value> = nodes.iter().skip(1).map(|node| node["id"].clone()).collect();
            if changed.len() != CHANGED {
                return Err(format!("tenant {} has too few members: {}", owner.tenant, answer.body).into());
            }
            ids.push(changed);
        }
        let mut lines = String::new();
        let mut bytes = 0;
        for role in ["ANALYST", "OPERATOR"] {
            for at in 0..CHANGED {
                for (owner, ids) in self.owners.iter().zip(&ids) {
                    let variables = json!({ "id": ids[at], "role": role });
                    if at == 0 {
                        let is_right = |answer: &Answer| {
                            answer.data("changeMemberRole")["userErrors"]
                                .as_array()
                                .is_some_and(Vec::is_empty)
                        };
                        bytes = self.tried(owner, COMMAND, variables.clone(), &is_right).await?;
                    }
                    line(&mut lines, owner, COMMAND, &variables)?;
                }
            }
        }
        self.written("commands", &lines, bytes)
    }

    /// Asks once and gives the answer's length, its head included.
    async fn tried(
        &self,
        owner: &Owner,
        query: &str,
        variables: Value,
        is_right: &(dyn Fn(&Answer) -> bool + Sync),
    ) -> Result<usize, HarnessError> {
        let answer = self.client.graphql(&owner.token, query, variables).await?;
        if answer.status != 200 || !answer.body["errors"].is_null() || !is_right(&answer) {
            return Err(format!("{}: {} {}", owner.tenant, answer.status, answer.body).into());
        }
        let head: usize =
            answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        Ok("HTTP/1.1 200 OK\r\n\r\n".len() + head + answer.body.to_string().len())
    }

    fn written(&self, name: &str, lines: &str, bytes: usize) -> Result<Tool, HarnessError> {
        let requests: PathBuf = self.installation.dir.join(format!("{name}.requests"));
        std::fs::write(&requests, lines)?;
        Ok(Tool::Http { requests, answer_bytes: u32::try_from(bytes)? })
    }
}

fn line(lines: &mut String, owner: &Owner, query: &str, variables: &Value) -> std::fmt::Result {
    let body = json!({ "query": query, "variables": variables });
    writeln!(lines, "{}\t{body}", owner.token)
}

/// Twenty members with five sessions each, all of them with their fields.
fn is_page(answer: &Answer) -> bool {
    let full =
        |list: &Value, count: usize| list["nodes"].as_array().filter(|nodes| nodes.len() == count).cloned();
    full(answer.data("members"), 20).is_some_and(|members| {
        members.iter().all(|member| {
            full(&member["sessions"], 5).is_some_and(|sessions| {
                sessions.iter().all(|session| session["id"].is_string() && session["isCurrent"].is_boolean())
            })
        })
    })
}
