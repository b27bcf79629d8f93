//! The token endpoints, and who the user is.

use serde_json::{Value, json};

use super::{Envelope, Route, call::Call, route};
use crate::platform::{
    Platform,
    grants::{REFRESH_LIFE_S, Tokens},
    refusal::Refusal,
};

pub(super) const ROUTES: &[Route] = &[
    route("*", "/oauth/access_token/", Envelope::C, access_token),
    route("*", "/oauth/refresh_token/", Envelope::C, refresh_token),
    route("*", "/oauth/renew_refresh_token/", Envelope::C, renew_refresh_token),
    route("*", "/oauth/client_token/", Envelope::C, |platform, call| client_token(platform, call, false)),
    route("*", "/oauth/stable_client_token/", Envelope::C, |platform, call| {
        client_token(platform, call, true)
    }),
    route("*", "/oauth/userinfo/", Envelope::C, userinfo),
];

fn needed(call: &Call, name: &str) -> Result<String, Refusal> {
    call.parameter(name).ok_or(Refusal::OauthParameterMissing)
}

fn grant_type(call: &Call, expected: &str) -> Result<(), Refusal> {
    if needed(call, "grant_type")? == expected { Ok(()) } else { Err(Refusal::OauthBadParameter) }
}

fn access_token(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let client_key = needed(call, "client_key")?;
    let (secret, code) = (needed(call, "client_secret")?, needed(call, "code")?);
    grant_type(call, "authorization_code")?;
    platform.calling_app(&client_key, Some(&secret))?;
    let tokens = platform.exchange_code(&client_key, &code)?;
    Ok(told(platform, &tokens))
}

fn refresh_token(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let (client_key, token) = (needed(call, "client_key")?, needed(call, "refresh_token")?);
    grant_type(call, "refresh_token")?;
    platform.calling_app(&client_key, None)?;
    let tokens = platform.refresh_access(&client_key, &token)?;
    Ok(told(platform, &tokens))
}

fn told(platform: &Platform, tokens: &Tokens) -> Value {
    let mut data = json!({
        "access_token": tokens.access_token, "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token, "refresh_expires_in": tokens.refresh_expires_in,
        "open_id": platform.open_id(&tokens.client_key, &tokens.user), "scope": tokens.scopes,
    });
    if platform.switches.union_id_in_token {
        data["union_id"] = platform.union_id(&tokens.client_key, &tokens.user).into();
    }
    data
}

fn renew_refresh_token(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let (client_key, token) = (needed(call, "client_key")?, needed(call, "refresh_token")?);
    platform.calling_app(&client_key, None)?;
    if !platform.app(&client_key)?.scopes.contains("renew_refresh_token") {
        return Err(Refusal::OauthScopeMissing);
    }
    let fresh = platform.renew_refresh(&client_key, &token)?;
    Ok(json!({ "refresh_token": fresh, "expires_in": REFRESH_LIFE_S }))
}

fn client_token(platform: &mut Platform, call: &Call, stable: bool) -> Result<Value, Refusal> {
    let (client_key, secret) = (needed(call, "client_key")?, needed(call, "client_secret")?);
    grant_type(call, "client_credential")?;
    platform.calling_app(&client_key, Some(&secret))?;
    let (token, expires_in) = platform.client_token(&client_key, stable)?;
    Ok(json!({ "access_token": token, "expires_in": expires_in }))
}

fn userinfo(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let token = call.token.clone().or_else(|| call.parameter("access_token"));
    let (token, open_id) = (token.ok_or(Refusal::OauthParameterMissing)?, needed(call, "open_id")?);
    let grant = platform.grant_of(&token).map_err(|_| Refusal::AccessTokenDead)?;
    let (client_key, user_id) = (grant.client_key.clone(), grant.user.clone());
    let granted = grant.scopes.contains("user_info");
    platform.caller = (client_key.clone(), user_id);
    platform.calling_app(&client_key, None)?;
    let user = platform.user_of(&client_key, &open_id).filter(|user| user.id == platform.caller.1);
    let user = user.ok_or(Refusal::OpenIdMismatch)?;
    if !granted {
        return Err(Refusal::ScopeNotGranted);
    }
    Ok(json!({
        "open_id": open_id, "union_id": platform.union_id(&client_key, &user.id), "nickname": user.nickname,
        "avatar": user.avatar, "e_account_role": user.e_account_role, "city": "", "province": "", "country": "",
        "gender": 0,
    }))
}
