//! A platform in memory, with books of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::lock;
use crate::{
    accounts::{
        model::{
            Ability, AbilityRule, AppCredentials, Profile, QuotaCounts, QuotaOwner, QuotaPeriod, QuotaRule,
            Refreshed, Renewed,
        },
        ports::{
            Authorizer, ConsentAsk, Granted, PlatformError, PlatformFacts, PlatformNews, Refusal, RefusalKind,
        },
    },
    kernel::{fault::PortError, platform::PlatformKey, scope::TenantScope, secret::Secret},
};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing.
    None,
    /// It is busy and does nothing.
    Busy,
    /// It does it, and the answer is lost.
    LosesAnswer,
    /// It says no.
    Refuses(RefusalKind),
}

/// One owner's consent, as the platform knows it.
#[derive(Clone, Debug, Default)]
struct Grant {
    access: String,
    refresh: String,
    renewals: u32,
    revoked: bool,
}

/// Something that happens beside a call.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Books {
    grants: BTreeMap<String, Grant>,
    codes: BTreeMap<String, String>,
    mishaps: VecDeque<Mishap>,
    calls: Vec<&'static str>,
    meanwhile: Option<(&'static str, Meanwhile)>,
    made: u64,
}

/// [`Authorizer`] in memory.
pub struct MemoryPlatform {
    facts: PlatformFacts,
    books: Mutex<Books>,
}

impl std::fmt::Debug for MemoryPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryPlatform").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Two posts of an account a day.
const POSTS: QuotaRule = QuotaRule {
    name: "posts",
    endpoints: &["publish"],
    owner: QuotaOwner::Account,
    period: QuotaPeriod::Day { ahead: TimeDelta::zero() },
    counts: QuotaCounts::Done,
    limit: Some(2),
    used_up_by: Some(RefusalKind::PostsUsedUp),
    source: "made up",
};

const DAY_S: i64 = 86_400;

impl Default for MemoryPlatform {
    fn default() -> Self {
        let key = PlatformKey::parse("memory").unwrap_or_else(|_| unreachable!("a plain word"));
        let scopes = ["comments", "profile", "publish"].map(str::to_owned).to_vec();
        Self {
            facts: PlatformFacts {
                key,
                name: "Memory",
                renewals_max: 5,
                renewal_scope: Some("renew"),
                takes_challenge: true,
                scopes_wanted: scopes,
                scopes_needed: vec!["profile".to_owned()],
                rules: vec![AbilityRule {
                    ability: Ability::PublishVideo,
                    server: vec!["publish".to_owned()],
                    hand_off: vec!["share".to_owned()],
                }],
                quotas: vec![POSTS],
            },
            books: Mutex::default(),
        }
    }
}

const fn refused(kind: RefusalKind) -> PlatformError {
    PlatformError::Refused(Refusal { kind, code: 1 })
}

impl MemoryPlatform {
    /// An owner consents: the code that comes back.
    pub fn consent(&self, open_id: &str) -> Secret {
        let mut books = lock(&self.books);
        books.made += 1;
        let code = format!("code.{}", books.made);
        books.codes.insert(code.clone(), open_id.to_owned());
        Secret::from(code)
    }

    /// An owner takes the consent back.
    pub fn revoke(&self, open_id: &str) {
        if let Some(grant) = lock(&self.books).grants.get_mut(open_id) {
            grant.revoked = true;
        }
    }

    /// What goes wrong with the next calls, in order.
    pub fn script(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        lock(&self.books).mishaps = mishaps.into_iter().collect();
    }

    /// What happens while the next call of that name is under way.
    pub fn meanwhile(&self, call: &'static str, happens: impl FnOnce() + Send + 'static) {
        lock(&self.books).meanwhile = Some((call, Box::new(happens)));
    }

    /// The calls received so far, by name.
    pub fn calls(&self) -> Vec<&'static str> {
        lock(&self.books).calls.clone()
    }

    /// Whether these are the tokens that work.
    pub fn lets_in(&self, open_id: &str, access: &Secret, refresh: Option<&Secret>) -> bool {
        let books = lock(&self.books);
        let grant = books.grants.get(open_id).filter(|grant| !grant.revoked);
        grant.is_some_and(|grant| {
            access.expose_str() == Some(&grant.access)
                && refresh.is_none_or(|refresh| refresh.expose_str() == Some(&grant.refresh))
        })
    }

    /// Does a call's work on the books, with whatever goes wrong.
    fn call<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Books) -> Result<T, PlatformError>,
    ) -> Result<T, PlatformError> {
        let mut books = lock(&self.books);
        books.calls.push(name);
        if let Some((_, happens)) = books.meanwhile.take_if(|(call, _)| *call == name) {
            happens();
        }
        match books.mishaps.pop_front().unwrap_or(Mishap::None) {
            Mishap::None => work(&mut books),
            Mishap::Busy => Err(PlatformError::NotDone(PortError::passing("memory.platform", "busy"))),
            Mishap::Refuses(kind) => Err(refused(kind)),
            Mishap::LosesAnswer => {
                drop(work(&mut books)?);
                Err(PlatformError::Unknown(PortError::passing("memory.platform", "the answer was lost")))
            }
        }
    }
}

