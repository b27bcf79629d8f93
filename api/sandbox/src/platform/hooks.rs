//! Webhooks: which events go to whom, signed how, and tried again when.
//!
//! Sending is not done here. [`Platform::parcels_due`] says what is to be sent now, and [`Platform::delivered`] is told
//! what came of it. A parcel whose outcome was never told is due again: deliveries are at least once.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{Platform, calendar, chance::hex};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Waiting,
    Delivered,
    GivenUp,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The answer's status, when there was one.
    pub(crate) status: Option<u16>,
    /// Why there was none, in short.
    pub(crate) error: Option<String>,
    /// `challenge` of the answer's JSON.
    pub(crate) challenge: Option<Value>,
}

/// One try.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) at_ms: i64,
    pub(crate) wall_ms: i64,
    pub(crate) outcome: Outcome,
}

/// One event on its way.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) number: i64,
    pub(crate) msg_id: String,
    pub(crate) client_key: String,
    pub(crate) event: String,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) signature: String,
    pub(crate) emitted_ms: i64,
    pub(crate) due_ms: i64,
    pub(crate) state: State,
    pub(crate) attempts: Vec<Attempt>,
    /// The integer to be sent back, when the address is being tried before it is saved.
    challenge: Option<i64>,
    /// Deliveries to be made after the first that succeeded.
    repeats: usize,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) number: i64,
    pub(crate) msg_id: String,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) signature: String,
    pub(crate) timeout_ms: u64,
}

/// All deliveries.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    pub(crate) all: Vec<Delivery>,
}

/// Lower-case hex of SHA-1 over the secret and then the body, as bytes.
pub(crate) fn sign(secret: &str, body: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(secret.as_bytes());
    hash.update(body.as_bytes());
    hex(&hash.finalize())
}

impl Platform {
    /// An event, when the app has an address and wants it. Users are named as the app knows them.
    pub(crate) fn emit(
        &mut self,
        client_key: &str,
        event: &str,
        from: &str,
        to: Option<&str>,
        content: Value,
    ) {
        let wanted = self.apps.get(client_key).and_then(|app| app.subscriptions.get(event)).copied();
        if wanted == Some(true) {
            self.emit_always(client_key, event, from, to, content);
        }
    }

    /// An event, whether it is wanted or not: mock events are.
    pub(crate) fn emit_always(
        &mut self,
        client_key: &str,
        event: &str,
        from: &str,
        to: Option<&str>,
        content: Value,
    ) -> bool {
        let name = |user: &str| if user.is_empty() { String::new() } else { self.open_id(client_key, user) };
        let newer = self.switches.webhook_string_content.iter().any(|newer| newer == event);
        let content = if newer { Value::String(content.to_string()) } else { content };
        let mut body = json!({
            "event": event, "client_key": client_key, "from_user_id": name(from), "content": content,
        });
        if let Some(to) = to {
            body["to_user_id"] = name(to).into();
        }
        if newer {
            body["log_id"] = self.log_id().into();
        }
        let Some(url) = self.apps.get(client_key).and_then(|app| app.webhook_url.clone()) else {
            return false;
        };
        let repeats = self.next("event").to_string();
        let repeats = self.chance.happens("duplicate", &[&repeats], self.switches.webhook_duplicate_permille);
        self.post_parcel(client_key, event, &url, &body, None);
        if let Some(delivery) = self.hooks.all.last_mut() {
            delivery.repeats = usize::from(repeats);
        }
        true
    }

    /// Tries an address before it is saved. Says the delivery's number; `None` when there is no such app.
    pub(crate) fn challenge(&mut self, client_key: &str, url: &str) -> Option<i64> {
        self.apps.get(client_key)?;
        let label = self.next("challenge").to_string();
        let challenge = self.chance.between("challenge", &[&label], 10_000, 99_999_999);
        let body = json!({ "event": "verify_webhook", "client_key": client_key, "content": { "challenge": challenge } });
        Some(self.post_parcel(client_key, "verify_webhook", url, &body, Some(challenge)))
    }

    fn post_parcel(
        &mut self,
        app: &str,
        event: &str,
        url: &str,
        body: &Value,
        challenge: Option<i64>,
    ) -> i64 {
        let body = body.to_string();
        let number = self.next("delivery");
        let delivery = Delivery {
            number,
            msg_id: self.chance.uuid("msg_id", &[&number.to_string()]),
            client_key: app.to_owned(),
            event: event.to_owned(),
            url: url.to_owned(),
            signature: sign(self.apps.get(app).map_or("", |app| app.signing_secret()), &body),
            body,
            emitted_ms: self.now_ms(),
            due_ms: self.now_ms(),
            state: State::Waiting,
            attempts: Vec::new(),
            challenge,
            repeats: 0,
        };
        self.hooks.all.push(delivery);
        number
    }

    /// What is due at an instant, in the order of sending.
    pub(crate) fn parcels_due(&self, at_ms: i64) -> Vec<Parcel> {
        let due = |delivery: &&Delivery| delivery.state == State::Waiting && delivery.due_ms <= at_ms;
        let mut deliveries: Vec<_> = self.hooks.all.iter().filter(due).collect();
        if self.switches.webhook_shuffle {
            deliveries.sort_by_key(|delivery| self.chance.number("shuffle", &[&delivery.number.to_string()]));
        }
        deliveries.into_iter().map(|delivery| self.parcel(delivery)).collect()
    }

