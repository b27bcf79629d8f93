//! What a tenant, or its auditor, reads of the platform's log: its newest head, and where their own heads stand in it.

use super::{
    super::{
        log::{
            anchor::anchor_leaf,
            merkle::{Hash, leaf_hash, verify_inclusion},
            note::{Note, VerifierKey, VerifierKind},
            tile::{TileSet, tiles_for_inclusion},
            trust::TrustPolicy,
        },
        ports::{Anchor, Attestation, ComplianceTx, SignedHead},
    },
    notarise::platform_origin,
    read_audit::{Compliance, ComplianceError},
    sequence::verifier_key,
};
use crate::kernel::{
    actor::{Actor, Permission},
    fault::PortError,
    outbox::Stream,
};

/// Most attestations that are told.
const ATTESTATIONS_MAX: u16 = 50;

/// The platform's newest head, and the keys that sign such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformCheckpoint {
    /// The head.
    pub head: SignedHead,
    /// Verifier keys (C2SP signed note), newest first.
    pub verifier_keys: Vec<String>,
    /// Whom to believe about the log (C2SP tlog-policy), as this installation has it.
    pub policy: String,
}

/// The policy with the platform's own keys as logs.
///
/// # Errors
/// A key that is kept is none.
pub fn platform_policy(trust: &TrustPolicy, host: &str, keys: &[[u8; 32]]) -> Result<TrustPolicy, PortError> {
    let mut policy = trust.clone();
    add_logs(&mut policy, &platform_origin(host), keys)?;
    Ok(policy)
}

/// Adds the keys of a log to a policy, but for those that are in it.
///
/// # Errors
/// A key that is kept is none.
pub(super) fn add_logs(policy: &mut TrustPolicy, origin: &str, keys: &[[u8; 32]]) -> Result<(), PortError> {
    const PORT: &str = "compliance.log_keys";
    for key in keys {
        let key = VerifierKey::new(origin, VerifierKind::Ed25519, key);
        let key = key.map_err(|e| PortError::lasting(PORT, e))?;
        if !policy.logs().any(|known| known.name() == key.name() && known.public() == key.public()) {
            policy.add_log(key, None).map_err(|e| PortError::lasting(PORT, e))?;
        }
    }
    Ok(())
}

/// Proves that a head of a tenant's log is in the platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformInclusion {
    /// Where it stands, and its salt.
    pub anchor: Anchor,
    /// The head of the tenant's log.
    pub tenant_head: SignedHead,
    /// The head of the platform's log it is proven against.
    pub checkpoint: PlatformCheckpoint,
    /// The hashes (RFC 6962 section 2.1.1).
    pub hashes: Vec<Hash>,
}

impl Compliance {
    /// The newest signed head of the platform's log; `None` while there is none.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn platform_checkpoint(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
    ) -> Result<Option<PlatformCheckpoint>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let Some(head) = tx.platform_head().await? else { return Ok(None) };
        let origin = platform_origin(&self.0.host);
        let keys = tx.platform_keys().await?;
        let verifier_keys = keys
            .iter()
            .map(|key| verifier_key(&origin, key))
            .collect::<Result<_, _>>()
            .map_err(|e| PortError::lasting("compliance.platform_keys", e))?;
        let policy = platform_policy(&self.0.trust, &self.0.host, &keys)?.to_string();
        Ok(Some(PlatformCheckpoint { head, verifier_keys, policy }))
    }

    /// What others outside vouch for of the platform's log, or were asked to, of heads of fewer than `before` leaves; newest first,
    /// each with the head's note.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn platform_attestations(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        before: Option<u64>,
    ) -> Result<Vec<(Attestation, String)>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.attestations(before, ATTESTATIONS_MAX).await?)
    }

    /// Proves that the head of `size` leaves of the actor's log, or the newest of those that are there, is in the
    /// platform's log. `None` when it is not in it: only heads that were the newest at a turn are.
    ///
    /// # Errors
    /// `Denied`, `Broken`, `Port`.
    pub async fn platform_inclusion(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        stream: Stream,
        size: Option<u64>,
    ) -> Result<Option<PlatformInclusion>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let Some(checkpoint) = self.platform_checkpoint(tx, actor).await? else { return Ok(None) };
        let Some(anchor) = tx.anchor(stream, size, checkpoint.head.size).await? else { return Ok(None) };
        let (tenant_head, hashes) = Self::prove_anchor(tx, stream, &anchor, &checkpoint.head).await?;
        Ok(Some(PlatformInclusion { anchor, tenant_head, checkpoint, hashes }))
    }

    /// The head of the tenant's log that stands there in the platform's, and the proof that it does.
    pub(super) async fn prove_anchor(
        tx: &mut dyn ComplianceTx,
        stream: Stream,
        anchor: &Anchor,
        platform: &SignedHead,
    ) -> Result<(SignedHead, Vec<Hash>), ComplianceError> {
        let covered = platform.size;
        let broken = || ComplianceError::Broken { stream, size: anchor.size };
        let tenant_head = tx.head(stream, Some(anchor.size)).await?.ok_or_else(broken)?;
        let note = Note::parse(tenant_head.note.as_bytes()).map_err(|_| broken())?;
        if leaf_hash(&anchor_leaf(&anchor.salt, note.text())) != anchor.leaf_hash {
            return Err(broken());
        }
        let wanted = tiles_for_inclusion(anchor.index, covered).map_err(|_| broken())?;
        let tiles = TileSet::new(tx.platform_tiles(&wanted).await?);
        let hashes = tiles.inclusion_proof(anchor.index, covered).map_err(|_| broken())?;
        verify_inclusion(anchor.leaf_hash, anchor.index, covered, &hashes, platform.root)
            .map_err(|_| broken())?;
        Ok((tenant_head, hashes))
    }
}
