//! What users granted to apps: codes, tokens, and how long each lives.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::{
    Platform,
    calendar::{DAY_MS, MINUTE_MS, SECOND_MS},
    cast::AppState,
    refusal::Refusal,
};

pub(crate) const CODE_LIFE_MS: i64 = 10 * MINUTE_MS;
pub(crate) const ACCESS_LIFE_S: i64 = 15 * 86_400;
pub(crate) const REFRESH_LIFE_S: i64 = 30 * 86_400;
pub(crate) const CLIENT_LIFE_S: i64 = 7_200;
const CLIENT_OVERLAP_MS: i64 = 5 * MINUTE_MS;
/// How often a refresh token may be renewed before the user has to authorize again.
const RENEWALS_MAX: i64 = 5;

/// A code on its way from the page to the exchange.
#[derive(Debug)]
struct Code {
    client_key: String,
    user: String,
    scopes: BTreeSet<String>,
    issued_ms: i64,
    dead: bool,
}

/// An access token.
#[derive(Clone, Debug)]
struct Access {
    grant: i64,
    expires_ms: i64,
}

/// One authorization by a user.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) scopes: BTreeSet<String>,
    refresh_token: String,
    refresh_expires_ms: i64,
    renewals: i64,
    access_token: String,
    pub(crate) revoked: bool,
}

/// An app's own token.
#[derive(Clone, Debug)]
pub(crate) struct ClientToken {
    token: String,
    expires_ms: i64,
    replaced_ms: Option<i64>,
}

/// All codes and tokens.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, i64>,
    client: HashMap<String, String>,
    pub(crate) all: BTreeMap<i64, Grant>,
    /// When (client_key, user, scope) was first granted; figures begin there.
    first: BTreeMap<(String, String, String), i64>,
    client_calls: BTreeMap<String, Vec<i64>>,
}

/// What an exchange or refresh gives.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) expires_in: i64,
    pub(crate) refresh_token: String,
    pub(crate) refresh_expires_in: i64,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) scopes: String,
}

impl Platform {
    /// The user said yes: a code for the app. It kills those of the same user not yet exchanged.
    pub(crate) fn authorize(&mut self, client_key: &str, user: &str, scopes: BTreeSet<String>) -> String {
        for code in self.grants.codes.values_mut() {
            code.dead |= code.client_key == client_key && code.user == user;
        }
        let number = self.next("code").to_string();
        let text = self.chance.hex("code", &[&number], 32);
        let code = Code {
            client_key: client_key.to_owned(),
            user: user.to_owned(),
            scopes,
            issued_ms: self.now_ms(),
            dead: false,
        };
        self.grants.codes.insert(text.clone(), code);
        text
    }

    /// The app that a token endpoint is called for.
    pub(crate) fn calling_app(&mut self, client_key: &str, secret: Option<&str>) -> Result<(), Refusal> {
        let app = self.app(client_key)?;
        let (state, right) = (app.state, secret.is_none_or(|secret| secret == app.client_secret));
        client_key.clone_into(&mut self.caller.0);
        match state {
            _ if !right => Err(Refusal::SecretWrong),
            AppState::InReview => Err(Refusal::AppInReview),
            AppState::Banned => Err(Refusal::AppBanned),
            AppState::Approved => Ok(()),
        }
    }

    /// A code for tokens, once.
    pub(crate) fn exchange_code(&mut self, client_key: &str, code: &str) -> Result<Tokens, Refusal> {
        let now_ms = self.now_ms();
        let held = self.grants.codes.get_mut(code).ok_or(Refusal::CodeDead)?;
        if held.client_key != client_key {
            return Err(Refusal::CodeOfAnotherApp);
        }
        if held.dead || now_ms >= held.issued_ms + CODE_LIFE_MS {
            return Err(Refusal::CodeDead);
        }
        held.dead = true;
        let (user, scopes) = (held.user.clone(), held.scopes.clone());
        for scope in &scopes {
            let key = (client_key.to_owned(), user.clone(), scope.clone());
            self.grants.first.entry(key).or_insert(now_ms);
        }
        let number = self.next("grant");
        let refresh_token = self.mint("rft");
        let grant = Grant {
            client_key: client_key.to_owned(),
            user: user.clone(),
            scopes: scopes.clone(),
            refresh_token: refresh_token.clone(),
            refresh_expires_ms: now_ms + REFRESH_LIFE_S * SECOND_MS,
            renewals: 0,
            access_token: String::new(),
            revoked: false,
        };
        self.grants.all.insert(number, grant);
        self.grants.refresh.insert(refresh_token, number);
        let access_token = self.new_access(number);
        self.did("grant", (client_key, &user), &[code], json!({ "grant": number }));
        self.emit(client_key, "authorize", &user, None, json!({ "scopes": scopes }));
        Ok(self.tokens(number, access_token))
    }

