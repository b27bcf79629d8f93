//! A host whose every decision a test can set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_graphql::{Request, Value};
use async_trait::async_trait;
use tokio::sync::watch;
use transport::{
    Admission, AnswerLog, AnswerRecord, Ask, Bucket, Credentials, ErrorCode, Host, OperationInfo,
    OperationRecord, OutputRecord, Refusal, StreamPermit,
};
use uuid::Uuid;

/// The product's side, for tests.
pub(crate) struct ToyHost {
    pub(crate) records: Mutex<Vec<OperationRecord<String>>>,
    pub(crate) answers: Mutex<Vec<AnswerRecord>>,
    pub(crate) can_record: AtomicBool,
    pub(crate) allows_free_documents: AtomicBool,
    pub(crate) allows_introspection: AtomicBool,
    /// Points left in the one bucket.
    pub(crate) points: AtomicU64,
    /// Places for streaming operations.
    pub(crate) streams: Arc<AtomicUsize>,
    pub(crate) revoked: watch::Sender<bool>,
    pub(crate) trusted: HashMap<String, Arc<str>>,
    pub(crate) authentications: AtomicU64,
    pub(crate) outputs: Mutex<Vec<OutputRecord>>,
}

impl Default for ToyHost {
    fn default() -> Self {
        let trusted = [
            ("sha256:hello", "query Hello { hello }"),
            ("sha256:create", "mutation { createPost(input: { title: \"t\" }) { post { id } } }"),
        ];
        Self {
            records: Mutex::default(),
            answers: Mutex::default(),
            can_record: true.into(),
            allows_free_documents: true.into(),
            allows_introspection: true.into(),
            points: 2_000.into(),
            streams: Arc::new(500.into()),
            revoked: watch::channel(false).0,
            trusted: trusted.map(|(id, text)| (id.to_owned(), text.into())).into(),
            authentications: AtomicU64::default(),
            outputs: Mutex::default(),
        }
    }
}

impl ToyHost {
    fn bucket(&self) -> Bucket {
        Bucket {
            policy: "points".into(),
            maximum_available: 2_000,
            currently_available: self.points.load(Ordering::SeqCst),
            restore_rate_per_s: 100,
            reset_after_s: 3,
        }
    }

    fn caller(token: &str) -> Result<Option<String>, Refusal> {
        match token {
            "expired" => Err(Refusal::new(ErrorCode::Unauthenticated, "the token has expired")),
            "down" => Err(Refusal::new(ErrorCode::Unavailable, "sign-in is away").retry_after(5)),
            name => Ok(Some(name.to_owned())),
        }
    }
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Host for ToyHost {
    type Caller = String;

    fn next_id(&self) -> Uuid {
        next_id()
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<String>, Refusal> {
        self.authentications.fetch_add(1, Ordering::SeqCst);
        if let Some(Value::Object(payload)) = &credentials.connection_init
            && let Some(Value::String(token)) = payload.get("token")
        {
            return Self::caller(token);
        }
        if let Some(name) = credentials.cookie.as_deref().and_then(|cookie| cookie.strip_prefix("session=")) {
            return Self::caller(name);
        }
        match credentials.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) => Self::caller(token),
            None => Ok(None),
        }
    }

    async fn admit(&self, _caller: Option<&String>, ask: &Ask<'_>) -> Result<Admission, Refusal> {
        let take = |points: u64| points.checked_sub(ask.requested_cost);
        match self.points.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Ok(Admission { bucket: Some(self.bucket()) }),
            Err(_) => Err(Refusal::new(ErrorCode::Throttled, "too many points")
                .retry_after(7)
                .bucket(self.bucket())),
        }
    }

    async fn settle(&self, _caller: Option<&String>, requested_cost: u64, actual_cost: u64) {
        self.points.fetch_add(requested_cost - actual_cost, Ordering::SeqCst);
    }

    fn prepare(
        &self,
        request: Request,
        _caller: Option<&String>,
        _operation: &Arc<OperationInfo>,
    ) -> Request {
        request
    }

    async fn record(&self, record: OperationRecord<String>) {
        self.records.lock().unwrap().push(record);
    }

    fn note_output(&self, output: OutputRecord) {
        self.outputs.lock().unwrap().push(output);
    }

    fn can_record(&self) -> bool {
        self.can_record.load(Ordering::SeqCst)
    }

    async fn ended(&self, _caller: &String) {
        let mut revoked = self.revoked.subscribe();
        if revoked.wait_for(|revoked| *revoked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn reserve_stream(&self, _caller: Option<&String>) -> Result<StreamPermit, Refusal> {
        let taken =
            self.streams.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |places| places.checked_sub(1));
        match taken {
            Ok(_) => Ok(Box::new(Place(Arc::clone(&self.streams)))),
            Err(_) => Err(Refusal::new(ErrorCode::Throttled, "too many streams")),
        }
    }

    fn allow_introspection(&self, _caller: Option<&String>) -> bool {
        self.allows_introspection.load(Ordering::SeqCst)
    }

    fn allow_free_documents(&self, _caller: Option<&String>) -> bool {
        self.allows_free_documents.load(Ordering::SeqCst)
    }

    fn allow_large_body(&self, caller: Option<&String>) -> bool {
        caller.is_some_and(|caller| caller == "large")
    }

    fn trusted_document(&self, id: &str) -> Option<Arc<str>> {
        self.trusted.get(id).cloned()
    }

    fn allow_origin(&self, origin: &str) -> bool {
        origin == "https://app.example"
    }
}

#[async_trait]
impl AnswerLog for ToyHost {
    fn next_id(&self) -> Uuid {
        next_id()
    }

    fn allow_origin(&self, origin: &str) -> bool {
        Host::allow_origin(self, origin)
    }

    async fn record(&self, record: AnswerRecord) {
        self.answers.lock().unwrap().push(record);
    }
}

#[expect(clippy::disallowed_methods, reason = "the toy is its own source of IDs")]
fn next_id() -> Uuid {
    Uuid::now_v7()
}
