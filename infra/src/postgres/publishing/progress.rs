//! What was done for a post so far, as it is stored: one column, for no query asks for any of it.

use std::collections::BTreeSet;

use domain::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        platform::{Refusal, RefusalKind},
    },
    publishing::model::{
        Candidate, Creation, CreationEnd, Hindrance, Medium, PartMap, Post, PostFailure, PostState,
        PostStatus, Progress, Standing,
    },
};
use serde::{Deserialize, Serialize};

use super::POSTS;
use crate::postgres::columns::word;

#[expect(clippy::struct_excessive_bools, reason = "a column of independent facts")]
#[derive(Default, Serialize, Deserialize)]
struct ProgressColumn {
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<PartsColumn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    medium: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creating: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateColumn>,
    #[serde(default)]
    is_stuck: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureColumn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hindrance: Option<HindranceColumn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_refused: Option<Timestamp>,
    #[serde(default)]
    media_refused: u32,
    #[serde(default)]
    absences: u32,
    #[serde(default)]
    looks: u32,
    #[serde(default)]
    was_seen: bool,
    #[serde(default)]
    misses: u32,
    #[serde(default)]
    is_blind: bool,
    #[serde(default)]
    is_named: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    denied: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    creations: Vec<CreationColumn>,
}

#[derive(Serialize, Deserialize)]
struct PartsColumn {
    ticket: String,
    begun_at: Timestamp,
    part_bytes: u64,
    there: BTreeSet<u32>,
}

#[derive(Serialize, Deserialize)]
struct CandidateColumn {
    item: String,
    caption: String,
    created_at: Timestamp,
    standing: String,
    is_likely: bool,
}

