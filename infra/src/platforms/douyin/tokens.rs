//! Tokens and profiles as the platform gives them, and what is believed of that.
//!
//! An answer with code 0 may still hold nothing of use. What must be there and is not makes the answer one that could
//! not be read: an empty token is never passed on.

use domain::{
    accounts::{
        model::{Profile, Refreshed, Renewed},
        ports::Granted,
    },
    kernel::secret::Secret,
};
use serde::{Deserialize, Deserializer};

use super::wire::{Int, Unread};

/// Longest life of a token that is believed, in seconds: a century, as the platform writes "for ever".
const LIFE_MAX_S: i64 = 3_153_600_000;

/// Longest open_id that is believed, in bytes; the platform's samples have 36.
const OPEN_ID_MAX_BYTES: usize = 256;

/// A token, wiped when it is thrown away.
pub(super) struct TokenText(Secret);

impl<'de> Deserialize<'de> for TokenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

impl TokenText {
    /// The token, if it is one.
    fn given(self) -> Option<Secret> {
        Some(self.0).filter(|token| !token.expose().is_empty())
    }
}

/// What comes of a code, or of a refresh token.
#[derive(Deserialize)]
pub(super) struct TokensData {
    access_token: Option<TokenText>,
    expires_in: Option<Int>,
    refresh_token: Option<TokenText>,
    refresh_expires_in: Option<Int>,
    open_id: Option<String>,
    scope: Option<String>,
}

/// What comes of renewing.
#[derive(Deserialize)]
pub(super) struct RenewedData {
    refresh_token: Option<TokenText>,
    expires_in: Option<Int>,
}

/// Who somebody is.
#[derive(Deserialize)]
pub(super) struct ProfileData {
    open_id: Option<String>,
    nickname: Option<String>,
    avatar: Option<String>,
    e_account_role: Option<String>,
    union_id: Option<String>,
}

fn token(text: Option<TokenText>, name: &'static str) -> Result<Secret, Unread> {
    text.and_then(TokenText::given).ok_or(Unread::Without(name))
}

/// A life that is one: a token with none would be got again and again, one beyond all measure never.
fn life_s(life: Option<Int>, name: &'static str) -> Result<i64, Unread> {
    let seconds = life.map(|Int(seconds)| seconds).filter(|seconds| (1..=LIFE_MAX_S).contains(seconds));
    seconds.ok_or(Unread::Without(name))
}

