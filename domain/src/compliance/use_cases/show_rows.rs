//! What rows of a report show of what their events commit to: the value, or which event erased it.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use report_bundle::opening::{CLOCKS_DIFFER_S, Field, Shown};
use uuid::Uuid;

use super::{
    super::{
        actions::ERASE_SUBJECT,
        event::AuditEvent,
        log::proof::LogProof,
        ports::{Asked, EventFilter, LoggedEvent, Opened, ReportRow, ReportTx},
    },
    ComplianceError,
    read_audit::prove_event,
};
use crate::kernel::{
    fault::PortError,
    outbox::{Outcome, Stream},
    page::{Direction, PageRequest},
};

const PORT: &str = "compliance.report";

/// More erasures of one subject than there ever are: each but the first was done because a database had been put back.
const ERASURES_MAX: u16 = 100;

/// What came of making rows.
pub(super) enum Made<T> {
    Yes(T),
    /// What erased a value is not in its log yet.
    NotYet,
    /// A value that should be there is not.
    Broken,
}

/// Events that erased values, as far as rows needed them.
#[derive(Default)]
pub(super) struct ErasedBy {
    of: HashMap<Uuid, Vec<LoggedEvent>>,
    named: BTreeMap<u64, LoggedEvent>,
}

impl ErasedBy {
    /// The index of the event that erased what this one commits to.
    async fn index(
        &mut self,
        tx: &mut dyn ReportTx,
        event: &AuditEvent,
    ) -> Result<Made<u64>, ComplianceError> {
        let Some(subject) = event.subject else { return Ok(Made::Broken) };
        if let Entry::Vacant(vacant) = self.of.entry(subject) {
            if tx.erasures_of(&[subject]).await?.is_empty() {
                return Ok(Made::Broken);
            }
            let filter = EventFilter {
                stream: Some(Stream::Admin),
                types: vec![ERASE_SUBJECT.name.to_owned()],
                outcome: Some(Outcome::Success),
                target: Some(subject),
                ..EventFilter::default()
            };
            let page = PageRequest { limit: ERASURES_MAX, from: None, direction: Direction::Forward };
            vacant.insert(tx.events(&filter, page).await?.items);
        }
        let clocks = chrono::TimeDelta::seconds(CLOCKS_DIFFER_S);
        let all = self.of.get(&subject).map_or(&[][..], Vec::as_slice);
        let after = all.iter().find(|erasure| event.recorded_at <= erasure.event.recorded_at + clocks);
        // One that was written down after the last erasure is gone for no reason that there is.
        let Some(erasure) = after else {
            return Ok(if all.is_empty() { Made::NotYet } else { Made::Broken });
        };
        self.named.insert(erasure.index, erasure.clone());
        Ok(Made::Yes(erasure.index))
    }

    /// A proof for each of them (C2SP tlog-proof, whose `extra` is the leaf), by index.
    pub(super) async fn proofs(
        self,
        tx: &mut dyn ReportTx,
    ) -> Result<Made<Vec<(u64, String)>>, ComplianceError> {
        let mut proofs = Vec::with_capacity(self.named.len());
        for (index, logged) in self.named {
            let Some(head) = tx.head(Stream::Admin, None).await? else { return Ok(Made::NotYet) };
            let Some(hashes) = prove_event(tx, &logged, &head).await? else { return Ok(Made::NotYet) };
            let leaf = logged.event.to_leaf().map_err(|e| PortError::lasting(PORT, e))?;
            let proof = LogProof { extra: Some(leaf), index, hashes, checkpoint: head.note };
            proofs.push((index, proof.to_string()));
        }
        Ok(Made::Yes(proofs))
    }
}

/// Rows of what is asked for.
pub(super) async fn rows(
    tx: &mut dyn ReportTx,
    asked: Vec<Asked>,
    disclosed: &[Field],
    erased_by: &mut ErasedBy,
) -> Result<Made<Vec<ReportRow>>, ComplianceError> {
    let mut events = Vec::with_capacity(asked.len());
    for of in &asked {
        events.push(AuditEvent::from_leaf(&of.leaf).map_err(|e| PortError::lasting(PORT, e))?);
    }
    let commits = |event: &AuditEvent| [event.diff_commit.is_some(), event.prev_state_commit.is_some()];
    let committed = events.iter().filter(|event| commits(event).contains(&true));
    let ids: Vec<_> = committed.map(|event| event.event_id).collect();
    let mut openings: HashMap<_, _> = tx.openings(&ids).await?.into_iter().collect();
    let mut rows = Vec::with_capacity(asked.len());
    for (of, event) in asked.into_iter().zip(events) {
        let opening = openings.remove(&event.event_id);
        let is_gone = opening.is_none();
        let (diff, prev_state) =
            opening.map_or((None, None), |opening| (Some(opening.diff), opening.prev_state));
        let mut shown = [None, None];
        for (place, opened) in [diff, prev_state].into_iter().enumerate() {
            let is_shown = commits(&event).get(place) == Some(&true)
                && Field::ALL.get(place).is_some_and(|field| disclosed.contains(field));
            if !is_shown {
                continue;
            }
            let what = match opened {
                Some(Opened { salt, value }) => Shown::Opened { salt, value },
                None if is_gone => match erased_by.index(tx, &event).await? {
                    Made::Yes(by) => Shown::Erased { by },
                    Made::NotYet => return Ok(Made::NotYet),
                    Made::Broken => return Ok(Made::Broken),
                },
                None => return Ok(Made::Broken),
            };
            if let Some(shown) = shown.get_mut(place) {
                *shown = Some(what);
            }
        }
        rows.push(ReportRow { of, shown });
    }
    Ok(Made::Yes(rows))
}