impl Books {
    fn token(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}.{}", self.made)
    }

    fn open_id_of(&self, refresh: &Secret) -> Result<String, PlatformError> {
        let owns = |(_, grant): &(&String, &Grant)| {
            !grant.revoked && refresh.expose_str() == Some(grant.refresh.as_str())
        };
        let found = self.grants.iter().find(owns);
        found.map(|(open_id, _)| open_id.clone()).ok_or(refused(RefusalKind::ConsentGone))
    }
}

#[async_trait]
impl Authorizer for MemoryPlatform {
    fn facts(&self) -> &PlatformFacts {
        &self.facts
    }

    fn consent_url(&self, ask: &ConsentAsk<'_>) -> String {
        let challenge = ask.challenge.unwrap_or_default();
        format!("memory:?state={}&scope={}&challenge={challenge}", ask.state, ask.scopes.join(","))
    }

    async fn exchange(
        &self,
        _: &TenantScope,
        _: &AppCredentials,
        code: &Secret,
        verifier: Option<&Secret>,
    ) -> Result<Granted, PlatformError> {
        self.call("exchange", |books| {
            let open_id = books.codes.remove(code.expose_str().unwrap_or_default());
            let open_id = open_id.filter(|_| verifier.is_some()).ok_or(refused(RefusalKind::ConsentGone))?;
            let grant = Grant { access: books.token("act"), refresh: books.token("rft"), ..Grant::default() };
            books.grants.insert(open_id.clone(), grant.clone());
            Ok(Granted {
                access: Secret::from(grant.access),
                access_life_s: 15 * DAY_S,
                refresh: Some(Secret::from(grant.refresh)),
                refresh_life_s: 30 * DAY_S,
                open_id,
                scopes: vec!["profile".to_owned(), "publish".to_owned()],
            })
        })
    }

    async fn refresh(
        &self,
        _: &TenantScope,
        _: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Refreshed, PlatformError> {
        self.call("refresh", |books| {
            let open_id = books.open_id_of(refresh)?;
            let access = books.token("act");
            if let Some(grant) = books.grants.get_mut(&open_id) {
                grant.access.clone_from(&access);
            }
            Ok(Refreshed {
                access: Secret::from(access),
                access_life_s: 15 * DAY_S,
                refresh: None,
                refresh_life_s: None,
                scopes: None,
            })
        })
    }

    async fn renew(
        &self,
        _: &TenantScope,
        _: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Renewed, PlatformError> {
        let max = self.facts.renewals_max;
        self.call("renew", |books| {
            let open_id = books.open_id_of(refresh)?;
            let fresh = books.token("rft");
            let grant = books.grants.entry(open_id).or_default();
            if grant.renewals >= max {
                return Err(refused(RefusalKind::RenewalsOver));
            }
            grant.renewals += 1;
            grant.refresh.clone_from(&fresh);
            Ok(Renewed { refresh: Secret::from(fresh), life_s: 30 * DAY_S })
        })
    }

    async fn profile(
        &self,
        _: &TenantScope,
        _: &AppCredentials,
        access: &Secret,
        open_id: &str,
    ) -> Result<Profile, PlatformError> {
        self.call("profile", |books| {
            let grant = books.grants.get(open_id).filter(|grant| !grant.revoked);
            let good = grant.is_some_and(|grant| access.expose_str() == Some(&grant.access));
            if !good {
                return Err(refused(RefusalKind::TokenDead));
            }
            Ok(Profile { nickname: format!("owner {open_id}"), ..Profile::default() })
        })
    }

    fn news(&self, app: &AppCredentials, signature: &str, body: &[u8]) -> Option<PlatformNews> {
        if app.client_secret.expose_str() != Some(signature) {
            return None;
        }
        match std::str::from_utf8(body).ok()?.split_once(' ')? {
            ("revoked", open_id) => Some(PlatformNews::ConsentRevoked { open_id: open_id.to_owned() }),
            ("stirred", open_id) => {
                Some(PlatformNews::PostStirred { open_id: open_id.to_owned(), item: "item".to_owned() })
            }
            ("challenge", answer) => Some(PlatformNews::Challenge(answer.to_owned())),
            _ => Some(PlatformNews::Other),
        }
    }

    fn signature_header(&self) -> &'static str {
        "x-memory-signature"
    }
}