#[derive(Serialize, Deserialize)]
struct FailureColumn {
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct HindranceColumn {
    since: Timestamp,
    tries: u32,
    by: String,
}

#[derive(Serialize, Deserialize)]
struct CreationColumn {
    number: u32,
    medium: String,
    asked_at: Timestamp,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
}

const REFUSED: &str = "refused";
const TRIES_USED_UP: &str = "tries_used_up";
const FILE_GONE: &str = "file_gone";

fn failure_column(failure: &PostFailure) -> FailureColumn {
    let bare = |why: &str| FailureColumn { why: why.to_owned(), kind: None, code: None };
    match failure {
        PostFailure::Refused(refusal) => FailureColumn {
            kind: Some(refusal.kind.as_str().to_owned()),
            code: Some(refusal.code),
            ..bare(REFUSED)
        },
        PostFailure::TriesUsedUp => bare(TRIES_USED_UP),
        PostFailure::FileGone => bare(FILE_GONE),
    }
}

fn failure_of(column: &FailureColumn) -> Option<PostFailure> {
    match column.why.as_str() {
        REFUSED => {
            let kind = RefusalKind::parse(column.kind.as_deref()?)?;
            Some(PostFailure::Refused(Refusal { kind, code: column.code? }))
        }
        TRIES_USED_UP => Some(PostFailure::TriesUsedUp),
        FILE_GONE => Some(PostFailure::FileGone),
        _ => None,
    }
}

fn creation_column(creation: &Creation) -> CreationColumn {
    let (end, item) = match &creation.end {
        CreationEnd::Open => ("open", None),
        CreationEnd::Done(item) => ("done", Some(item.clone())),
        CreationEnd::NotDone => ("not_done", None),
        CreationEnd::MediumRefused => ("medium_refused", None),
        CreationEnd::Refused => ("refused", None),
        CreationEnd::Absent => ("absent", None),
    };
    CreationColumn {
        number: creation.number,
        medium: creation.medium.id.clone(),
        asked_at: creation.asked_at,
        end: end.to_owned(),
        item,
    }
}

fn creation_of(column: CreationColumn) -> Option<Creation> {
    let end = match (column.end.as_str(), column.item) {
        ("open", None) => CreationEnd::Open,
        ("done", Some(item)) => CreationEnd::Done(item),
        ("not_done", None) => CreationEnd::NotDone,
        ("medium_refused", None) => CreationEnd::MediumRefused,
        ("refused", None) => CreationEnd::Refused,
        ("absent", None) => CreationEnd::Absent,
        _ => return None,
    };
    let medium = Medium { id: column.medium };
    Some(Creation { number: column.number, medium, asked_at: column.asked_at, end })
}

fn candidate_of(column: CandidateColumn) -> Option<Candidate> {
    Some(Candidate {
        item: column.item,
        caption: column.caption,
        created_at: column.created_at,
        standing: Standing::parse(&column.standing)?,
        is_likely: column.is_likely,
    })
}

/// As it is stored.
pub(super) fn written(post: &Post) -> Result<serde_json::Value, PortError> {
    let progress = &post.progress;
    let mut column = ProgressColumn {
        not_before: progress.not_before,
        hindrance: progress.hindrance.as_ref().map(|hindrance| HindranceColumn {
            since: hindrance.since,
            tries: hindrance.tries,
            by: hindrance.by.clone(),
        }),
        token_refused: progress.token_refused,
        media_refused: progress.media_refused,
        absences: progress.absences,
        looks: progress.looks,
        was_seen: progress.was_seen,
        misses: progress.misses,
        is_blind: progress.is_blind,
        is_named: progress.is_named,
        denied: progress.denied.clone(),
        creations: progress.creations.iter().map(creation_column).collect(),
        ..ProgressColumn::default()
    };
    match &post.state {
        PostState::Waiting { due_at } => column.waits_until = Some(*due_at),
        PostState::Uploading { parts } => {
            column.parts = parts.as_ref().map(|parts| PartsColumn {
                ticket: parts.ticket.clone(),
                begun_at: parts.begun_at,
                part_bytes: parts.part_bytes,
                there: parts.there.clone(),
            });
        }
        PostState::Uploaded { medium } => column.medium = Some(medium.id.clone()),
        PostState::Creating { number } => column.creating = Some(*number),
        PostState::OutcomeUnknown { candidates, is_stuck } => {
            let candidate = |candidate: &Candidate| CandidateColumn {
                item: candidate.item.clone(),
                caption: candidate.caption.clone(),
                created_at: candidate.created_at,
                standing: candidate.standing.as_str().to_owned(),
                is_likely: candidate.is_likely,
            };
            column.candidates = candidates.iter().map(candidate).collect();
            column.is_stuck = *is_stuck;
        }
        PostState::Failed(failure) => column.failure = Some(failure_column(failure)),
        PostState::Draft
        | PostState::AwaitingApproval
        | PostState::UnderReview { .. }
        | PostState::Live { .. }
        | PostState::Rejected { .. }
        | PostState::Gone { .. }
        | PostState::Cancelled => {}
    }
    serde_json::to_value(column).map_err(|e| PortError::lasting(POSTS, e))
}

fn state_of(
    column: &mut ProgressColumn,
    status: PostStatus,
    item: Option<String>,
    planned_at: Timestamp,
) -> Option<PostState> {
    Some(match status {
        PostStatus::Draft => PostState::Draft,
        PostStatus::AwaitingApproval => PostState::AwaitingApproval,
        PostStatus::Waiting => PostState::Waiting { due_at: column.waits_until.unwrap_or(planned_at) },
        PostStatus::Uploading => PostState::Uploading {
            parts: column.parts.take().map(|parts| PartMap {
                ticket: parts.ticket,
                begun_at: parts.begun_at,
                part_bytes: parts.part_bytes,
                there: parts.there,
            }),
        },
        PostStatus::Uploaded => PostState::Uploaded { medium: Medium { id: column.medium.take()? } },
        PostStatus::Creating => PostState::Creating { number: column.creating? },
        PostStatus::OutcomeUnknown => PostState::OutcomeUnknown {
            candidates: std::mem::take(&mut column.candidates)
                .into_iter()
                .map(candidate_of)
                .collect::<Option<_>>()?,
            is_stuck: column.is_stuck,
        },
        PostStatus::UnderReview => PostState::UnderReview { item: item? },
        PostStatus::Live => PostState::Live { item: item? },
        PostStatus::Rejected => PostState::Rejected { item: item? },
        PostStatus::Gone => PostState::Gone { item: item? },
        PostStatus::Failed => PostState::Failed(failure_of(column.failure.as_ref()?)?),
        PostStatus::Cancelled => PostState::Cancelled,
    })
}

/// What is stored: where the post stands, and what was done for it.
pub(super) fn read(
    column: serde_json::Value,
    status: PostStatus,
    item: Option<String>,
    planned_at: Timestamp,
) -> Result<(PostState, Progress), PortError> {
    let mut column: ProgressColumn =
        serde_json::from_value(column).map_err(|e| PortError::lasting(POSTS, e))?;
    let state = word(POSTS, state_of(&mut column, status, item, planned_at))?;
    let creations = column.creations.into_iter().map(creation_of).collect::<Option<_>>();
    let progress = Progress {
        not_before: column.not_before,
        hindrance: column.hindrance.map(|hindrance| Hindrance {
            since: hindrance.since,
            tries: hindrance.tries,
            by: hindrance.by,
        }),
        token_refused: column.token_refused,
        media_refused: column.media_refused,
        absences: column.absences,
        looks: column.looks,
        was_seen: column.was_seen,
        misses: column.misses,
        is_blind: column.is_blind,
        is_named: column.is_named,
        denied: column.denied,
        creations: word(POSTS, creations)?,
    };
    Ok((state, progress))
}