    fn new_access(&mut self, grant: i64) -> String {
        let token = self.mint("act");
        let expires_ms = self.now_ms() + ACCESS_LIFE_S * SECOND_MS;
        self.grants.access.insert(token.clone(), Access { grant, expires_ms });
        if let Some(grant) = self.grants.all.get_mut(&grant) {
            grant.access_token.clone_from(&token);
        }
        token
    }

    fn tokens(&mut self, number: i64, access_token: String) -> Tokens {
        let now_ms = self.now_ms();
        let expires_ms = self.grants.access.get(&access_token).map_or(now_ms, |access| access.expires_ms);
        let grant = &self.grants.all[&number];
        self.caller = (grant.client_key.clone(), grant.user.clone());
        Tokens {
            access_token,
            expires_in: (expires_ms - now_ms) / SECOND_MS,
            refresh_token: grant.refresh_token.clone(),
            refresh_expires_in: (grant.refresh_expires_ms - now_ms) / SECOND_MS,
            client_key: grant.client_key.clone(),
            user: grant.user.clone(),
            scopes: grant.scopes.iter().cloned().collect::<Vec<_>>().join(","),
        }
    }

    fn living_refresh(&self, client_key: &str, token: &str) -> Result<i64, Refusal> {
        let number = *self.grants.refresh.get(token).ok_or(Refusal::RefreshTokenDead)?;
        let grant = self.grants.all.get(&number).ok_or(Refusal::RefreshTokenDead)?;
        let lives = grant.refresh_token == token
            && !grant.revoked
            && grant.client_key == client_key
            && self.now_ms() < grant.refresh_expires_ms;
        if lives { Ok(number) } else { Err(Refusal::RefreshTokenDead) }
    }

    /// A new access token; the refresh token stays what it is and lives no longer. In the legacy mode an access token
    /// that is alive is given again with a longer life.
    pub(crate) fn refresh_access(&mut self, client_key: &str, token: &str) -> Result<Tokens, Refusal> {
        let number = self.living_refresh(client_key, token)?;
        let now_ms = self.now_ms();
        let current = self.grants.all[&number].access_token.clone();
        let lives = self.grants.access.get(&current).is_some_and(|access| now_ms < access.expires_ms);
        if !self.switches.legacy_refresh || !lives {
            let access_token = self.new_access(number);
            return Ok(self.tokens(number, access_token));
        }
        if let Some(access) = self.grants.access.get_mut(&current) {
            access.expires_ms = now_ms + ACCESS_LIFE_S * SECOND_MS;
        }
        Ok(self.tokens(number, current))
    }

    /// A new refresh token, five times; the old one dies at once.
    pub(crate) fn renew_refresh(&mut self, client_key: &str, token: &str) -> Result<String, Refusal> {
        let number = self.living_refresh(client_key, token)?;
        let grant = &self.grants.all[&number];
        self.caller = (grant.client_key.clone(), grant.user.clone());
        if grant.renewals >= RENEWALS_MAX {
            return Err(Refusal::RenewalsUsedUp);
        }
        let fresh = self.mint("rft");
        let expires_ms = self.now_ms() + REFRESH_LIFE_S * SECOND_MS;
        self.grants.refresh.insert(fresh.clone(), number);
        if let Some(grant) = self.grants.all.get_mut(&number) {
            grant.renewals += 1;
            grant.refresh_token.clone_from(&fresh);
            grant.refresh_expires_ms = expires_ms;
        }
        Ok(fresh)
    }

