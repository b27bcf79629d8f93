//! A leaf's row, held against what the leaf itself says.

use super::{LogReport, Place};
use crate::compliance::{
    event::AuditEvent,
    log::{
        anchor::anchor_leaf,
        merkle::{Hash, leaf_hash},
        note::Note,
    },
    ports::{KeptAnchor, KeptLeaf, LogId},
};

/// What a column is when it is wrong.
const DIFFERS: &str = "is not what the leaf says";

/// Takes down what is wrong with a leaf's row, and gives the hash that stands in the tree for it: the one that two of
/// three agree on, of the leaf's own, the row's and the tile's (`in_tile`). So one thing that was changed is one finding,
/// and not one for every root above it.
pub(crate) fn check_leaf(log: LogId, kept: &KeptLeaf, in_tile: Option<Hash>, report: &mut LogReport) -> Hash {
    check_columns(log, kept, report);
    let in_row = Hash::from_slice(&kept.leaf_hash).ok();
    agreed(kept.index, leaf_hash(&kept.leaf), in_row, in_tile, report)
}

/// The same for a leaf of the platform's log. A tenant's head that is gone, or is another than it was, shows here: its log
/// was put back.
pub(crate) fn check_anchor(kept: &KeptAnchor, in_tile: Option<Hash>, report: &mut LogReport) -> Option<Hash> {
    let place = Place::Leaf(kept.index);
    let in_row = Hash::from_slice(&kept.leaf_hash).ok();
    let Some(note) = &kept.note else {
        report.add(
            place,
            "checkpoint",
            format!("is gone: there is no head of {} leaves of {}", kept.size, kept.of),
        );
        return in_tile.or(in_row);
    };
    let salt: Option<[u8; 32]> = kept.salt.as_slice().try_into().ok();
    let (Ok(note), Some(salt)) = (Note::parse(note.as_bytes()), salt) else {
        report.add(
            place,
            "checkpoint",
            format!("is no note: the head of {} leaves of {}", kept.size, kept.of),
        );
        return in_tile.or(in_row);
    };
    let own = leaf_hash(&anchor_leaf(&salt, note.text()));
    if in_row != Some(own) {
        report.add(
            place,
            "checkpoint",
            format!("is another: the head of {} leaves of {}", kept.size, kept.of),
        );
        return in_tile.or(in_row);
    }
    Some(own)
}

fn agreed(
    index: u64,
    own: Hash,
    in_row: Option<Hash>,
    in_tile: Option<Hash>,
    report: &mut LogReport,
) -> Hash {
    let place = Place::Leaf(index);
    if in_row == Some(own) {
        // Its tile is told of where tiles are compared.
        return own;
    }
    if in_row.is_some() && in_row == in_tile {
        report.add(place, "leaf", "was changed: row and tile have another hash of it");
        return in_row.unwrap_or(own);
    }
    report.add(place, "leaf_hash", "is not the hash of the leaf");
    own
}

fn check_columns(log: LogId, kept: &KeptLeaf, report: &mut LogReport) {
    let place = Place::Leaf(kept.index);
    let told = match AuditEvent::from_leaf(&kept.leaf) {
        Ok(told) => told,
        Err(fault) => {
            report.add(place, "leaf", format!("is none: {fault}"));
            return;
        }
    };
    let target = told.target.as_ref().and_then(|target| target.id);
    for (field, is_told) in [
        ("tenant_id", told.tenant_id == log.tenant),
        ("stream", told.stream == log.stream),
        ("event_id", told.event_id == kept.event),
        ("compliance_id", told.compliance_id == kept.compliance_id),
        ("type", told.type_name == kept.type_name),
        ("outcome", told.outcome.as_str() == kept.outcome),
        ("actor_id", told.actor.id == kept.actor),
        ("target_id", target == kept.target),
        ("occurred_at", told.occurred_at == kept.occurred_at),
    ] {
        if !is_told {
            report.add(place, field, DIFFERS);
        }
    }
}
