//! The proof that a piece of work is for one tenant. Stores take it by reference and can't be called
//! without it.

use super::ids::TenantId;

/// One tenant's data, and nothing else. Made where a tenant has been established: from a verified
/// credential, from a token that names its tenant, or by an operator on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantScope {
    tenant: TenantId,
}

impl TenantScope {
    /// The scope of `tenant`.
    pub const fn of(tenant: TenantId) -> Self {
        Self { tenant }
    }

    /// The tenant.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
}
