//! The end of the story: an auditor takes a report away, checks it without the service, and sees a changed byte found.

use std::{path::Path, time::Duration};

use domain::{compliance::report::time_of, kernel::clock::Clock as _};
use infra::system::System;
use matricula_verify::{Anchors, Demands, KeptHead, Refusal, Verdict, container::Zip, verify};
use serde_json::json;

use super::{
    client::{Front, Socket},
    stage::Stage,
    story::{demo_token, text},
};
use crate::{
    dev::{Dev, authority_root},
    wiring::StartupError,
};

/// How long after it happens an event may come into the log, as this auditor has it.
const LATENESS_S: u64 = 1;

/// Where its first rows are behind a file's name, in bytes.
const ROWS_BEHIND: usize = 200;

pub(super) async fn play(dev: &Dev, front: &Front, stage: &mut Stage) -> Result<(), StartupError> {
    let token = demo_token(dev, "auditor")?;
    stage.step("As an auditor, keep the head of the sign-in log, and whom to believe about it");
    let until = time_of(System.now())?;
    // A head that was signed so long after the period shows that nothing of it was left out.
    tokio::time::sleep(Duration::from_secs(LATENESS_S) + Duration::from_millis(1_100)).await;
    let query = "{ auditCheckpoint(stream: IAM) { size note verifierKeys } platformCheckpoint { policy } }";
    let kept = front.graphql(token, query, json!({})).await?;
    let (head, seen_at) = (&kept["auditCheckpoint"], time_of(System.now())?);
    let keys = head["verifierKeys"].as_array().into_iter().flatten().filter_map(|key| key.as_str());
    let logs = keys.fold(String::new(), |lines, key| lines + "log " + key + "\n");
    let policy = format!("{logs}{}", text(&kept["platformCheckpoint"], "policy")?);
    stage.done(&format!("{} events, and a policy of {} lines", text(head, "size")?, policy.lines().count()));

    stage.step("Ask for a report: every sign-in up to now");
    let mutation = "mutation ($i: RequestReportInput!) {
        requestReport(input: $i) { report { id } userErrors { message } } }";
    let input = json!({ "kind": "SIGN_INS", "until": until.to_string(), "keptSizes": [head["size"]] });
    let asked = front.graphql(token, mutation, json!({ "i": input })).await?;
    let refused = asked["requestReport"]["userErrors"][0]["message"].as_str();
    if let Some(refused) = refused {
        return Err(format!("no report was made: {refused}").into());
    }
    let id = text(&asked["requestReport"]["report"], "id")?;
    let follow = format!("subscription {{ reportProgress(id: \"{id}\") {{ state donePermille }} }}");
    let mut progress = Socket::subscribe(&dev.report.websocket, token, &follow).await?;
    loop {
        let told = progress.receive("next").await?;
        match told["payload"]["data"]["reportProgress"]["state"].as_str() {
            Some("MAKING") => {}
            Some("READY") => break,
            _ => return Err(format!("no report was made: {told}").into()),
        }
    }
    let query = "query ($id: ID!) { report(id: $id) { url rows end sizeBytes sha256 } }";
    let report = front.graphql(token, query, json!({ "id": id })).await?["report"].take();
    let bundle = front.fetch(token, text(&report, "url")?).await?;
    let folder = dev.dir.join("auditor");
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in [
        ("report.zip", bundle.as_slice()),
        ("log-policy", policy.as_bytes()),
        ("kept-checkpoint", text(head, "note")?.as_bytes()),
    ] {
        std::fs::write(folder.join(name), bytes)?;
    }
    stage.done(&format!(
        "{} rows, among all {} events, {} bytes in {}",
        text(&report, "rows")?,
        text(&report, "end")?,
        bundle.len(),
        folder.join("report.zip").display()
    ));

    stage.step("Check it as on another machine: no network, no keys but those that were kept");
    let root = std::fs::read(authority_root(&dev.dir))?;
    let anchors = Anchors::new(&root, None, &policy)?;
    let tenant = dev.report.tenants.last().map(|tenant| tenant.id.to_string());
    let kept = KeptHead {
        name: "kept-checkpoint".to_owned(),
        note: text(head, "note")?.as_bytes().to_vec(),
        seen_at: Some(seen_at),
    };
    let demands = Demands {
        tenant,
        stream: Some("iam".to_owned()),
        kind: Some("sign_ins".to_owned()),
        until: Some(until),
        lateness_s: Some(LATENESS_S),
        heads: vec![kept],
        ..Demands::at(time_of(System.now())?)
    };
    let (steps, verdict) = checked(bundle.clone(), &anchors, &demands);
    let verdict = verdict.map_err(|refusal| format!("the report was refused: {refusal}"))?;
    if !verdict.is_complete {
        return Err(format!("the report is not shown to be whole: {:?}", verdict.remarks).into());
    }
    stage.done(&format!(
        "{steps} steps passed: authentic, unchanged and complete, signed by {}",
        verdict.signer
    ));

    stage.step("Change one byte of its rows, and check again");
    let mut changed = bundle;
    let name = b"report.csv";
    let at = changed.windows(name.len()).position(|bytes| bytes == name).unwrap_or_default() + ROWS_BEHIND;
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1;
    }
    let (steps, verdict) = checked(changed, &anchors, &demands);
    let Err(refusal) = verdict else { return Err("a changed byte was not found".into()) };
    stage.done(&format!("refused after {steps} steps: {refusal}"));
    told(stage, &dev.dir, &folder, &seen_at.to_string());
    Ok(())
}

/// How many steps passed, and what came of it.
fn checked(bundle: Vec<u8>, anchors: &Anchors, demands: &Demands) -> (u32, Result<Verdict, Refusal>) {
    let mut steps = 0;
    let verdict =
        Zip::in_memory(bundle).and_then(|bundle| verify(&bundle, anchors, demands, &mut |_, _| steps += 1));
    (steps, verdict)
}

/// How to do the same by hand.
fn told(stage: &Stage, dir: &Path, folder: &Path, seen_at: &str) {
    let folder = folder.display();
    stage.note(&format!(
        "the same by hand: cargo run -q -p matricula-verify -- --root {} --policy {folder}/log-policy --lateness {LATENESS_S} \
         --head {folder}/kept-checkpoint@{seen_at} {folder}/report.zip",
        authority_root(dir).display()
    ));
}
