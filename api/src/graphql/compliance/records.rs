//! Records of processing in the schema.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::compliance::{
    processing::{self, fields},
    records,
};
use output::Output;

use crate::{
    graphql::{
        connection::{connection, connection_fields},
        scalars::{Kind, global_id},
    },
    hex::hex,
};

/// Something that is done with data about persons.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "records::Activity")]
pub enum ProcessingActivity {
    /// Members are let in and given rights.
    Membership,
    /// Owners of accounts on platforms let the tenant act in their name.
    AccountLinks,
    /// Files are taken in and made fit.
    Content,
    /// Posts are planned, agreed to, published and followed.
    Publishing,
    /// What happened is logged, and shown to be unchanged.
    Audit,
    /// Auditors are given reports of it.
    Reports,
}

/// Which record, and that it was looked at.
#[derive(InputObject)]
pub struct ReviewRecordInput {
    /// The id of the newest version.
    pub(super) id: ID,
    /// Its `sha256`, so that nothing else is agreed to than what was looked at.
    pub(super) sha256: String,
}

/// One of the twelve things that a record says.
#[derive(SimpleObject, Output, Clone)]
pub struct ProcessingField {
    /// Which, as `third_countries`.
    name: String,
    /// What.
    values: Vec<String>,
}

/// What is done with whose data in one activity (GDPR article 30, PIPL article 56): made of what the service and its
/// configuration are, once a day, and again whenever that changed.
#[derive(SimpleObject, Output, Clone)]
pub struct ProcessingRecord {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Of what.
    activity: ProcessingActivity,
    /// From 1; the highest is what holds.
    version: u32,
    /// The twelve fields, in the law's order.
    fields: Vec<ProcessingField>,
    /// The same as canonical JSON, byte for byte what is signed.
    content: String,
    /// SHA-256 of that, in hexadecimal.
    sha256: String,
    /// Fields that the version before had otherwise.
    changed: Vec<String>,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// When it was last found to be so still.
    checked_at: DateTime<Utc>,
    /// When somebody said that they looked at what changed; it is not signed before, unless it is the first.
    reviewed_at: Option<DateTime<Utc>>,
    /// Who.
    reviewed_by: Option<ID>,
    /// A detached CAdES signature over `content` by the key of reports (DER, base64); null while it is not signed.
    signature: Option<String>,
    /// When it was signed.
    signed_at: Option<DateTime<Utc>>,
}

impl From<processing::ProcessingRecord> for ProcessingRecord {
    fn from(record: processing::ProcessingRecord) -> Self {
        // What is kept was written by us; were it not, its bytes are shown all the same.
        let said = fields(&record.content.text).unwrap_or_default();
        let field = |(name, values): (&str, Vec<String>)| ProcessingField { name: name.to_owned(), values };
        Self {
            id: global_id(Kind::Record, record.id.uuid()),
            activity: record.activity.into(),
            version: record.version,
            fields: said.into_iter().map(field).collect(),
            sha256: hex(&record.content.sha256),
            content: record.content.text,
            changed: record.changed,
            made_at: record.made_at,
            checked_at: record.checked_at,
            reviewed_at: record.reviewed.map(|(at, _)| at),
            reviewed_by: record.reviewed.and_then(|(_, by)| by).map(|by| global_id(Kind::Member, by.uuid())),
            signed_at: record.signature.as_ref().map(|(at, _)| *at),
            signature: record.signature.map(|(_, signature)| STANDARD.encode(signature)),
        }
    }
}

connection!(ProcessingRecordConnection, ProcessingRecordEdge, ProcessingRecord, "records of processing");
connection_fields!(ProcessingRecordConnection, ProcessingRecord);
