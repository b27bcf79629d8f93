//! The platform's log asks its witnesses to cosign its newest head, and keeps what they give with it.

use chrono::TimeDelta;

use super::{
    super::{
        log::{
            note::{Note, NoteSignature, VerifierKey},
            tile::{TileSet, tiles_for_consistency},
            trust::TrustedWitness,
            witness::AddCheckpoint,
        },
        ports::{Cosignature, PlatformHead, WitnessAnswer},
    },
    notarise::Notary,
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    outbox::{Outbox, Party, Record},
};

const PORT: &str = "compliance.witnesses";

/// How far a witness's clock may be ahead of ours, in seconds: what is dated later counts for nothing.
const AHEAD_MAX_S: i64 = 60;

/// What a witness said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessWord {
    /// It cosigned.
    Cosigned,
    /// It has cosigned a larger log than there is: ours was put back.
    Ahead {
        /// How many leaves it has seen.
        seen: u64,
    },
    /// It has seen another tree at this size, or no proof leads from what it saw to this.
    Disagrees,
    /// It does not know the log, or its key.
    Refused,
    /// It answered with a cosignature that is not its own or not of this checkpoint.
    Wrong,
    /// It has cosigned a later head of this log, which is there by now.
    Later,
    /// It did not answer.
    Away,
}

impl WitnessWord {
    /// A machine word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cosigned => "cosigned",
            Self::Ahead { .. } => "ahead",
            Self::Disagrees => "disagrees",
            Self::Refused => "refused",
            Self::Wrong => "wrong",
            Self::Later => "later",
            Self::Away => "away",
        }
    }

    /// Whether it is evidence against the log: that there are two of it.
    pub const fn is_alarming(self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Disagrees)
    }
}

/// What came of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// The size of the newest signed head; 0 when there is none.
    pub size: u64,
    /// What each witness said that was asked: its name in the policy, and the word.
    pub words: Vec<(String, WitnessWord)>,
    /// Whether enough have cosigned that head.
    pub is_met: bool,
}

impl Notary {
    /// Asks every witness that has not cosigned the newest head, and keeps what they give.
    ///
    /// # Errors
    /// The store did not answer, or the log kept does not fit together.
    pub async fn gather_cosignatures(&self) -> Result<Gathered, PortError> {
        let Some(head) = self.0.store.newest_signed().await? else { return Ok(Gathered::default()) };
        let kept = self.0.store.cosignatures(head.size).await?;
        let mut gathered = Gathered { size: head.size, ..Gathered::default() };
        let mut cosigned: Vec<&VerifierKey> = Vec::new();
        let mut new = Vec::new();
        for witness in self.0.trust.witnesses() {
            if kept.iter().any(|line| line.witness == witness.key.to_string()) {
                cosigned.push(&witness.key);
                continue;
            }
            // Without an address it is somebody the policy counts on, who is asked by other ways.
            let Some(url) = &witness.url else { continue };
            let (word, cosignature) = self.ask(witness, url, &head).await?;
            gathered.words.push((witness.name.clone(), word));
            if let Some(cosignature) = cosignature {
                cosigned.push(&witness.key);
                new.push(cosignature);
            }
        }
        gathered.is_met = self.0.trust.is_met(&cosigned);
        if !new.is_empty() {
            self.0.store.add_cosignatures(head.size, &new, gathered.is_met).await?;
        }
        Ok(gathered)
    }

    async fn ask(
        &self,
        witness: &TrustedWitness,
        url: &str,
        head: &PlatformHead,
    ) -> Result<(WitnessWord, Option<Cosignature>), PortError> {
        let text = head.note.as_deref().unwrap_or_default();
        let note = Note::parse(text.as_bytes()).map_err(|e| PortError::lasting(PORT, e))?;
        let mut old_size = self.1.seen_by(&witness.name);
        // It says what it has seen when that is another than we believe; then it is asked once more.
        for _ in 0..2 {
            if old_size > head.size {
                // Somebody else may have had a later head cosigned since this one was read.
                let newest = self.0.store.newest_signed().await?.map_or(0, |newest| newest.size);
                let word = if newest >= old_size {
                    WitnessWord::Later
                } else {
                    WitnessWord::Ahead { seen: old_size }
                };
                return Ok((word, None));
            }
            let proof = self.proof(old_size, head.size).await?;
            let request = AddCheckpoint { old_size, proof, note: note.clone() };
            match self.0.witnesses.add_checkpoint(url, &request).await {
                Err(_) => return Ok((WitnessWord::Away, None)),
                Ok(WitnessAnswer::Cosigned(lines)) => {
                    self.1.remember(&witness.name, head.size);
                    let now = self.0.clock.now();
                    let found = lines.into_iter().find_map(|line| verified(&note, line, &witness.key, now));
                    let word = if found.is_some() { WitnessWord::Cosigned } else { WitnessWord::Wrong };
                    return Ok((word, found));
                }
                Ok(WitnessAnswer::OtherSize(seen)) => {
                    self.1.remember(&witness.name, seen);
                    if seen == old_size {
                        return Ok((WitnessWord::Disagrees, None));
                    }
                    old_size = seen;
                }
                Ok(WitnessAnswer::Refused(409 | 422)) => return Ok((WitnessWord::Disagrees, None)),
                Ok(WitnessAnswer::Refused(_)) => return Ok((WitnessWord::Refused, None)),
            }
        }
        Ok((WitnessWord::Away, None))
    }

    async fn proof(&self, old: u64, new: u64) -> Result<Vec<super::super::log::merkle::Hash>, PortError> {
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let fault = |e: super::super::log::tile::TileError| PortError::lasting(PORT, e);
        let wanted = tiles_for_consistency(old, new).map_err(fault)?;
        let tiles = TileSet::new(self.0.store.tiles(&wanted).await?);
        tiles.consistency_proof(old, new).map_err(|e| PortError::lasting(PORT, e))
    }

    /// Records that a witness contradicts the log, in the platform's own log.
    ///
    /// # Errors
    /// The outbox did not answer.
    pub async fn tell_of_witness(&self, outbox: &mut dyn Outbox, word: WitnessWord) -> Result<(), PortError> {
        let reason = match word {
            WitnessWord::Ahead { .. } => "witness_has_seen_more",
            WitnessWord::Disagrees
            | WitnessWord::Cosigned
            | WitnessWord::Refused
            | WitnessWord::Wrong
            | WitnessWord::Later
            | WitnessWord::Away => "witness_has_seen_another_log",
        };
        let target = Party::new("tenant", crate::kernel::ids::PLATFORM.uuid());
        outbox
            .record(Record::refused(super::super::actions::WITNESS_PLATFORM_LOG, Some(target), reason))
            .await
    }
}

/// The cosignature, when it is the witness's own, of this very text, and not of the future.
fn verified(note: &Note, line: NoteSignature, key: &VerifierKey, now: Timestamp) -> Option<Cosignature> {
    let text = line.to_string();
    let alone = Note::with_signature(note.text().to_owned(), line).ok()?;
    let known = [key.clone()];
    let at_s = alone.verify(&known).ok()?.first()?.cosigned_at_s?;
    let at = Timestamp::from_timestamp(i64::try_from(at_s).ok()?, 0)?;
    let is_now = at <= now + TimeDelta::seconds(AHEAD_MAX_S);
    is_now.then(|| Cosignature { witness: key.to_string(), line: text, cosigned_at: at })
}
