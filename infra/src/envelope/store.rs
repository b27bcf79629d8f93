//! Where wrapped keys are kept. Nothing in these rows opens anything without the key provider.

use async_trait::async_trait;
use domain::kernel::{fault::PortError, scope::TenantScope};

/// What a data key is for. Each purpose has its own chain of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Seals fields of a tenant's rows.
    Fields,
    /// Blind indexes and pseudonyms. Has one version: a new one would orphan every hash made with the old.
    Index,
    /// Seals the platform's own secrets, under the platform's tenant id.
    Platform,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fields, Self::Index, Self::Platform];

    /// The purpose as it is stored and bound into the wrap.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Index => "index",
            Self::Platform => "platform",
        }
    }
}

/// A tenant's key-encryption key, wrapped by the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeyRow {
    /// From 1 on; the highest is the newest.
    pub version: u32,
    /// [`super::KeyProvider::describe`] of the provider that wrapped it.
    pub provider: String,
    /// A check value and the provider's wrap.
    pub wrapped: Vec<u8>,
    /// Nothing is wrapped under it any more, and nothing that was is opened.
    pub is_retired: bool,
}

/// A data key, wrapped by a tenant's key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    /// From 1 on; the highest is the newest.
    pub version: u32,
    /// The version of the tenant key that wraps it.
    pub kek_version: u32,
    /// The wrap.
    pub wrapped: Vec<u8>,
}

/// Wrapped keys of tenants. Rows are added and never taken away; a data key may be wrapped anew.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The tenant key of the highest version; `None` when the tenant has none yet.
    async fn newest_tenant_key(&self, scope: &TenantScope) -> Result<Option<TenantKeyRow>, PortError>;

    /// The tenant key of that version.
    async fn tenant_key(&self, scope: &TenantScope, version: u32) -> Result<Option<TenantKeyRow>, PortError>;

    /// Stores the row unless one of its version is there, durably, and returns the one that is there now: the
    /// same row for everybody who tried.
    async fn add_tenant_key(&self, scope: &TenantScope, row: TenantKeyRow)
    -> Result<TenantKeyRow, PortError>;

    /// The data key of the highest version for that purpose; `None` when there is none yet.
    async fn newest_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
    ) -> Result<Option<DataKeyRow>, PortError>;

    /// The data key of that purpose and version.
    async fn data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        version: u32,
    ) -> Result<Option<DataKeyRow>, PortError>;

    /// As [`Self::add_tenant_key`], for a data key of that purpose.
    async fn add_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        row: DataKeyRow,
    ) -> Result<DataKeyRow, PortError>;

    /// All tenant keys, oldest first.
    async fn tenant_keys(&self, scope: &TenantScope) -> Result<Vec<TenantKeyRow>, PortError>;

    /// All data keys, of each purpose the oldest first.
    async fn data_keys(&self, scope: &TenantScope) -> Result<Vec<(Purpose, DataKeyRow)>, PortError>;

    /// Puts `row` in the place of `old`, which is the same key under an older tenant key. When `old` is not what is
    /// there any more, nothing changes: somebody else was first.
    async fn rewrap_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        old: &DataKeyRow,
        row: DataKeyRow,
    ) -> Result<(), PortError>;

    /// Retires, for good, the tenant keys but the newest that no data key is under, and says how many. From then on the
    /// store takes no data key under them.
    async fn retire_tenant_keys(&self, scope: &TenantScope) -> Result<u32, PortError>;
}