    /// The app's own token: a new one, or with `stable` the one there is.
    pub(crate) fn client_token(&mut self, client_key: &str, stable: bool) -> Result<(String, i64), Refusal> {
        let now_ms = self.now_ms();
        let calls = self.grants.client_calls.entry(client_key.to_owned()).or_default();
        calls.retain(|at_ms| *at_ms > now_ms - 5 * MINUTE_MS);
        if i64::try_from(calls.len()).unwrap_or(i64::MAX) >= self.switches.client_tokens_per_5_min {
            return Err(Refusal::TokensTooOften);
        }
        calls.push(now_ms);
        let current = self.app(client_key)?.client_tokens.last().cloned();
        if let Some(current) = current.filter(|current| stable && now_ms < current.expires_ms) {
            return Ok((current.token, (current.expires_ms - now_ms) / SECOND_MS));
        }
        let token = self.mint("clt");
        let fresh = ClientToken {
            token: token.clone(),
            expires_ms: now_ms + CLIENT_LIFE_S * SECOND_MS,
            replaced_ms: None,
        };
        let app = self.apps.get_mut(client_key).ok_or(Refusal::UnknownClient)?;
        if let Some(last) = app.client_tokens.last_mut() {
            last.replaced_ms = Some(now_ms);
        }
        app.client_tokens.push(fresh);
        self.grants.client.insert(token.clone(), client_key.to_owned());
        Ok((token, CLIENT_LIFE_S))
    }

    /// The app that a client token speaks for.
    pub(crate) fn app_of_client_token(&self, token: &str) -> Result<String, Refusal> {
        let client_key = self.grants.client.get(token).ok_or(Refusal::TokenInvalid)?;
        let app = self.app(client_key)?;
        let newest_two = app.client_tokens.iter().rev().take(2);
        let now_ms = self.now_ms();
        let held = newest_two.into_iter().find(|held| held.token == token).ok_or(Refusal::TokenInvalid)?;
        if held.replaced_ms.is_some_and(|replaced_ms| now_ms >= replaced_ms + CLIENT_OVERLAP_MS) {
            return Err(Refusal::TokenInvalid);
        }
        if now_ms >= held.expires_ms {
            return Err(Refusal::TokenExpired);
        }
        if app.state == AppState::Banned { Err(Refusal::AppBanned) } else { Ok(client_key.clone()) }
    }

    /// The grant that an access token speaks for.
    pub(crate) fn grant_of(&self, token: &str) -> Result<&Grant, Refusal> {
        let access = self.grants.access.get(token).ok_or(Refusal::TokenInvalid)?;
        let grant = self.grants.all.get(&access.grant).ok_or(Refusal::TokenInvalid)?;
        if grant.revoked {
            return Err(Refusal::TokenInvalid);
        }
        if self.now_ms() >= access.expires_ms { Err(Refusal::TokenExpired) } else { Ok(grant) }
    }

    /// The user takes back what was granted: every token of theirs dies at once. Says how many grants there were.
    pub(crate) fn revoke(&mut self, client_key: &str, user: &str) -> usize {
        let mut scopes = BTreeSet::new();
        let mut count = 0;
        for code in self.grants.codes.values_mut() {
            code.dead |= code.client_key == client_key && code.user == user;
        }
        for grant in self.grants.all.values_mut() {
            if grant.client_key == client_key && grant.user == user && !grant.revoked {
                grant.revoked = true;
                scopes.extend(grant.scopes.iter().cloned());
                count += 1;
            }
        }
        if count > 0 {
            self.did("revoke", (client_key, user), &[], json!({ "grants": count }));
            self.emit(client_key, "unauthorize", user, None, json!({ "scopes": scopes }));
        }
        count
    }

    /// Whether a living grant of the user to the app has the scope.
    pub(crate) fn has_granted(&self, client_key: &str, user: &str, scope: &str) -> bool {
        let mut grants = self.grants.all.values();
        grants.any(|grant| {
            grant.client_key == client_key
                && grant.user == user
                && !grant.revoked
                && grant.scopes.contains(scope)
        })
    }

    /// The Beijing day on which the user first granted the scope to the app.
    pub(crate) fn first_granted_day(&self, client_key: &str, user: &str, scope: &str) -> Option<i64> {
        let key = (client_key.to_owned(), user.to_owned(), scope.to_owned());
        self.grants.first.get(&key).map(|at_ms| super::calendar::day_of(*at_ms))
    }
}

const _: () = assert!(REFRESH_LIFE_S * SECOND_MS == 30 * DAY_MS, "a refresh token lives thirty days");
