//! Wrapped keys in memory: the twin of the Postgres store, for tests and the sandbox.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::kernel::{fault::PortError, ids::TenantId, scope::TenantScope};

use super::store::{DataKeyRow, KeyStore, Purpose, TenantKeyRow};

#[derive(Debug, Default)]
struct Rows {
    tenant_keys: BTreeMap<(TenantId, u32), TenantKeyRow>,
    data_keys: BTreeMap<(TenantId, &'static str, u32), DataKeyRow>,
}

/// A [`KeyStore`] that forgets everything when dropped.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<Rows>);

impl MemoryKeyStore {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn newest_tenant_key(&self, scope: &TenantScope) -> Result<Option<TenantKeyRow>, PortError> {
        let tenant = scope.tenant();
        let rows = self.rows();
        Ok(rows.tenant_keys.range((tenant, 0)..=(tenant, u32::MAX)).next_back().map(|(_, row)| row.clone()))
    }

    async fn tenant_key(&self, scope: &TenantScope, version: u32) -> Result<Option<TenantKeyRow>, PortError> {
        Ok(self.rows().tenant_keys.get(&(scope.tenant(), version)).cloned())
    }

    async fn add_tenant_key(
        &self,
        scope: &TenantScope,
        row: TenantKeyRow,
    ) -> Result<TenantKeyRow, PortError> {
        Ok(self.rows().tenant_keys.entry((scope.tenant(), row.version)).or_insert(row).clone())
    }

    async fn newest_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
    ) -> Result<Option<DataKeyRow>, PortError> {
        let first = (scope.tenant(), purpose.as_str(), 0);
        let last = (scope.tenant(), purpose.as_str(), u32::MAX);
        Ok(self.rows().data_keys.range(first..=last).next_back().map(|(_, row)| row.clone()))
    }

    async fn data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        version: u32,
    ) -> Result<Option<DataKeyRow>, PortError> {
        Ok(self.rows().data_keys.get(&(scope.tenant(), purpose.as_str(), version)).cloned())
    }

    async fn add_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        row: DataKeyRow,
    ) -> Result<DataKeyRow, PortError> {
        let key = (scope.tenant(), purpose.as_str(), row.version);
        Ok(self.rows().data_keys.entry(key).or_insert(row).clone())
    }

    async fn tenant_keys(&self, scope: &TenantScope) -> Result<Vec<TenantKeyRow>, PortError> {
        let tenant = scope.tenant();
        let rows = self.rows();
        Ok(rows.tenant_keys.range((tenant, 0)..=(tenant, u32::MAX)).map(|(_, row)| row.clone()).collect())
    }

    async fn data_keys(&self, scope: &TenantScope) -> Result<Vec<(Purpose, DataKeyRow)>, PortError> {
        let rows = self.rows();
        let of = |purpose: Purpose| {
            let range = (scope.tenant(), purpose.as_str(), 0)..=(scope.tenant(), purpose.as_str(), u32::MAX);
            rows.data_keys.range(range).map(move |(_, row)| (purpose, row.clone()))
        };
        Ok(Purpose::ALL.into_iter().flat_map(of).collect())
    }

    async fn rewrap_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        old: &DataKeyRow,
        row: DataKeyRow,
    ) -> Result<(), PortError> {
        let key = (scope.tenant(), purpose.as_str(), row.version);
        if let Some(there) = self.rows().data_keys.get_mut(&key).filter(|there| *there == old) {
            *there = row;
        }
        Ok(())
    }

    async fn retire_tenant_keys(&self, scope: &TenantScope) -> Result<u32, PortError> {
        let tenant = scope.tenant();
        let needed: Vec<_> =
            self.data_keys(scope).await?.into_iter().map(|(_, key)| key.kek_version).collect();
        let mut rows = self.rows();
        let mut in_use: Vec<_> = rows
            .tenant_keys
            .range_mut((tenant, 0)..=(tenant, u32::MAX))
            .map(|(_, key)| key)
            .filter(|key| !key.is_retired)
            .collect();
        in_use.pop();
        let mut count = 0;
        for key in in_use.into_iter().filter(|key| !needed.contains(&key.version)) {
            key.is_retired = true;
            count += 1;
        }
        Ok(count)
    }
}
