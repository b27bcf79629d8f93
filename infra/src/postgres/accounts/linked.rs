//! `accounts.accounts`.

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{Account, AccountState, ConsentEnd, Pause, Profile, Reach},
        ports::{AccountQuery, AccountStore},
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, AppId, GroupId, MemberId},
        page::{Page, PageRequest},
        secret::Secret,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QuerySelect as _, QueryTrait as _, Select, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{held_error, platform};
use crate::postgres::{
    columns::word,
    entity::account::{Column, Entity, Model},
    error::{one_changed, orm_error},
    scope::{Rows as _, count_up_to, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.accounts";
const TABLE: &str = "accounts.accounts";

/// The label of the key that accounts are found under by what the platform calls them.
const OPEN_ID_INDEX: &str = "accounts.open_id";

const UNLINKED: &str = "unlinked";

/// What says who somebody is, sealed as one value.
#[derive(Default, Serialize, Deserialize)]
struct ProfileColumn {
    nickname: String,
    avatar: Option<String>,
    union_id: Option<String>,
}

/// A state as its three columns.
const fn state_columns(state: AccountState) -> (&'static str, Option<&'static str>, Option<Timestamp>) {
    match state {
        AccountState::Connected => ("connected", None, None),
        AccountState::ConsentNeeded { end, since } => ("consent_needed", Some(end.as_str()), Some(since)),
        AccountState::Unlinked { since } => (UNLINKED, None, Some(since)),
    }
}

fn state_of(word: &str, end: Option<&str>, since: Option<Timestamp>) -> Option<AccountState> {
    match (word, since) {
        ("connected", None) => Some(AccountState::Connected),
        ("consent_needed", Some(since)) => {
            Some(AccountState::ConsentNeeded { end: ConsentEnd::parse(end?)?, since })
        }
        (UNLINKED, Some(since)) => Some(AccountState::Unlinked { since }),
        _ => None,
    }
}

/// The groups a query is about, those reached of those asked for; `None` when it is about all accounts.
fn groups_of(query: &AccountQuery) -> Option<Vec<Uuid>> {
    let reached = |group: &GroupId| query.reach.holds(Some(*group));
    match (&query.reach, &query.groups) {
        (Reach::All, None) => None,
        (Reach::Groups(groups), None) => Some(groups.iter().map(|group| group.uuid()).collect()),
        (_, Some(groups)) => {
            Some(groups.iter().filter(|group| reached(group)).map(|group| group.uuid()).collect())
        }
    }
}

impl PgWork {
    pub(super) async fn account_of(&self, row: Model) -> Result<Account, PortError> {
        // Of an owner who was erased nothing is left to open.
        let is_erased = row.open_id_sealed.is_empty();
        let (open_id, profile) = if is_erased {
            (Secret::new(Vec::new()), ProfileColumn::default())
        } else {
            let profile = self.open(TABLE, "profile_sealed", row.id, row.profile_sealed).await?;
            let profile =
                serde_json::from_slice(profile.expose()).map_err(|e| PortError::lasting(PORT, e))?;
            (self.open(TABLE, "open_id_sealed", row.id, row.open_id_sealed).await?, profile)
        };
        Ok(Account {
            id: AccountId::from_uuid(row.id),
            app: AppId::from_uuid(row.app_id),
            platform: platform(PORT, &row.platform)?,
            open_id: word(PORT, open_id.expose_str())?.to_owned(),
            profile: Profile {
                nickname: profile.nickname,
                avatar: profile.avatar,
                kind: row.kind,
                union_id: profile.union_id,
            },
            group: row.group_id.map(GroupId::from_uuid),
            tags: row.tags,
            state: word(PORT, state_of(&row.state, row.consent_end.as_deref(), row.state_since))?,
            paused: row.paused_at.map(|since| Pause { since, by: row.paused_by.map(MemberId::from_uuid) }),
            created_at: row.created_at,
            version: word(PORT, u32::try_from(row.version).ok())?,
        })
    }

    /// The row of an account, which has the row `kept` so far.
    async fn account_row(&self, account: &Account, kept: Option<&Model>) -> Result<Model, PortError> {
        let id = account.id.uuid();
        let sealed = async |column, plain: &[u8], kept| self.seal_again(TABLE, column, id, plain, kept).await;
        let (kept_id, kept_profile) = kept.map(|kept| (&kept.open_id_sealed, &kept.profile_sealed)).unzip();
        let profile = ProfileColumn {
            nickname: account.profile.nickname.clone(),
            avatar: account.profile.avatar.clone(),
            union_id: account.profile.union_id.clone(),
        };
        let profile = Secret::new(serde_json::to_vec(&profile).map_err(|e| PortError::lasting(PORT, e))?);
        let (state, consent_end, state_since) = state_columns(account.state);
        let [open_id_sealed, open_id_index, profile_sealed] = match kept {
            // What was taken away of its owner is not sealed anew.
            Some(kept) if account.open_id.is_empty() => {
                [kept.open_id_sealed.clone(), kept.open_id_index.clone(), kept.profile_sealed.clone()]
            }
            _ => [
                sealed("open_id_sealed", account.open_id.as_bytes(), kept_id).await?,
                self.open_id_index(&account.open_id).await?,
                sealed("profile_sealed", profile.expose(), kept_profile).await?,
            ],
        };
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id,
            app_id: account.app.uuid(),
            platform: account.platform.as_str().to_owned(),
            open_id_sealed,
            open_id_index,
            profile_sealed,
            kind: account.profile.kind.clone(),
            group_id: account.group.map(GroupId::uuid),
            tags: account.tags.clone(),
            state: state.to_owned(),
            consent_end: consent_end.map(str::to_owned),
            state_since,
            paused_at: account.paused.map(|pause| pause.since),
            paused_by: account.paused.and_then(|pause| pause.by).map(MemberId::uuid),
            created_at: account.created_at,
            version: word(PORT, i32::try_from(account.version).ok())?,
        })
    }

    async fn open_id_index(&self, open_id: &str) -> Result<Vec<u8>, PortError> {
        let scope = self.tx.scope();
        Ok(self.shared.vault.keyed_hash(&scope, OPEN_ID_INDEX, open_id.as_bytes()).await?.to_vec())
    }

    async fn one_account(&self, select: Select<Entity>) -> Result<Option<Account>, PortError> {
        match select.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.account_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    fn accounts_asked(&self, query: &AccountQuery) -> Select<Entity> {
        let select = self
            .tx
            .scoped::<Entity>()
            .apply_if(groups_of(query), |select, groups| select.filter(Column::GroupId.eq_any(groups)))
            .apply_if(query.app, |select, app| select.filter(Column::AppId.eq(app.uuid())))
            .filter(match query.state {
                Some(state) => Column::State.eq(state),
                None => Column::State.ne(UNLINKED),
            });
        if query.tags.is_empty() {
            return select;
        }
        select.filter(Column::Tags.array_contains(query.tags.clone()))
    }
}

#[async_trait]
impl AccountStore for PgWork {
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, PortError> {
        self.one_account(self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()))).await
    }

    async fn accounts_by_id(&mut self, ids: &[AccountId]) -> Result<Vec<Account>, PortError> {
        let select = self.tx.scoped::<Entity>().filter(Column::Id.eq_any(ids.iter().map(|id| id.uuid())));
        let rows = select.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            accounts.push(self.account_of(row).await?);
        }
        Ok(accounts)
    }

    async fn lock_account(&mut self, id: AccountId) -> Result<Option<Account>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        self.one_account(found.lock_exclusive()).await
    }

    async fn lock_account_by_open_id(
        &mut self,
        app: AppId,
        open_id: &str,
    ) -> Result<Option<Account>, PortError> {
        let index = self.open_id_index(open_id).await?;
        let found = self
            .tx
            .scoped::<Entity>()
            .filter(Column::AppId.eq(app.uuid()))
            .filter(Column::OpenIdIndex.eq(index));
        self.one_account(found.lock_exclusive()).await
    }

    async fn add_account(&mut self, account: &Account) -> Result<(), PortError> {
        let row = self.account_row(account, None).await?;
        let known = OnConflict::columns([Column::TenantId, Column::AppId, Column::OpenIdIndex])
            .do_nothing()
            .to_owned();
        let added = Entity::insert(row.into_active_model().reset_all())
            .on_conflict(known)
            .exec_without_returning(&self.tx)
            .await
            .map_err(|e| held_error(PORT, e))?;
        one_changed(PORT, added)
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), PortError> {
        let kept = self.tx.scoped::<Entity>().filter(Column::Id.eq(account.id.uuid()));
        let kept = kept.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let mut row = self.account_row(account, kept.as_ref()).await?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(account.id.uuid()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| held_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn accounts(
        &mut self,
        query: &AccountQuery,
        page: PageRequest,
    ) -> Result<Page<Account>, PortError> {
        let rows = keyset(self.accounts_asked(query), Column::CreatedAt, Column::Id, page)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            accounts.push(self.account_of(row).await?);
        }
        Ok(Page::of_read(accounts, &page))
    }

    async fn count_accounts(&mut self, query: &AccountQuery, most: u32) -> Result<u32, PortError> {
        count_up_to(PORT, &self.tx, self.accounts_asked(query), Column::Id, most).await
    }
}
