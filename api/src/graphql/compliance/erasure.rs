//! Erasure of what is kept about persons, and what holds it up, in the schema.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    compliance::erasure::{self, Subject, SubjectKind},
    kernel::ids::{AccountId, MemberId},
};
use output::Output;

use super::types::AuditParty;
use crate::graphql::{
    connection::{connection, connection_fields},
    error::Failure,
    scalars::{Kind, global_id, parse_global_id},
};

/// Why it must be erased (GDPR article 17(1), PIPL article 47).
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "erasure::ErasureBasis")]
pub enum ErasureBasis {
    /// It is not needed any more for what it was collected for.
    NotNeeded,
    /// Consent was withdrawn, and nothing else allows it.
    ConsentWithdrawn,
    /// The person objects.
    Objected,
    /// It should not have been processed.
    Unlawful,
    /// Another law demands it.
    Obliged,
}

/// Whose data is to be erased.
#[derive(InputObject)]
pub struct EraseSubjectInput {
    /// A member's id, or that of an account whose owner it is about.
    pub(super) id: ID,
    /// Why.
    pub(super) basis: ErasureBasis,
}

/// Whose data must be kept.
#[derive(InputObject)]
pub struct PlaceHoldInput {
    /// A member's id, or that of an account whose owner it is about.
    pub(super) id: ID,
    /// What for, as the number of a file: 1 to 200 characters, and nothing about a person.
    pub(super) matter: String,
}

/// Which hold.
#[derive(InputObject)]
pub struct ReleaseHoldInput {
    /// The hold's id.
    pub(super) id: ID,
}

/// The person behind a member's or an account's id.
pub(super) fn subject_of(id: &ID) -> Result<Subject, Failure> {
    match parse_global_id(id) {
        Some((Kind::Member, uuid)) => Ok(MemberId::from_uuid(uuid).into()),
        Some((Kind::Account, uuid)) => Ok(AccountId::from_uuid(uuid).into()),
        Some(_) | None => Err(Failure::invalid("id", "is neither a member's nor an account's")),
    }
}

fn party(subject: Subject) -> AuditParty {
    (&subject.party()).into()
}

fn member(id: Option<MemberId>) -> Option<ID> {
    id.map(|id| global_id(Kind::Member, id.uuid()))
}

/// That what was kept about somebody was erased. What they did stays in the log, under a name that is nobody's any more.
#[derive(SimpleObject, Output, Clone)]
pub struct Erasure {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Who it was about, as events name them.
    subject: AuditParty,
    /// Why.
    basis: ErasureBasis,
    /// When.
    erased_at: DateTime<Utc>,
    /// By which member; null when it was done again, because the database had been put back to before.
    erased_by: Option<ID>,
    /// Of how many events the values are gone that they commit to. A decimal number.
    openings: String,
    /// Reports that were there and showed what events commit to, of whomever, and were thrown away: whoever had taken one has a
    /// copy beyond reach.
    reports: Vec<ID>,
}

impl From<erasure::Erasure> for Erasure {
    fn from(erasure: erasure::Erasure) -> Self {
        Self {
            id: global_id(Kind::Erasure, erasure.subject.id),
            subject: party(erasure.subject),
            basis: erasure.basis.into(),
            erased_at: erasure.at,
            erased_by: member(erasure.by),
            openings: erasure.openings.to_string(),
            reports: erasure.reports.iter().map(|report| global_id(Kind::Report, report.uuid())).collect(),
        }
    }
}

connection!(ErasureConnection, ErasureEdge, Erasure, "erasures");
connection_fields!(ErasureConnection, Erasure);

/// A reason why what is kept about somebody must be kept, whoever asks for its erasure.
#[derive(SimpleObject, Output, Clone)]
pub struct LegalHold {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Who it is about, as events name them.
    subject: AuditParty,
    /// What for.
    matter: String,
    /// Since when.
    placed_at: DateTime<Utc>,
    /// By which member; null for a machine.
    placed_by: Option<ID>,
    /// Until when; null while it is in force.
    released_at: Option<DateTime<Utc>>,
    /// By which member; null for a machine.
    released_by: Option<ID>,
}

impl From<erasure::LegalHold> for LegalHold {
    fn from(hold: erasure::LegalHold) -> Self {
        Self {
            id: global_id(Kind::Hold, hold.id.uuid()),
            subject: party(hold.subject),
            matter: hold.matter,
            placed_at: hold.placed_at,
            placed_by: member(hold.placed_by),
            released_at: hold.released_at,
            released_by: member(hold.released_by),
        }
    }
}

connection!(LegalHoldConnection, LegalHoldEdge, LegalHold, "legal holds");
connection_fields!(LegalHoldConnection, LegalHold);

/// Whether it is a member or an account that ends before its owner is forgotten.
pub(super) const fn is_member(subject: Subject) -> bool {
    matches!(subject.kind, SubjectKind::Member)
}
