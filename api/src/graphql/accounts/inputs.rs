//! What mutations on accounts are given.

use async_graphql::{ID, InputObject, MaybeUndefined};

/// The tenant's credentials as a developer on a platform.
#[derive(InputObject)]
pub struct RegisterAppInput {
    /// The platform, as `douyin`.
    pub(super) platform: String,
    /// What the tenant calls it.
    pub(super) name: String,
    /// What the platform calls it (`client_key`).
    pub(super) client_key: String,
    /// Its secret; sealed, and never shown again.
    pub(super) client_secret: String,
    /// What the platform granted it.
    pub(super) scopes: Vec<String>,
}

/// What is to be different; what is left out stays.
#[derive(InputObject)]
pub struct ChangeAppInput {
    /// The app's id.
    pub(super) id: ID,
    /// What the tenant calls it.
    pub(super) name: Option<String>,
    /// Its secret.
    pub(super) client_secret: Option<String>,
    /// What the platform granted it, all of it.
    pub(super) scopes: Option<Vec<String>>,
}

/// Which app.
#[derive(InputObject)]
pub struct RemoveAppInput {
    /// The app's id.
    pub(super) id: ID,
}

/// Who asks, for what, and where the account is put.
#[derive(InputObject)]
pub struct BeginLinkInput {
    /// The app that asks.
    pub(super) app_id: ID,
    /// The group the account is put in; needed of who works in groups.
    pub(super) group_id: Option<ID>,
    /// The account to link again; another owner's consent is refused.
    pub(super) account_id: Option<ID>,
    /// What the owner is asked for; the product's own wish when left out.
    pub(super) scopes: Option<Vec<String>>,
}

/// Which account.
#[derive(InputObject)]
pub struct PauseAccountInput {
    /// The account's id.
    pub(super) id: ID,
}

/// Which account.
#[derive(InputObject)]
pub struct ResumeAccountInput {
    /// The account's id.
    pub(super) id: ID,
}

/// Which account.
#[derive(InputObject)]
pub struct UnlinkAccountInput {
    /// The account's id.
    pub(super) id: ID,
}

/// Which account.
#[derive(InputObject)]
pub struct RefreshAccountInput {
    /// The account's id.
    pub(super) id: ID,
}

/// Which account, and where.
#[derive(InputObject)]
pub struct PlaceAccountInput {
    /// The account's id.
    pub(super) id: ID,
    /// The group it is put in; null takes it out of all.
    pub(super) group_id: Option<ID>,
}

/// Which account, and how it is tagged.
#[derive(InputObject)]
pub struct TagAccountInput {
    /// The account's id.
    pub(super) id: ID,
    /// All its tags from now on; at most 20, of at most 40 characters.
    pub(super) tags: Vec<String>,
}

/// What to make.
#[derive(InputObject)]
pub struct CreateGroupInput {
    /// What it is called.
    pub(super) name: String,
    /// What it is part of; left out, it is a matrix.
    pub(super) parent_id: Option<ID>,
}

/// What is to be different; what is left out stays.
#[derive(InputObject)]
pub struct ChangeGroupInput {
    /// The group's id.
    pub(super) id: ID,
    /// What it is called.
    pub(super) name: Option<String>,
    /// What it is part of; null makes it a matrix.
    pub(super) parent_id: MaybeUndefined<ID>,
}

/// Which group.
#[derive(InputObject)]
pub struct RemoveGroupInput {
    /// The group's id.
    pub(super) id: ID,
}

/// Which group, and whose.
#[derive(InputObject)]
pub struct GrantGroupInput {
    /// The group's id.
    pub(super) id: ID,
    /// The member's id.
    pub(super) member_id: ID,
}

/// Which group, and whose.
#[derive(InputObject)]
pub struct RevokeGroupInput {
    /// The group's id.
    pub(super) id: ID,
    /// The member's id.
    pub(super) member_id: ID,
}
