//! Erasures, written down as names of objects outside of the database. A name says all there is to say, so that all of them
//! are read with one listing; and it ends with a keyed hash of that, as what is read there takes away what can't be had again:
//! whoever can write into the store of files erases nobody by it.
//!
//! Absent on purpose: anything that tells who somebody was.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use domain::{
    compliance::{
        erasure::{Erasure, ErasureBasis, Subject, SubjectKind, TenantFate},
        ports::ErasureLedger,
    },
    content::ports::ObjectStore,
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{PLATFORM, TenantId},
        scope::TenantScope,
        secret::Vault,
    },
};
use uuid::Uuid;

use crate::object_store::must_be_known;

const PORT: &str = "erasure_ledger";

/// The folder of them all.
const FOLDER: &str = "erasures";

/// The folder of what became of tenants, apart, so that nobody takes it for a person's.
const TENANTS: &str = "tenants";

/// What the hashes are of, among the installation's own keyed hashes.
const LABEL: &str = "erasure_ledger";

/// So many bytes of a hash are written: 128 bits.
const MAC_BYTES: usize = 16;

/// A ledger of erasures in a store of objects.
pub struct ObjectLedger {
    objects: Arc<dyn ObjectStore>,
    vault: Arc<dyn Vault>,
}

impl std::fmt::Debug for ObjectLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectLedger(..)")
    }
}

impl ObjectLedger {
    /// Keeps it in `objects`, under a key of the installation's own from `vault`.
    pub const fn new(objects: Arc<dyn ObjectStore>, vault: Arc<dyn Vault>) -> Self {
        Self { objects, vault }
    }

    /// The entry as it is called.
    async fn sealed(&self, entry: &str) -> Result<String, PortError> {
        let mac = self.vault.keyed_hash(&TenantScope::of(PLATFORM), LABEL, entry.as_bytes()).await?;
        let mut sealed = format!("{entry}.");
        for byte in &mac[..MAC_BYTES] {
            let _ = write!(sealed, "{byte:02x}");
        }
        Ok(sealed)
    }

    /// The entries below a folder, each without its hash, which is right.
    async fn entries(&self, folder: &str) -> Result<Vec<String>, PortError> {
        // Also when there are none, so that the key is in every backup of the database; what is written is held to it.
        let first = self.sealed(folder).await;
        let mut entries = Vec::new();
        for name in self.objects.below(folder).await? {
            // Half written, it is not said yet.
            if name.contains('#') {
                continue;
            }
            let entry = name.rsplit_once('.').map_or("", |(entry, _)| entry);
            if self.sealed(entry).await? != name {
                return Err(unread(&name));
            }
            entries.push(entry.to_owned());
        }
        if entries.is_empty()
            && let Err(fault) = first
        {
            tracing::warn!(port = fault.port, error = %fault.source, "the key of what is written down is not there yet");
        }
        Ok(entries)
    }
}

/// An entry that can't be read is somebody who would come back unseen.
fn unread(name: &str) -> PortError {
    PortError::lasting(PORT, format!("{name} is no entry of the ledger, or not of this installation's"))
}

fn name(scope: &TenantScope, subject: Subject, basis: ErasureBasis) -> String {
    let (tenant, id) = (scope.tenant().uuid().simple(), subject.id.simple());
    format!("{FOLDER}/{tenant}/{}.{id}.{}", subject.kind.as_str(), basis.as_str())
}

fn parse(key: &str) -> Option<(TenantScope, Subject, ErasureBasis)> {
    let (tenant, entry) = key.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('/')?;
    let mut words = entry.split('.');
    let kind = words.next()?;
    let id = Uuid::try_parse(words.next()?).ok()?;
    let basis = words.next()?;
    let kind = SubjectKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let basis = ErasureBasis::ALL.into_iter().find(|known| known.as_str() == basis)?;
    let tenant = TenantId::from_uuid(Uuid::try_parse(tenant).ok()?);
    words.next().is_none().then_some((TenantScope::of(tenant), Subject { kind, id }, basis))
}

#[async_trait]
impl ErasureLedger for ObjectLedger {
    async fn keep(&self, scope: &TenantScope, erasure: &Erasure) -> Result<(), PortError> {
        let at = erasure.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let name = self.sealed(&name(scope, erasure.subject, erasure.basis)).await?;
        self.objects.put(&name, at.into_bytes()).await
    }

