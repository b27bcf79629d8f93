//! What commands leave behind and what their payloads have in common.

use domain::kernel::secret::Secret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is left of a command on a thing: its id.
#[derive(Serialize, Deserialize)]
pub(in crate::graphql) struct Named {
    pub(in crate::graphql) id: Uuid,
}

/// What is left of a command that shows a secret once.
#[derive(Serialize, Deserialize)]
pub(in crate::graphql) struct Shown {
    pub(in crate::graphql) id: Uuid,
    pub(in crate::graphql) secret: String,
}

/// What is left of a command that shows several.
#[derive(Serialize, Deserialize)]
pub(in crate::graphql) struct ShownAll {
    pub(in crate::graphql) secrets: Vec<String>,
}

/// What is left of a command on the caller itself.
#[derive(Serialize, Deserialize)]
pub(in crate::graphql) struct Nothing {}

/// The text of a secret, for the answer that shows it.
pub(in crate::graphql) fn text(secret: &Secret) -> String {
    secret.expose_str().unwrap_or_default().to_owned()
}

/// Defines a payload: fields of its own, computed from what the command left, beside those every payload has.
macro_rules! payload {
    ($name:ident, $receipt:ty, $of:literal {
        $($(#[$doc:meta])* $field:ident: $type:ty = |$done:ident, $ctx:ident| $value:expr;)*
    }) => {
        #[doc = concat!("How `", $of, "` ended.")]
        pub struct $name($crate::graphql::command::Done<$receipt>);

        #[doc = concat!("How `", $of, "` ended.")]
        #[async_graphql::Object]
        impl $name {
            $($(#[$doc])*
            async fn $field(&self, $ctx: &async_graphql::Context<'_>) -> $type {
                let $done = self.0.receipt.as_ref()?;
                $value
            })*

            /// Why it was not done; empty when it was.
            async fn user_errors(&self) -> &[$crate::graphql::error::UserError] {
                &self.0.user_errors
            }

            /// The identifier of this answer, which resolves to what it left in the audit log.
            async fn compliance_id(&self) -> async_graphql::ID {
                self.0.compliance_id.to_string().into()
            }
        }
    };
}
pub(in crate::graphql) use payload;
