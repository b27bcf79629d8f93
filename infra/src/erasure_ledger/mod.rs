//! Erasures, written down as names of objects outside of the database. A name says all there is to say, so that all of them
//! are read with one listing.
//!
//! Absent on purpose: anything that tells who somebody was.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    compliance::{
        erasure::{Erasure, ErasureBasis, Subject, SubjectKind},
        ports::ErasureLedger,
    },
    content::ports::ObjectStore,
    kernel::{clock::Timestamp, fault::PortError, ids::TenantId, scope::TenantScope},
};
use uuid::Uuid;

const PORT: &str = "erasure_ledger";

/// The folder of them all.
const FOLDER: &str = "erasures";

/// The folder of tenants that have ended, apart: who can't read it must not take it for a person's.
const ENDED: &str = "ended-tenants";

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

    async fn keep_end(&self, scope: &TenantScope, begun_at: Timestamp) -> Result<(), PortError> {
        let at = begun_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let key = format!("{ENDED}/{}", scope.tenant().uuid().simple());
        self.objects.put(&key, at.into_bytes()).await
    }

    async fn ended(&self) -> Result<BTreeSet<TenantId>, PortError> {
        let keys = self.objects.below(ENDED).await?;
        let tenant = |key: &String| {
            let name = key.strip_prefix(ENDED).and_then(|name| name.strip_prefix('/'));
            let tenant = name.and_then(|name| Uuid::try_parse(name).ok()).map(TenantId::from_uuid);
            tenant.ok_or_else(|| PortError::lasting(PORT, format!("{key} is no entry of the ledger")))
        };
        keys.iter().map(tenant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