/// The scopes in a list with commas, sorted.
fn scopes(list: &str) -> Vec<String> {
    let given = list.split(',').map(str::trim).filter(|scope| !scope.is_empty());
    let mut scopes: Vec<_> = given.map(str::to_owned).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// What people and stores can take of a text: neither can do anything with control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

fn present(text: Option<String>) -> Option<String> {
    text.map(|text| printable(&text)).filter(|text| !text.is_empty())
}

impl TokensData {
    /// As an exchange gives them: all there, or nobody knows what it gave.
    pub(super) fn granted(self) -> Result<Granted, Unread> {
        let plain =
            |id: &String| (1..=OPEN_ID_MAX_BYTES).contains(&id.len()) && !id.chars().any(char::is_control);
        Ok(Granted {
            access: token(self.access_token, "access_token")?,
            access_life_s: life_s(self.expires_in, "expires_in")?,
            refresh: Some(token(self.refresh_token, "refresh_token")?),
            refresh_life_s: life_s(self.refresh_expires_in, "refresh_expires_in")?,
            open_id: self.open_id.filter(plain).ok_or(Unread::Without("open_id"))?,
            scopes: scopes(&self.scope.unwrap_or_default()),
        })
    }

    /// As a refresh gives them: what is not told leaves what was known.
    pub(super) fn refreshed(self) -> Result<Refreshed, Unread> {
        // The refresh token goes on ageing, down to nothing.
        let left = self.refresh_expires_in.map(|Int(seconds)| seconds);
        if left.is_some_and(|seconds| !(0..=LIFE_MAX_S).contains(&seconds)) {
            return Err(Unread::Without("refresh_expires_in"));
        }
        Ok(Refreshed {
            access: token(self.access_token, "access_token")?,
            access_life_s: life_s(self.expires_in, "expires_in")?,
            refresh: self.refresh_token.and_then(TokenText::given),
            refresh_life_s: left,
            scopes: self.scope.map(|list| scopes(&list)).filter(|scopes| !scopes.is_empty()),
        })
    }
}

impl RenewedData {
    /// The new token.
    pub(super) fn renewed(self) -> Result<Renewed, Unread> {
        let refresh = token(self.refresh_token, "refresh_token")?;
        Ok(Renewed { refresh, life_s: life_s(self.expires_in, "expires_in")? })
    }
}

impl ProfileData {
    /// The profile of `open_id`; an answer about somebody else is none.
    pub(super) fn profile(self, open_id: &str) -> Result<Profile, Unread> {
        if self.open_id.is_some_and(|told| !told.is_empty() && told != open_id) {
            return Err(Unread::Without("open_id"));
        }
        Ok(Profile {
            nickname: present(self.nickname).unwrap_or_default(),
            avatar: present(self.avatar),
            kind: present(self.e_account_role),
            union_id: present(self.union_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tokens(changes: &Value) -> TokensData {
        let mut data = json!({
            "access_token": "act.1", "expires_in": 1_296_000, "refresh_token": "rft.1", "refresh_expires_in": "2592000",
            "open_id": "7d0f", "scope": "video.list.bind, user_info,,user_info", "captcha": "", "error_code": 0,
        });
        for (name, value) in changes.as_object().unwrap() {
            data[name] = value.clone();
        }
        serde_json::from_value(data).unwrap()
    }

    #[test]
    fn an_exchange_gives_everything_or_nothing() {
        let granted = tokens(&json!({})).granted().unwrap();
        assert_eq!(granted.access.expose_str(), Some("act.1"));
        assert_eq!(granted.refresh.as_ref().and_then(Secret::expose_str), Some("rft.1"));
        assert_eq!((granted.access_life_s, granted.refresh_life_s), (1_296_000, 2_592_000));
        assert_eq!((granted.open_id.as_str(), granted.scopes), ("7d0f", scopes("user_info,video.list.bind")));
        for (name, values) in [
            ("access_token", [json!(""), json!(null)].as_slice()),
            ("refresh_token", &[json!(""), json!(null)]),
            ("open_id", &[json!(""), json!(null), json!("a\u{0}"), json!("x".repeat(257))]),
            ("expires_in", &[json!(0), json!(-1), json!("0"), json!(i64::MAX), json!(null)]),
            ("refresh_expires_in", &[json!(0), json!(3_153_600_001_i64), json!(null)]),
        ] {
            for value in values {
                let result = tokens(&json!({ name: value })).granted();
                assert_eq!(result, Err(Unread::Without(name)), "{value}");
            }
        }
        assert_eq!(tokens(&json!({ "scope": null })).granted().map(|granted| granted.scopes), Ok(vec![]));
    }

    #[test]
    fn a_refresh_leaves_what_it_does_not_tell() {
        let refreshed = tokens(&json!({})).refreshed().unwrap();
        assert_eq!(refreshed.refresh.as_ref().and_then(Secret::expose_str), Some("rft.1"));
        assert_eq!((refreshed.access_life_s, refreshed.refresh_life_s), (1_296_000, Some(2_592_000)));
        let bare = json!({ "refresh_token": "", "refresh_expires_in": null, "scope": "", "open_id": null });
        let refreshed = tokens(&bare).refreshed().unwrap();
        assert_eq!((refreshed.refresh, refreshed.refresh_life_s, refreshed.scopes), (None, None, None));
        assert_eq!(tokens(&json!({ "refresh_expires_in": 0 })).refreshed().unwrap().refresh_life_s, Some(0));
        for (name, value) in
            [("access_token", json!("")), ("expires_in", json!(0)), ("refresh_expires_in", json!(-1))]
        {
            assert_eq!(tokens(&json!({ name: value })).refreshed(), Err(Unread::Without(name)));
        }
    }

    #[test]
    fn a_renewal_without_a_token_is_none() {
        let renewed = |data: Value| serde_json::from_value::<RenewedData>(data).unwrap().renewed();
        let good = renewed(json!({ "refresh_token": "rft.2", "expires_in": "2592000" })).unwrap();
        assert_eq!((good.refresh.expose_str(), good.life_s), (Some("rft.2"), 2_592_000));
        assert_eq!(renewed(json!({ "expires_in": 1 })), Err(Unread::Without("refresh_token")));
        assert_eq!(
            renewed(json!({ "refresh_token": "", "expires_in": 1 })),
            Err(Unread::Without("refresh_token"))
        );
        assert_eq!(
            renewed(json!({ "refresh_token": "x", "expires_in": 0 })),
            Err(Unread::Without("expires_in"))
        );
    }

    #[test]
    fn a_profile_is_of_who_was_asked_about_and_can_be_shown() {
        let profile = |data: Value| serde_json::from_value::<ProfileData>(data).unwrap().profile("7d0f");
        let told = profile(
            json!({ "open_id": "7d0f", "nickname": " 林\u{0}\n ", "avatar": "", "e_account_role": "EAccountM",
                                   "union_id": "u", "gender": 0 }),
        );
        let told = told.unwrap();
        assert_eq!((told.nickname.as_str(), told.avatar), ("林", None));
        assert_eq!((told.kind.as_deref(), told.union_id.as_deref()), (Some("EAccountM"), Some("u")));
        assert_eq!(profile(json!({})).unwrap(), Profile::default());
        assert!(profile(json!({ "open_id": "another", "nickname": "x" })).is_err());
    }
}
