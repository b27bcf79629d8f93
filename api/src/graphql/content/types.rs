//! Types of content, converted by hand: the schema is a promise of its own.

use async_graphql::{Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::content::model;
use output::Output;

use crate::{
    app::App,
    graphql::{
        connection::{connection, connection_fields},
        scalars::{Kind, global_id},
    },
    hex::hex,
};

/// Where an upload stands.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::UploadState")]
pub enum UploadState {
    /// Bytes are missing.
    Receiving,
    /// All bytes are here and are being read back.
    Checking,
    /// It can be used.
    Ready,
    /// Its digest is another than the one announced.
    DigestWrong,
    /// Somebody gave it up.
    Cancelled,
    /// It did not arrive in time.
    Expired,
    /// It is part of another file now.
    Absorbed,
}

/// A file on its way in, or arrived.
#[derive(SimpleObject, Output, Clone)]
pub struct Upload {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What it is called.
    name: String,
    /// Its media type; null when it was not told.
    media_type: Option<String>,
    /// Its length in bytes.
    size_bytes: String,
    /// How many of them are here: the next one wanted has this number.
    received_bytes: String,
    /// Where it stands.
    state: UploadState,
    /// Its SHA-256 in hexadecimal digits, once it was read back.
    sha256: Option<String>,
    /// Where its bytes are sent to, by the tus protocol, version 1.0, with the same bearer token as here.
    url: String,
    /// The member who began it; null when a machine did.
    begun_by_id: Option<ID>,
    /// When it was begun.
    created_at: DateTime<Utc>,
    /// When it is thrown away unless all of it is here.
    expires_at: DateTime<Utc>,
}

impl Upload {
    pub(in crate::graphql) fn new(upload: model::Upload, app: &App) -> Self {
        Self {
            id: global_id(Kind::Upload, upload.id.uuid()),
            name: upload.draft.name,
            media_type: Some(upload.draft.media_type).filter(|media_type| !media_type.is_empty()),
            size_bytes: upload.draft.size_bytes.to_string(),
            received_bytes: upload.received_bytes.to_string(),
            state: upload.state.into(),
            sha256: upload.digest.map(|digest| hex(&digest)),
            url: app.upload_url(upload.id),
            begun_by_id: upload.begun_by.map(|member| global_id(Kind::Member, member.uuid())),
            created_at: upload.created_at,
            expires_at: upload.expires_at,
        }
    }
}

connection!(UploadConnection, UploadEdge, Upload, "uploads");
connection_fields!(UploadConnection, Upload);
