//! The product's own doors beside the same SQL by `pgbench`: reading a page, and a command.

use harness::{client::Answer, stores::HarnessError};
use serde_json::{Value, json};

use crate::{
    goals::{Goal, rate},
    installation::Installation,
    load::{Tool, here},
    requests::{PAGE, Requests, is_page, line},
    rounds::{Series, measure},
    seed::Owner,
    table::Table,
};

/// What is left when nothing is asked: the door, the caller, the quotas, the cost, the access event.
pub(crate) const NOTHING: &str = "{ __typename }";

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
pub(crate) async fn run(
    installation: &Installation,
    owners: &[Owner],
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let narrow = Box::pin(installation.serve_beside(1)).await?;
    let target = installation.target(Some(&running))?;
    let requests = Requests { client: &running.client, service: running.service(), dir: &installation.dir };
    let narrowly = Requests { client: &narrow.client, service: narrow.service(), dir: &installation.dir };
    let tokens: Vec<&str> = owners.iter().map(|owner| owner.token.as_str()).collect();
    let is_named = |answer: &Answer| answer.data("__typename").is_string();
    let tools = [
        sql(installation, "read_floor", &script("read_floor")?)?,
        sql(installation, "read_pipelined", &pipelined(&script("read_floor")?))?,
        requests.query("page", &tokens, PAGE, &is_page).await?.0,
        narrowly.query("narrow_page", &tokens, PAGE, &is_page).await?.0,
        requests.query("nothing", &tokens, NOTHING, &is_named).await?.0,
        sql(installation, "command_floor", &script("command_floor")?)?,
        commands(&requests, owners).await?,
    ];
    let series = measure(tools, &target, async || Ok(())).await;
    let key_calls = running.figure("matricula_key_provider_calls_total").await;
    let answers = running.figure("matricula_answers_total").await;
    let log = running.stop().await? + &narrow.stop().await?;
    let series = series.map_err(|error| format!("{error}\n{log}"))?;
    let (mut table, goals) = told(&series);
    let (key_calls, answers) = (key_calls?, answers?);
    table.note(format!(
        "Key provider: {key_calls} calls for {answers} requests, {:.2} for 1,000.",
        key_calls * 1000.0 / answers
    ));
    Ok((table, goals))
}

/// The same transaction with all its statements sent at once, as a driver that pipelines would.
fn pipelined(script: &str) -> String {
    script.replace("BEGIN;", "\\startpipeline\nBEGIN;").replace("COMMIT;", "COMMIT;\n\\endpipeline")
}

fn told(
    [floor, pipelined, page, narrow, nothing, command_floor, command]: &[Series; 7],
) -> (Table, Vec<Goal>) {
    let of_floor = page.beside(floor, rate).percent();
    let around = nothing.rounds(|sample| sample.server_us + sample.redis_us);
    let of_command_floor = command.beside(command_floor, rate).percent();
    let mut table = Table::of_loads("Requests: the whole product");
    table.load("F1: the page as two statements, `pgbench`", floor, "floor");
    let of_pipelined = pipelined.beside(floor, rate).percent();
    let gain = format!("{} of F1", of_pipelined.told("%"));
    table.load("the same in a pipeline, `pgbench`: what a pipelined driver could gain", pipelined, &gain);
    table.load("the page over GraphQL, 2 workers", page, &format!("{} of F1", of_floor.told("%")));
    let of_narrow = narrow.beside(floor, rate).percent();
    table.load("the page over GraphQL, 1 worker", narrow, &format!("{} of F1", of_narrow.told("%")));
    table.load("`{ __typename }`", nothing, &format!("{} of server and Redis", around.told("us")));
    table.load("F3: the command's transaction, `pgbench`", command_floor, "floor");
    table.load("`changeMemberRole`", command, &format!("{} of F3", of_command_floor.told("%")));
    let goals = vec![
        Goal::at_least(
            "the page of 20 accounts x 5 posts beside the same SQL by `pgbench`",
            "%",
            [55.0, 70.0],
            of_floor,
        ),
        Goal::at_most("everything around a request, processor time", "us", [100.0, 60.0], around),
    ];
    (table, goals)
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

/// Every owner gives some members one role, then the other.
async fn commands(requests: &Requests<'_>, owners: &[Owner]) -> Result<Tool, HarnessError> {
    let mut ids = Vec::new();
    for owner in owners {
        let list = format!("{{ members(first: {}) {{ nodes {{ id }} }} }}", CHANGED + 1);
        let answer = requests.client.graphql(&owner.token, &list, json!({})).await?;
        let nodes = answer.data("members")["nodes"].as_array().cloned().unwrap_or_default();
        // The first is the owner itself.
        let changed: Vec<Value> = nodes.iter().skip(1).map(|node| node["id"].clone()).collect();
        if changed.len() != CHANGED {
            return Err(format!("tenant {} has too few members: {}", owner.tenant, answer.body).into());
        }
        ids.push(changed);
    }
    let is_done =
        |answer: &Answer| answer.data("changeMemberRole")["userErrors"].as_array().is_some_and(Vec::is_empty);
    let (mut lines, mut bytes) = (String::new(), 0);
    for role in ["ANALYST", "OPERATOR"] {
        for at in 0..CHANGED {
            for (owner, ids) in owners.iter().zip(&ids) {
                let variables = json!({ "id": ids[at], "role": role });
                if at == 0 {
                    bytes = requests.tried(&owner.token, COMMAND, variables.clone(), &is_done).await?.1;
                }
                line(&mut lines, &owner.token, COMMAND, &variables)?;
            }
        }
    }
    requests.written("commands", &lines, bytes)
}
