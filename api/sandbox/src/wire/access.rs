//! Who is calling, and whether they may: token, open_id, capability, grant, quota, in this order.

use super::call::Call;
use crate::platform::{
    Platform,
    cast::{AppState, UserState},
    refusal::Refusal,
};

/// A user, by way of an app.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client_key: String,
    pub(super) user: String,
}

impl Caller {
    pub(super) fn by(&self) -> (&str, &str) {
        (&self.client_key, &self.user)
    }
}

/// The token: the header wins over the legacy query.
pub(super) fn token(call: &Call) -> Result<&str, Refusal> {
    let token = call.token.as_deref().filter(|token| !token.is_empty());
    token.or_else(|| call.query.get("access_token").map(String::as_str)).ok_or(Refusal::TokenInvalid)
}

/// The user whom an access token and an open_id speak for, when app and user have the scope.
pub(super) fn user(platform: &mut Platform, call: &Call, scope: &str) -> Result<Caller, Refusal> {
    user_named(platform, call, scope, true)
}

/// As [`user`]; the open_id may be left out where it is not `needed`.
pub(super) fn user_named(
    platform: &mut Platform,
    call: &Call,
    scope: &str,
    needed: bool,
) -> Result<Caller, Refusal> {
    let grant = platform.grant_of(token(call)?)?;
    let caller = Caller { client_key: grant.client_key.clone(), user: grant.user.clone() };
    let granted = grant.scopes.contains(scope);
    platform.caller = (caller.client_key.clone(), caller.user.clone());
    let app = platform.app(&caller.client_key)?;
    if app.state == AppState::Banned {
        return Err(Refusal::AppBanned);
    }
    let owned = app.scopes.contains(scope);
    match platform.users.get(&caller.user).map(|user| user.state) {
        Some(UserState::Banned) => return Err(Refusal::UserBanned),
        Some(UserState::Deregistered) | None => return Err(Refusal::UserDeregistered),
        Some(UserState::Active) => {}
    }
    let open_id = call.asked("open_id");
    if open_id.is_empty() && needed {
        return Err(Refusal::BadParameter("open_id"));
    }
    if !open_id.is_empty() && open_id != platform.open_id(&caller.client_key, &caller.user) {
        return Err(Refusal::OpenIdMismatch);
    }
    if !owned {
        return Err(Refusal::AppLacksScope);
    }
    if !granted {
        return Err(Refusal::ScopeNotGranted);
    }
    platform.count_call(&caller.client_key, scope)?;
    Ok(caller)
}

/// The app that a client token speaks for, when it has the scope.
pub(super) fn app(platform: &mut Platform, call: &Call, scope: Option<&str>) -> Result<String, Refusal> {
    let client_key = platform.app_of_client_token(token(call)?)?;
    platform.caller.0.clone_from(&client_key);
    if let Some(scope) = scope {
        if !platform.app(&client_key)?.scopes.contains(scope) {
            return Err(Refusal::AppLacksScope);
        }
        platform.count_call(&client_key, scope)?;
    }
    Ok(client_key)
}
