//! What publishing asks of accounts: which can be posted for, whose they are to work on, and what to do with a token that
//! the platform refuses.

use std::collections::HashMap;

use super::{
    super::{
        model::{Ability, Account, Capability, Matrix, TokenTerms},
        ports::{AccountQuery, AccountsTx},
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::Actor,
        clock::Timestamp,
        ids::{AccountId, GroupId},
        outbox::Origin,
        page::{Direction, Key, PageRequest},
        scope::TenantScope,
    },
};

/// An account, and whether videos can be posted for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postable {
    /// The account.
    pub account: Account,
    /// Who can post a video for it, if anybody; `None` when the platform is not known here any more.
    pub video: Option<Capability>,
    /// Who can read its posts, which is how an answer that was lost is found.
    pub reading: Option<Capability>,
    /// When its consent ends.
    pub consent_ends_at: Option<Timestamp>,
}

impl Accounts {
    /// These accounts, in their order; `None` for those the actor does not reach.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn postable(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        ids: &[AccountId],
    ) -> Result<Vec<Option<Postable>>, AccountsError> {
        let reach = Self::reach(tx, actor).await?;
        let reached = tx.accounts_by_id(ids).await?.into_iter().filter(|account| reach.holds(account.group));
        let reached: HashMap<_, _> = reached.map(|account| (account.id, account)).collect();
        let found: Vec<_> = ids.iter().map(|id| reached.get(id).cloned()).collect();
        let there: Vec<_> = found.iter().flatten().cloned().collect();
        let terms = tx.token_terms(ids).await?;
        let mut all = self.capabilities_of(tx, actor, &there).await?.into_iter();
        let postable = |account: Account| {
            let abilities = all.next().unwrap_or_default();
            let of = |ability| abilities.iter().find(|found| found.ability == ability).cloned();
            Postable {
                video: of(Ability::PublishVideo),
                reading: of(Ability::ReadPosts),
                consent_ends_at: terms.get(&account.id).map(TokenTerms::consent_ends_at),
                account,
            }
        };
        let mut postable = postable;
        Ok(found.into_iter().map(|account| account.map(&mut postable)).collect())
    }

    /// Whether the actor may work on an account there is.
    ///
    /// # Errors
    /// `Port`.
    pub async fn reaches(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<bool, AccountsError> {
        if Self::reaches_all(actor) {
            return Ok(true);
        }
        let reach = Self::reach(tx, actor).await?;
        Ok(tx.account(id).await?.is_some_and(|account| reach.holds(account.group)))
    }

    /// The accounts the actor reaches, of a group and below where one is given; `None` when that is all of them.
    ///
    /// # Errors
    /// `Port`.
    pub async fn reached(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        group: Option<GroupId>,
    ) -> Result<Option<Vec<AccountId>>, AccountsError> {
        if Self::reaches_all(actor) && group.is_none() {
            return Ok(None);
        }
        Ok(Some(self.all_reached(tx, actor, group).await?))
    }

    /// The accounts the actor reaches, of a group and below where one is given, each by its name.
    ///
    /// # Errors
    /// `Port`.
    pub async fn all_reached(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        group: Option<GroupId>,
    ) -> Result<Vec<AccountId>, AccountsError> {
        let reach = Self::reach(tx, actor).await?;
        let groups = match group {
            None => None,
            Some(group) => Some(Matrix::of(tx.groups().await?).below(group).into_iter().collect()),
        };
        let query = AccountQuery { reach, groups, app: None, tags: Vec::new(), state: None };
        let (mut reached, mut from) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 100, from, direction: Direction::Forward };
            let page = tx.accounts(&query, page).await?;
            reached.extend(page.items.iter().map(|account| account.id));
            match page.items.last() {
                Some(last) if page.more => from = Some(Key { at: last.created_at, id: last.id.uuid() }),
                _ => return Ok(reached),
            }
        }
    }

    /// The platform refused an access token that was lent: it is looked at now, unless there is another since.
    ///
    /// # Errors
    /// `Port`.
    pub async fn token_refused(
        &self,
        origin: &Origin,
        scope: TenantScope,
        account: AccountId,
        version: u64,
    ) -> Result<(), AccountsError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let terms = tx.token_terms(&[account]).await?.remove(&account);
        if terms.is_some_and(|terms| terms.version == version) {
            tx.hurry_tokens(account, self.0.clock.now()).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
