//! An account's owner is to be asked for consent.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        actions,
        model::{App, AppState, Link, LinkOutcome, LinkStep, Reach, scopes},
        ports::{AccountsTx, ConsentAsk, PlatformFacts},
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, AppId, GroupId, LinkId},
        outbox::Party,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BeginLink {
    /// The app that asks.
    pub app: AppId,
    /// Where the account shall be put.
    pub group: Option<GroupId>,
    /// The account that is to be linked again.
    pub again: Option<AccountId>,
    /// What the owner is asked for; `None` for what the product uses of what the app has.
    pub scopes: Option<Vec<String>>,
}

/// An attempt, and the page to show to the owner, once.
#[derive(Clone, Debug)]
pub struct BegunLink {
    /// The attempt.
    pub link: LinkId,
    /// The platform's consent page. Whoever has it can finish this attempt, and nothing else.
    pub consent_url: Secret,
    /// From when on it is of no use.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Asks for consent.
    ///
    /// # Errors
    /// `Denied`, `NeedsMember`, `NotFound`, `AppSwitchedOff`, `ScopesMissing`, `Invalid`, `PlatformUnknown`, `Port`.
    pub async fn begin_link(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        ask: BeginLink,
    ) -> Result<BegunLink, AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let (Some(member), Some(session)) = (actor.member(), actor.session()) else {
            return Err(AccountsError::NeedsMember);
        };
        let app = Self::app_of(tx, ask.app).await?;
        if app.state == AppState::SwitchedOff {
            return Err(AccountsError::AppSwitchedOff);
        }
        let platform = self.platform(app.platform.as_str())?;
        let facts = platform.facts();
        let scopes = scopes_asked(&app, facts, ask.scopes)?;
        let reach = Self::reach(tx, actor).await?;
        match ask.group {
            Some(group) => drop(Self::group_reached(tx, &reach, group).await?),
            None if reach == Reach::All || ask.again.is_some() => {}
            None => {
                return Err(AccountsError::Invalid {
                    field: "groupId",
                    problem: "must name a group you work in",
                });
            }
        }
        if let Some(again) = ask.again {
            let account = tx.account(again).await?;
            let account = account.filter(|account| account.app == app.id && reach.holds(account.group));
            account.ok_or(AccountsError::NotFound { field: "accountId" })?;
        }
        let now = self.0.clock.now();
        let id = LinkId::new(&*self.0.ids);
        let state = Token::generate(tx.scope().tenant(), id.uuid(), &*self.0.entropy);
        let verifier = facts.takes_challenge.then(|| URL_SAFE_NO_PAD.encode(self.0.entropy.bytes32()));
        let mut link = Link {
            id,
            app: app.id,
            platform: app.platform.clone(),
            member,
            session,
            secret_hash: state.hash(),
            verifier: verifier.clone().map(Secret::from),
            scopes,
            group: ask.group,
            again: ask.again,
            created_at: now,
            returned_at: None,
            outcome: LinkOutcome::Open,
            trace: Vec::new(),
        };
        link.note(LinkStep::Begun, None, now);
        tx.add_link(&link).await?;
        Self::done(tx, actions::BEGIN_LINK, Party::new("link", id.uuid())).await?;
        let text = state.text(TokenKind::LinkState);
        // RFC 7636 section 4.2.
        let challenge = verifier.map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())));
        let consent_url = platform.consent_url(&ConsentAsk {
            client_key: &app.client_key,
            scopes: &link.scopes,
            redirect_uri: &self.redirect_uri(app.platform.as_str()),
            state: text.expose_str().unwrap_or_default(),
            challenge: challenge.as_deref(),
        });
        Ok(BegunLink { link: id, consent_url: Secret::from(consent_url), expires_at: link.expires_at() })
    }
}

/// What the owner is asked for: a page that asks for what the app does not have is refused by the platform whole, in
/// front of the owner.
fn scopes_asked(
    app: &App,
    facts: &PlatformFacts,
    asked: Option<Vec<String>>,
) -> Result<Vec<String>, AccountsError> {
    let has = |scope: &String| app.working_scopes().any(|own| own == scope);
    let mut list = match asked {
        Some(list) => scopes(list).map_err(|problem| AccountsError::Invalid { field: "scopes", problem })?,
        None => facts.scopes_wanted.iter().filter(|scope| has(scope)).cloned().collect(),
    };
    list.extend(facts.scopes_needed.iter().cloned());
    list.sort_unstable();
    list.dedup();
    let missing: Vec<_> = list.iter().filter(|scope| !has(scope)).cloned().collect();
    if missing.is_empty() {
        Ok(list)
    } else {
        Err(AccountsError::ScopesMissing { missing: missing.join(", ") })
    }
}