    fn parcel(&self, delivery: &Delivery) -> Parcel {
        Parcel {
            number: delivery.number,
            msg_id: delivery.msg_id.clone(),
            url: delivery.url.clone(),
            body: delivery.body.clone(),
            signature: delivery.signature.clone(),
            timeout_ms: self.switches.webhook_timeout_ms,
        }
    }

    /// When the next delivery will be due that is not yet.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        let waits =
            |delivery: &&Delivery| delivery.state == State::Waiting && delivery.due_ms > self.now_ms();
        self.hooks.all.iter().filter(waits).map(|delivery| delivery.due_ms).min()
    }

    pub(crate) fn delivery(&self, number: i64) -> Option<&Delivery> {
        let index = usize::try_from(number - 1).ok()?;
        self.hooks.all.get(index)
    }

    /// What came of sending a parcel. Success is 200; an address on trial must send its challenge back as the integer it
    /// was.
    pub(crate) fn delivered(&mut self, number: i64, outcome: Outcome) {
        let (at_ms, wall_ms) = (self.step.now_ms, self.step.wall_ms);
        let (tries, disable_after) = (self.switches.webhook_tries, self.switches.webhook_disable_after);
        let backoff_s = self.switches.webhook_backoff_s.clone();
        let Some(delivery) = usize::try_from(number - 1).ok().and_then(|index| self.hooks.all.get_mut(index))
        else {
            return;
        };
        let accepted = outcome.status == Some(200)
            && delivery.challenge.is_none_or(|integer| outcome.challenge == Some(Value::from(integer)));
        delivery.attempts.push(Attempt { at_ms, wall_ms, outcome });
        let (made, on_trial) = (delivery.attempts.len(), delivery.challenge.is_some());
        if accepted {
            delivery.state = if delivery.repeats == 0 { State::Delivered } else { State::Waiting };
            delivery.repeats = delivery.repeats.saturating_sub(1);
        } else if on_trial || made >= tries {
            delivery.state = State::GivenUp;
        } else {
            let wait_s = backoff_s.get(made - 1).or(backoff_s.last()).copied().unwrap_or_default();
            delivery.due_ms = at_ms + wait_s * calendar::SECOND_MS;
        }
        let url = delivery.url.clone();
        let Some(app) = self.apps.get_mut(&delivery.client_key) else { return };
        match (on_trial, accepted) {
            (true, true) => app.webhook_url = Some(url),
            (true, false) => {}
            (false, true) => app.webhook_failures = 0,
            (false, false) => {
                app.webhook_failures += 1;
                if app.webhook_failures >= disable_after {
                    app.subscriptions.values_mut().for_each(|on| *on = false);
                }
            }
        }
    }

    /// The identifier of an answer, as the platform writes them: time and twenty characters.
    pub(crate) fn log_id(&self) -> String {
        let time = chrono::DateTime::from_timestamp_millis(self.step.now_ms + 8 * calendar::HOUR_MS)
            .map(|at| at.format("%Y%m%d%H%M%S").to_string())
            .unwrap_or_default();
        format!("{time}{}", self.chance.hex("log", &[&self.step.call.to_string()], 20).to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Outcome, Platform, sign};
    use crate::platform::cast::AppDraft;

    /// A platform whose app has an address.
    fn platform() -> (Platform, String) {
        let mut platform = Platform::new(7);
        platform.begin(1_000, String::new());
        let app = platform.add_app(AppDraft::default()).expect("a new app").client_key;
        platform.apps.get_mut(&app).expect("there").webhook_url = Some("http://x.invalid/".to_owned());
        (platform, app)
    }

    #[test]
    fn events_are_sent_in_order_or_shuffled_by_the_seed() {
        let (mut platform, app) = platform();
        for _ in 0..8 {
            platform.emit_always(&app, "authorize", "", None, json!({}));
        }
        let numbers = |platform: &Platform| {
            platform.parcels_due(1_000).iter().map(|parcel| parcel.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&platform), [1, 2, 3, 4, 5, 6, 7, 8]);
        platform.switches.webhook_shuffle = true;
        let mut shuffled = numbers(&platform);
        assert_eq!(shuffled, numbers(&platform));
        assert_ne!(shuffled, [1, 2, 3, 4, 5, 6, 7, 8]);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(platform.parcels_due(999).is_empty(), "not before they are due");
    }

    #[test]
    fn success_is_200_alone_and_what_is_delivered_is_not_due() {
        for (status, due) in [(200, false), (201, true), (204, true), (302, true), (500, true)] {
            let (mut platform, app) = platform();
            platform.emit_always(&app, "authorize", "", None, json!({}));
            platform.delivered(1, Outcome { status: Some(status), error: None, challenge: None });
            assert_eq!(platform.parcels_due(i64::MAX).len(), usize::from(due), "{status}");
        }
        let (mut platform, _) = platform();
        platform.delivered(99, Outcome { status: Some(200), error: None, challenge: None });
    }

    #[test]
    fn signatures_are_those_of_the_documents() {
        let body =
            r#"{"event":"verify_webhook","client_key":"awsbx0demo0key1","content":{"challenge":48213}}"#;
        assert_eq!(sign("sbx_secret_7f3a91", body), "82974d6e6dc976aa39c0572f4a2d25853f52d8be");
    }
}
