//! What the schema has to have for the transport to keep its promises.

use async_graphql::{ObjectType, SchemaBuilder, SubscriptionType};

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
