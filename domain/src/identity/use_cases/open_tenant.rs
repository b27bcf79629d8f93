//! A tenant opens, with its first owner.

use super::{
    super::actions,
    super::model::{EmailAddress, Member, MemberStatus, Slug, Tenant, new_password},
    Identity,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::Role,
        ids::{MemberId, TenantId},
        name::display_name,
        outbox::{Origin, Party, Record},
        scope::TenantScope,
        secret::Secret,
    },
};

/// What a tenant is opened with.
#[derive(Debug)]
pub struct OpenTenant {
    /// Its public name.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// Its first owner's address.
    pub owner_email: String,
    /// Its first owner's name.
    pub owner_name: String,
    /// Its first owner's password.
    pub owner_password: Secret,
}

/// A tenant that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// Its first owner.
    pub owner: MemberId,
}

impl Identity {
    /// Opens a tenant. For the operator of this installation, on the command line.
    ///
    /// # Errors
    /// `Invalid`, `SlugTaken`, `Port`.
    pub async fn open_tenant(
        &self,
        origin: &Origin,
        draft: OpenTenant,
    ) -> Result<OpenedTenant, IdentityError> {
        let ports = &self.0;
        let now = ports.clock.now();
        let slug = Slug::parse(&draft.slug).map_err(|_| IdentityError::Invalid {
            field: "slug",
            problem: "must be 3 to 40 characters of a-z, 0-9 and -, starting with a letter",
        })?;
        let email = email_field("ownerEmail", &draft.owner_email)?;
        let name = named("ownerName", &draft.owner_name)?;
        password_field("ownerPassword", &draft.owner_password)?;
        let tenant = Tenant::open(TenantId::new(&*ports.ids), slug, &draft.name, now)
            .map_err(|problem| IdentityError::Invalid { field: "name", problem })?;
        let password_hash = ports.hasher.hash(&draft.owner_password).await?;
        // The name is taken first and for good: if what follows fails, it stays taken by a tenant that never
        // opened, which is better than two tenants with one name.
        if !ports.directory.claim(&tenant.slug, tenant.id).await? {
            return Err(IdentityError::SlugTaken);
        }
        let owner = Member {
            id: MemberId::new(&*ports.ids),
            email,
            name,
            role: Role::Owner,
            status: MemberStatus::Active,
            password_hash,
            totp: None,
            created_at: now,
            version: 1,
        };
        let mut tx = ports.units.begin(TenantScope::of(tenant.id), origin).await?;
        tx.add_tenant(&tenant).await?;
        tx.add_member(&owner).await?;
        tx.record(Record::success(actions::OPEN_TENANT, Party::new("tenant", tenant.id.uuid()))).await?;
        tx.commit().await?;
        Ok(OpenedTenant { tenant: tenant.id, owner: owner.id })
    }
}

pub(super) fn email_field(field: &'static str, text: &str) -> Result<EmailAddress, IdentityError> {
    EmailAddress::parse(text).map_err(|_| IdentityError::Invalid {
        field,
        problem: "is not an e-mail address like name@example.com",
    })
}

pub(super) fn named(field: &'static str, text: &str) -> Result<String, IdentityError> {
    display_name(text).map_err(|problem| IdentityError::Invalid { field, problem })
}

pub(super) fn password_field(field: &'static str, password: &Secret) -> Result<(), IdentityError> {
    let text = password.expose_str().unwrap_or_default();
    new_password(text).map_err(|problem| IdentityError::Invalid { field, problem })
}
