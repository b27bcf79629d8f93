//! A transport for tests, which answers as it was told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use domain::kernel::{
    ids::{AppId, TenantId},
    scope::TenantScope,
    secret::Secret,
};
use url::Url;
use uuid::Uuid;

use super::{
    call::{Call, Line, Method, Reply, SendFault, Transport},
    count::Judgement,
    observe::{OutboundEvent, OutboundObserver},
};

/// Gives the answers it holds, one a call, then good ones without end.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Result<Reply, SendFault>>>,
    each_ms: Mutex<VecDeque<u64>>,
    calls: Mutex<Vec<Call>>,
    /// Calls under way, and the most there were.
    under_way: Mutex<(usize, usize)>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Result<Reply, SendFault>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    /// How long each call takes, in milliseconds; the others take no time.
    pub(crate) fn taking(self, each_ms: impl IntoIterator<Item = u64>) -> Self {
        Self { each_ms: Mutex::new(each_ms.into_iter().collect()), ..self }
    }

    pub(crate) fn good() -> Result<Reply, SendFault> {
        Self::answer(200, "{}")
    }

    pub(crate) fn status(status: u16) -> Result<Reply, SendFault> {
        Self::answer(status, "<html></html>")
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a transport answers")]
    pub(crate) fn answer(status: u16, body: &str) -> Result<Reply, SendFault> {
        Ok(Reply { status, body: Secret::from(body.to_owned()) })
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.under_way.lock().unwrap().1
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        self.calls.lock().unwrap().push(call.clone());
        let took = self.each_ms.lock().unwrap().pop_front();
        let answer = self.answers.lock().unwrap().pop_front();
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        if let Some(ms) = took.filter(|ms| *ms > 0) {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.under_way.lock().unwrap().0 -= 1;
        answer.unwrap_or_else(Self::good)
    }
}

/// A call with a token wherever one may be.
pub(crate) fn call() -> Call {
    Call {
        scope: TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1))),
        line: Line { platform: "somewhere", app: AppId::from_uuid(Uuid::from_u128(2)), endpoint: "userinfo" },
        account: None,
        method: Method::Post,
        url: Url::parse("https://platform.example/oauth/userinfo/?token=act.1").unwrap(),
        headers: vec![("access-token", Secret::from("act.1".to_owned()))],
        body: Some(Secret::from("access_token=act.1&open_id=7".to_owned())),
        repeatable: true,
        patience: None,
        judge: |_| Judgement::Unclear,
    }
}

pub(crate) type Told = Arc<Mutex<Vec<OutboundEvent>>>;

/// An observer that takes down what it is told.
pub(crate) fn told() -> (OutboundObserver, Told) {
    let events = Told::default();
    let heard = Arc::clone(&events);
    (Arc::new(move |event| heard.lock().unwrap().push(event)), events)
}
