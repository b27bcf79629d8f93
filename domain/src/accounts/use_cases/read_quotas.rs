//! What was used of platforms' quotas, and how calls to platforms go.

use std::collections::HashMap;

use super::{
    super::{
        model::{Account, App, PlatformHealth, QuotaOwner, QuotaRule, QuotaSpan, QuotaStanding, QuotaUse},
        ports::AccountsTx,
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, AppId},
        platform::RefusalKind,
    },
};

/// Longest a platform's day began before now, in days: the ledger is read no further back.
const LOOK_BACK_DAYS: i64 = 2;

/// Posts of an account that count against its day, whoever made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostsUsed {
    /// The day.
    pub day: QuotaSpan,
    /// How many, as far as the platform told us.
    pub used: u32,
}

impl PostsUsed {
    /// How many there are on the day of an instant.
    pub fn at(&self, at: Timestamp) -> u32 {
        if (self.day.begins_at..self.day.ends_at).contains(&at) { self.used } else { 0 }
    }
}

/// How long after it opened a platform may still refuse for a quota, in seconds.
const LATE_S: i64 = 1_800;

impl Accounts {
    fn quota_rules(&self, platform: &str) -> &[QuotaRule] {
        self.0.platforms.get(platform).map_or(&[], |platform| &platform.facts().quotas)
    }

    fn looked_back(&self) -> Timestamp {
        self.0.clock.now() - chrono::TimeDelta::days(LOOK_BACK_DAYS)
    }

    /// How the quotas of an app stand that its accounts share.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn quotas_of_app(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        app: &App,
    ) -> Result<Vec<QuotaStanding>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let uses = tx.quota_uses_of_apps(&[app.id], self.looked_back()).await?;
        let uses = uses.get(&app.id).map_or(&[][..], Vec::as_slice);
        let now = self.0.clock.now();
        let shared =
            self.quota_rules(app.platform.as_str()).iter().filter(|rule| rule.owner == QuotaOwner::App);
        let standing =
            |rule: &QuotaRule| QuotaStanding::with(&app.platform, *rule, (app.id, None), uses, now);
        Ok(shared.map(standing).collect())
    }

    /// How the quotas stand that accounts draw on which were read before, in their order: their own, and those of their
    /// apps.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn quotas_of(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        accounts: &[Account],
    ) -> Result<Vec<Vec<QuotaStanding>>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let since = self.looked_back();
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let mut apps: Vec<AppId> = accounts.iter().map(|account| account.app).collect();
        apps.sort_unstable();
        apps.dedup();
        let own = tx.quota_uses_of_accounts(&ids, since).await?;
        let shared = tx.quota_uses_of_apps(&apps, since).await?;
        let now = self.0.clock.now();
        let standings = |account: &Account| {
            let standing = |rule: &QuotaRule| {
                let uses = match rule.owner {
                    QuotaOwner::App => shared.get(&account.app),
                    QuotaOwner::Account => own.get(&account.id),
                };
                let uses = uses.map_or(&[][..], Vec::<QuotaUse>::as_slice);
                QuotaStanding::of(&account.platform, *rule, (account.app, account.id), uses, now)
            };
            self.quota_rules(account.platform.as_str()).iter().map(standing).collect()
        };
        Ok(accounts.iter().map(standings).collect())
    }

    /// When the platform's quota opens again that such a refusal is about; `None` when that is about none, or nobody knows.
    pub fn quota_opens_at(&self, platform: &str, refusal: RefusalKind, now: Timestamp) -> Option<Timestamp> {
        let rules = self.quota_rules(platform).iter().filter(|rule| rule.used_up_by == Some(refusal));
        // The call was made a moment ago, and its period may have ended since: then the quota has opened, or is about to. It
        // is not said which of several it is: none of them is used up after the last of them opened.
        let asked_at = now - chrono::TimeDelta::seconds(LATE_S);
        rules
            .filter_map(|rule| Some(rule.period.around(asked_at)?.ends_at))
            .max()
            .filter(|opens| *opens > now)
    }

    /// Posts that count against the day that is now, of each account whose platform counts any: made through here, and by
    /// the hand of its owner as far as the platform said that there may be no more.
    ///
    /// # Errors
    /// `Port`.
    pub async fn posts_used(
        &self,
        tx: &mut dyn AccountsTx,
        accounts: &[&Account],
    ) -> Result<HashMap<AccountId, PostsUsed>, AccountsError> {
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let kept = tx.quota_uses_of_accounts(&ids, self.looked_back()).await?;
        let now = self.0.clock.now();
        let of_day = |account: &&Account| {
            let of_posts = |rule: &&QuotaRule| rule.used_up_by == Some(RefusalKind::PostsUsedUp);
            let rule = *self.quota_rules(account.platform.as_str()).iter().find(of_posts)?;
            let kept = kept.get(&account.id).map_or(&[][..], Vec::as_slice);
            let standing = QuotaStanding::of(&account.platform, rule, (account.app, account.id), kept, now);
            let counted = u32::try_from(standing.used()?).unwrap_or(u32::MAX);
            let all = rule.limit.unwrap_or(u32::MAX);
            let used = if standing.used_up_until().is_some() { counted.max(all) } else { counted };
            Some((account.id, PostsUsed { day: standing.span?, used }))
        };
        Ok(accounts.iter().filter_map(of_day).collect())
    }

    /// How the tenant's calls to platforms go, as all processes that make them say. When they can't be asked, nothing is
    /// known, and that is the answer.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn platform_health(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
    ) -> Result<PlatformHealth, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        Ok(match self.0.health.reports(&tx.scope()).await {
            Ok(reports) => PlatformHealth::of(&reports),
            Err(_) => PlatformHealth::default(),
        })
    }
}
