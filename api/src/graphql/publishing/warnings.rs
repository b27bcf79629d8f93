//! What speaks against posts, in the schema.

use async_graphql::{Enum, ID, SimpleObject};
use domain::publishing::ports;
use output::Output;
use serde::{Deserialize, Serialize};

use crate::graphql::scalars::{Kind, global_id};

/// What may speak against a post.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[graphql(remote = "ports::WarningKind")]
pub enum PostWarningKind {
    /// Its account has the same file already, or is to have it.
    SameFile,
    /// Other accounts have the same file with the same text: platforms count that as spam.
    SameText,
    /// Its account has another post within half an hour.
    Close,
}

/// Something that speaks against a post, but does not stop it.
#[derive(SimpleObject, Output, Clone)]
pub struct PostWarning {
    /// What.
    kind: PostWarningKind,
    /// Because of how many other posts.
    others: u32,
    /// One of them.
    other_id: ID,
}

impl From<ports::PostWarning> for PostWarning {
    fn from(warning: ports::PostWarning) -> Self {
        Self {
            kind: warning.kind.into(),
            others: warning.others,
            other_id: global_id(Kind::Post, warning.other.uuid()),
        }
    }
}

/// Something that would speak against a post that is not made yet, but does not stop it.
#[derive(SimpleObject, Output, Clone, Serialize, Deserialize)]
pub struct ForeseenWarning {
    /// What.
    kind: PostWarningKind,
    /// Because of how many other posts, those asked about with it among them.
    others: u32,
    /// One of them that is there; null when none is yet.
    other_id: Option<ID>,
}

impl From<ports::Foreseen> for ForeseenWarning {
    fn from(foreseen: ports::Foreseen) -> Self {
        Self {
            kind: foreseen.kind.into(),
            others: foreseen.others,
            other_id: foreseen.other.map(|post| global_id(Kind::Post, post.uuid())),
        }
    }
}