    async fn all(&self) -> Result<Vec<(TenantScope, Subject, ErasureBasis)>, PortError> {
        let entries = self.entries(FOLDER).await?;
        entries.iter().map(|entry| parse(entry).ok_or_else(|| unread(entry))).collect()
    }

    async fn keep_fate(&self, scope: &TenantScope, fate: TenantFate) -> Result<(), PortError> {
        // Into a store that is not the one it was, nobody would look.
        must_be_known(&*self.objects).await?;
        self.objects.put(&self.sealed(&fate_name(scope.tenant(), fate)).await?, Vec::new()).await
    }

    async fn fates(&self) -> Result<BTreeMap<TenantId, TenantFate>, PortError> {
        let mut last: BTreeMap<TenantId, TenantFate> = BTreeMap::new();
        for entry in self.entries(TENANTS).await? {
            let (tenant, fate) = parse_fate(&entry).ok_or_else(|| unread(&entry))?;
            let known = last.get(&tenant);
            if known.is_none_or(|known| rank(*known) < rank(fate)) {
                last.insert(tenant, fate);
            }
        }
        Ok(last)
    }
}

/// What came later has more: an end is the last, and what was taken back had been closed.
const fn rank(fate: TenantFate) -> (bool, i64, bool) {
    match fate {
        TenantFate::Closed { closed_at, .. } => (false, closed_at.timestamp_micros(), false),
        TenantFate::Reopened { closed_at } => (false, closed_at.timestamp_micros(), true),
        TenantFate::Ended => (true, 0, false),
    }
}

fn fate_name(tenant: TenantId, fate: TenantFate) -> String {
    let folder = format!("{TENANTS}/{}", tenant.uuid().simple());
    match fate {
        TenantFate::Closed { closed_at, ends_at } => {
            format!("{folder}/closed.{}.{}", closed_at.timestamp_micros(), ends_at.timestamp_micros())
        }
        TenantFate::Reopened { closed_at } => format!("{folder}/reopened.{}", closed_at.timestamp_micros()),
        TenantFate::Ended => format!("{folder}/ended"),
    }
}

fn parse_fate(key: &str) -> Option<(TenantId, TenantFate)> {
    let (tenant, entry) = key.strip_prefix(TENANTS)?.strip_prefix('/')?.split_once('/')?;
    let tenant = TenantId::from_uuid(Uuid::try_parse(tenant).ok()?);
    let words: Vec<_> = entry.split('.').collect();
    let instant = |text: &str| Timestamp::from_timestamp_micros(text.parse().ok()?);
    let fate = match words.as_slice() {
        ["closed", closed_at, ends_at] => {
            TenantFate::Closed { closed_at: instant(closed_at)?, ends_at: instant(ends_at)? }
        }
        ["reopened", closed_at] => TenantFate::Reopened { closed_at: instant(closed_at)? },
        ["ended"] => TenantFate::Ended,
        _ => return None,
    };
    Some((tenant, fate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_tenants_comes_back_and_what_came_last_counts() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(7));
        let at = |micros| Timestamp::from_timestamp_micros(micros).expect("an instant");
        let in_order = [
            TenantFate::Closed { closed_at: at(1), ends_at: at(90) },
            TenantFate::Reopened { closed_at: at(1) },
            TenantFate::Closed { closed_at: at(2), ends_at: at(3) },
            TenantFate::Ended,
        ];
        for fate in in_order {
            assert_eq!(parse_fate(&fate_name(tenant, fate)), Some((tenant, fate)));
        }
        assert!(in_order.map(rank).is_sorted_by(|one, other| one < other));
        for bad in [
            "",
            "tenants/7",
            "tenants/x/ended",
            &fate_name(tenant, TenantFate::Ended).replace("ended", "gone"),
        ] {
            assert_eq!(parse_fate(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_come_back_and_others_are_none() {
        let scope = TenantScope::of(TenantId::from_uuid(Uuid::from_u128(7)));
        for kind in SubjectKind::ALL {
            for basis in ErasureBasis::ALL {
                let subject = Subject { kind, id: Uuid::from_u128(9) };
                assert_eq!(parse(&name(&scope, subject, basis)), Some((scope, subject, basis)));
            }
        }
        let good =
            name(&scope, Subject { kind: SubjectKind::Member, id: Uuid::nil() }, ErasureBasis::Obliged);
        for bad in ["", "erasures", "erasures/x/y", &format!("{good}.x"), &good.replace("member", "owner")] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
