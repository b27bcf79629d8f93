//! What the schema has to have for the transport to keep its promises.

use async_graphql::{ObjectType, Schema, SchemaBuilder, SubscriptionType, ValidationMode};

use crate::idempotency::idempotent;

/// Registers `@idempotent` and turns off the "did you mean" texts, which cost time on hostile documents and spell
/// out the schema to callers who may not read it. Call it on every schema that is served.
pub fn attach<Q, M, S>(builder: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    builder.directive(idempotent).disable_suggestions()
}

/// A schema twice: as it is, and for documents that are known to be valid.
#[derive(Clone, Debug)]
pub struct Executors<E> {
    strict: E,
    relaxed: E,
}

impl<E> Executors<E> {
    /// The schema that validates. It alone may be used for anything but serving.
    pub const fn strict(&self) -> &E {
        &self.strict
    }

    pub(crate) const fn relaxed(&self) -> &E {
        &self.relaxed
    }
}

/// Both from one builder, which [`attach`] is applied to.
pub fn executors<Q, M, S>(build: impl Fn() -> SchemaBuilder<Q, M, S>) -> Executors<Schema<Q, M, S>>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let strict = attach(build()).finish();
    let relaxed = attach(build()).validation_mode(ValidationMode::Fast).finish();
    Executors { strict, relaxed }
}
