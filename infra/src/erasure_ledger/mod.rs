//! Erasures, written down as names of objects outside of the database. A name says all there is to say, so that all of them
//! are read with one listing.
//!
//! Absent on purpose: anything that tells who somebody was.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use domain::{
    compliance::{
        erasure::{Erasure, ErasureBasis, Subject, SubjectKind, TenantFate},
        ports::ErasureLedger,
    },
    content::ports::ObjectStore,
    kernel::{clock::Timestamp, fault::PortError, ids::TenantId, scope::TenantScope},
};
use uuid::Uuid;

use crate::object_store::must_be_known;

const PORT: &str = "erasure_ledger";

/// The folder of them all.
const FOLDER: &str = "erasures";

/// The folder of what became of tenants, apart, so that nobody takes it for a person's.
const TENANTS: &str = "tenants";

/// A ledger of erasures in a store of objects.
pub struct ObjectLedger {
    objects: Arc<dyn ObjectStore>,
}

impl std::fmt::Debug for ObjectLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectLedger(..)")
    }
}

impl ObjectLedger {
    /// Keeps it in `objects`.
    pub const fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects }
    }
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
        self.objects.put(&name(scope, erasure.subject, erasure.basis), at.into_bytes()).await
    }

    async fn all(&self) -> Result<Vec<(TenantScope, Subject, ErasureBasis)>, PortError> {
        let keys = self.objects.below(FOLDER).await?;
        // An entry that can't be read is somebody who would come back unseen.
        let unread = |key: &String| PortError::lasting(PORT, format!("{key} is no entry of the ledger"));
        keys.iter().map(|key| parse(key).ok_or_else(|| unread(key))).collect()
    }

    async fn keep_fate(&self, scope: &TenantScope, fate: TenantFate) -> Result<(), PortError> {
        // Into a store that is not the one it was, nobody would look.
        must_be_known(&*self.objects).await?;
        self.objects.put(&fate_name(scope.tenant(), fate), Vec::new()).await
    }

    async fn fates(&self) -> Result<BTreeMap<TenantId, TenantFate>, PortError> {
        let mut last: BTreeMap<TenantId, TenantFate> = BTreeMap::new();
        for key in self.objects.below(TENANTS).await? {
            // Half written, it is not said yet.
            if key.contains('#') {
                continue;
            }
            let unread = || PortError::lasting(PORT, format!("{key} is no entry of the ledger"));
            let (tenant, fate) = parse_fate(&key).ok_or_else(unread)?;
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
