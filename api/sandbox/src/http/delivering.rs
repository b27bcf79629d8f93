//! Sends webhooks when they are due on the virtual clock, and tells the model what came of it.

use std::{
    collections::HashSet,
    error::Error as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use crate::{
    engine::Engine,
    platform::hooks::{Outcome, Parcel},
};

/// The most that is read of a receiver's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// How long it is before what could not be written down is told again, at first and at most.
const TELLING_WAIT_MIN: Duration = Duration::from_millis(250);
const TELLING_WAIT_MAX: Duration = Duration::from_mins(1);

/// Sends for as long as it is let.
pub(super) async fn run(engine: Arc<Engine>) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "webhooks can't be sent"),
    };
    let on_their_way = Arc::new(Mutex::new(HashSet::new()));
    loop {
        let changed = engine.changed.notified();
        let (parcels, wait_ms) = match engine.due() {
            Ok(due) => due,
            Err(error) => return tracing::error!(%error, "webhooks are not sent any more"),
        };
        for parcel in parcels {
            let number = parcel.number;
            let fresh = on_their_way.lock().is_ok_and(|mut numbers| numbers.insert(number));
            if fresh {
                let (engine, client, on_their_way) =
                    (Arc::clone(&engine), client.clone(), Arc::clone(&on_their_way));
                tokio::spawn(async move {
                    let outcome = send(&client, &parcel).await;
                    tell(&engine, number, &outcome).await;
                    // Off the list only when told, or it would be found due once more; and who looked meanwhile looks
                    // again, for it may be due a second time.
                    if let Ok(mut numbers) = on_their_way.lock() {
                        numbers.remove(&number);
                    }
                    engine.changed.notify_waiters();
                });
            }
        }
        let wait = wait_ms.and_then(|wait_ms| u64::try_from(wait_ms).ok()).map(Duration::from_millis);
        match wait {
            Some(wait) => drop(tokio::time::timeout(wait, changed).await),
            None => changed.await,
        }
    }
}

/// Tells the model, and where it can't be written down tries again, each time later. The parcel is not sent meanwhile.
async fn tell(engine: &Engine, number: i64, outcome: &Outcome) {
    let mut wait = TELLING_WAIT_MIN;
    while let Err(error) = engine.delivered(number, outcome.clone()) {
        if engine.is_closed() {
            return;
        }
        tracing::error!(%error, "a delivery was not written down");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(TELLING_WAIT_MAX);
    }
}

async fn send(client: &reqwest::Client, parcel: &Parcel) -> Outcome {
    let request = client
        .post(&parcel.url)
        .timeout(Duration::from_millis(parcel.timeout_ms))
        .header("content-type", "application/json")
        .header("x-douyin-signature", &parcel.signature)
        .header("msg-id", &parcel.msg_id)
        .body(parcel.body.clone());
    let failed =
        |error: &reqwest::Error| Outcome { status: None, error: Some(reason(error)), challenge: None };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return failed(&error),
    };
    let status = response.status().as_u16();
    match read(response).await {
        Ok(body) => {
            let answer = serde_json::from_slice::<Value>(&body).unwrap_or_default();
            Outcome { status: Some(status), error: None, challenge: answer.get("challenge").cloned() }
        }
        Err(error) => failed(&error),
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

/// The innermost cause: it names no address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "failed".to_owned(), ToString::to_string)
}
