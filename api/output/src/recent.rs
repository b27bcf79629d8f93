//! Values that many readers are sent at once: each selection of such a value is written once.
//!
//! A text is a function of the value and the plan alone, since writing sees no request: neither caller nor variables
//! can be in it. What has something to ask for is written for each reader by itself.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, ServerResult, Value};

use crate::object::Handle;
use crate::plan::{AstField, Kind, Plan};
use crate::value::Output;
use crate::written::{Way, resolve};

/// Most selections of one value that are kept; others are written each time.
const TEXTS_MAX: usize = 8;

struct Kept<T> {
    value: T,
    /// By fingerprint of the plan.
    texts: Mutex<Vec<(Box<[u8]>, Value)>>,
}

/// A value as it is handed to one reader; the same GraphQL type as `T`.
pub struct Shared<T>(Arc<Kept<T>>);

/// The newest of the values shared, by keys that say all that is in them.
pub struct Recent<K, T> {
    kept: Mutex<VecDeque<(K, Arc<Kept<T>>)>>,
    most: usize,
}

impl<K: PartialEq, T> Recent<K, T> {
    /// Keeps at most so many. A value that is gone is made again, and written again.
    pub fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most: most.max(1) }
    }

    /// The value with this key, made unless it is kept. `make` must depend on the key alone, and the key should name the
    /// tenant.
    pub fn share(&self, key: K, make: impl FnOnce() -> T) -> Shared<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Readers come soon after one another: the newest first.
        if let Some(at) = kept.iter().rposition(|(known, _)| *known == key) {
            // What is asked for is kept the longest, whenever it was made.
            let found = kept.remove(at).map(|(key, found)| {
                kept.push_back((key, Arc::clone(&found)));
                found
            });
            if let Some(found) = found {
                return Shared(found);
            }
        }
        if kept.len() >= self.most {
            kept.pop_front();
        }
        let fresh = Arc::new(Kept { value: make(), texts: Mutex::default() });
        kept.push_back((key, Arc::clone(&fresh)));
        Shared(fresh)
    }
}

impl<T: Output + OutputType> OutputType for Shared<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.value.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &AstField) -> ServerResult<Value> {
        resolve(&self.0.value, ctx, field, &Way::Kept(&*self.0)).await
    }
}

/// Texts of one value, by fingerprint of the plan.
pub(crate) trait Texts: Sync {
    fn get(&self, fingerprint: &[u8]) -> Option<Value>;
    fn put(&self, fingerprint: Vec<u8>, text: &Value);
}

impl<T: Sync + Send> Texts for Kept<T> {
    fn get(&self, fingerprint: &[u8]) -> Option<Value> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.iter().find(|(known, _)| **known == *fingerprint).map(|(_, text)| text.clone())
    }

    fn put(&self, fingerprint: Vec<u8>, text: &Value) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() < TEXTS_MAX && texts.iter().all(|(known, _)| **known != *fingerprint) {
            texts.push((fingerprint.into(), text.clone()));
        }
    }
}

/// What of a plan decides the text: keys, fields, and the plans below.
pub(crate) fn fingerprint(plan: &Plan<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for step in &plan.steps {
        out.extend_from_slice(&step.lead);
        match &step.kind {
            Kind::TypeName => out.push(b't'),
            Kind::Known { handle, below } => {
                let (kind, id) = match handle {
                    Handle::Stored { id, .. } => (b's', id),
                    Handle::Computed { id, .. } => (b'c', id),
                    Handle::Batched { id, .. } => (b'b', id),
                };
                out.push(kind);
                out.extend_from_slice(&id.to_be_bytes());
                if let Some(below) = below {
                    fingerprint(below, out);
                }
            }
        }
    }
    out.push(b'}');
}
