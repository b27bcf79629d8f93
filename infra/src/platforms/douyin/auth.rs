//! Consent, tokens and who the owner is.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{AppCredentials, Profile, Refreshed, Renewed},
        ports::{Authorizer, ConsentAsk, Granted, PlatformError, PlatformFacts, PlatformNews, RefusalKind},
    },
    kernel::{platform::PlatformKeyFault, scope::TenantScope, secret::Secret},
};

use super::{
    client::{Client, Endpoint},
    config::DouyinSettings,
    error, facts,
    tokens::{ProfileData, RenewedData, TokensData},
    webhook,
};
use crate::outbound::Transport;

/// The page, for a browser.
const CONSENT_PATH: &str = "/platform/oauth/connect/";

pub(super) const EXCHANGE: Endpoint =
    Endpoint::harmless("douyin.access_token", "access_token", "/oauth/access_token/");

pub(super) const REFRESH: Endpoint =
    Endpoint::repeatable("douyin.refresh_token", "refresh_token", "/oauth/refresh_token/");

pub(super) const RENEW: Endpoint = Endpoint {
    meanings: &[(10_020, RefusalKind::RenewalsOver)],
    ..Endpoint::once("douyin.renew_refresh_token", "renew_refresh_token", "/oauth/renew_refresh_token/")
};

pub(super) const PROFILE: Endpoint = Endpoint::repeatable("douyin.userinfo", "userinfo", "/oauth/userinfo/");

/// [`Authorizer`] for Douyin.
pub struct DouyinAuthorizer {
    client: Client,
    facts: PlatformFacts,
    optional_scopes: Vec<String>,
}

impl DouyinAuthorizer {
    /// Over the transport its calls go by.
    ///
    /// # Errors
    /// Never: the platform's name is a good one.
    pub fn new(transport: Arc<dyn Transport>, settings: DouyinSettings) -> Result<Self, PlatformKeyFault> {
        Ok(Self {
            client: Client::new(transport, settings.base_url),
            facts: facts::facts()?,
            optional_scopes: settings.optional_scopes,
        })
    }
}

#[async_trait]
impl Authorizer for DouyinAuthorizer {
    fn facts(&self) -> &PlatformFacts {
        &self.facts
    }

    fn consent_url(&self, ask: &ConsentAsk<'_>) -> String {
        let may_untick = |scope: &&String| {
            self.optional_scopes.contains(*scope) && !self.facts.scopes_needed.contains(*scope)
        };
        let (optional, needed): (Vec<_>, Vec<_>) = ask.scopes.iter().partition(may_untick);
        let list =
            |scopes: &[&String]| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
        let mut url = self.client.url(CONSENT_PATH);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_key", ask.client_key);
            query.append_pair("response_type", "code");
            query.append_pair("scope", &list(&needed));
            if !optional.is_empty() {
                // Each with its tick set: `scope,1,scope,1`.
                query.append_pair("optionalScope", &format!("{},1", list(&optional).replace(',', ",1,")));
            }
            query.append_pair("redirect_uri", ask.redirect_uri);
            query.append_pair("state", ask.state);
        }
        url.into()
    }

    async fn exchange(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        code: &Secret,
        _verifier: Option<&Secret>,
    ) -> Result<Granted, PlatformError> {
        let fields: [(&str, &[u8]); 4] = [
            ("client_key", app.client_key.as_bytes()),
            ("client_secret", app.client_secret.expose()),
            ("code", code.expose()),
            ("grant_type", b"authorization_code"),
        ];
        let data: TokensData = self.client.post_form(scope, app, &EXCHANGE, &fields).await?;
        data.granted().map_err(|why| error::unread(&EXCHANGE, why))
    }

    async fn refresh(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Refreshed, PlatformError> {
        let fields: [(&str, &[u8]); 3] = [
            ("client_key", app.client_key.as_bytes()),
            ("grant_type", b"refresh_token"),
            ("refresh_token", refresh.expose()),
        ];
        let data: TokensData = self.client.post_form(scope, app, &REFRESH, &fields).await?;
        data.refreshed().map_err(|why| error::unread(&REFRESH, why))
    }

    async fn renew(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Renewed, PlatformError> {
        let fields: [(&str, &[u8]); 2] =
            [("client_key", app.client_key.as_bytes()), ("refresh_token", refresh.expose())];
        let data: RenewedData = self.client.post_form(scope, app, &RENEW, &fields).await?;
        data.renewed().map_err(|why| error::unread(&RENEW, why))
    }

    async fn profile(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        access: &Secret,
        open_id: &str,
    ) -> Result<Profile, PlatformError> {
        let fields: [(&str, &[u8]); 2] = [("access_token", access.expose()), ("open_id", open_id.as_bytes())];
        let data: ProfileData = self.client.post_form(scope, app, &PROFILE, &fields).await?;
        data.profile(open_id).map_err(|why| error::unread(&PROFILE, why))
    }

    fn news(&self, app: &AppCredentials, signature: &str, body: &[u8]) -> Option<PlatformNews> {
        webhook::news(&app.client_secret, signature, body)
    }

    fn signature_header(&self) -> &'static str {
        webhook::SIGNATURE_HEADER
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::kernel::{
        fault::Retry,
        ids::{AppId, TenantId},
    };
    use serde_json::json;
    use url::{Url, form_urlencoded};
    use uuid::Uuid;

    use super::*;
    use crate::outbound::{Call, Lost, NotMade, Reply, SendFault, script::Script};

    type Answer = Result<Reply, SendFault>;

    fn scope() -> TenantScope {
        TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1)))
    }

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    fn app() -> AppCredentials {
        AppCredentials {
            app: AppId::from_uuid(Uuid::from_u128(2)),
            client_key: "awsbx0demo0key1".to_owned(),
            client_secret: secret("s&cret"),
        }
    }

    fn authorizer(answers: impl IntoIterator<Item = Answer>) -> (DouyinAuthorizer, Arc<Script>) {
        let script = Arc::new(Script::new(answers));
        let settings = DouyinSettings::read(&json!({ "optional_scopes": ["item.comment", "user_info"] }));
        (DouyinAuthorizer::new(script.clone(), settings.unwrap()).unwrap(), script)
    }

    fn fields(call: &Call) -> BTreeMap<String, String> {
        form_urlencoded::parse(call.body.as_ref().unwrap().expose()).into_owned().collect()
    }

    fn the_call(script: &Script) -> Call {
        let calls = script.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].url.query(), None, "tokens are not in addresses");
        assert_eq!((calls[0].scope, calls[0].line.app), (scope(), app().app));
        assert_eq!(calls[0].headers[0], ("content-type", secret("application/x-www-form-urlencoded")));
        calls[0].clone()
    }

    #[tokio::test]
    async fn a_code_is_exchanged_once() {
        let (authorizer, script) = authorizer([Script::answer(200, include_str!("fixtures/exchange.json"))]);
        let granted = authorizer.exchange(&scope(), &app(), &secret("c+de"), None).await.unwrap();
        assert_eq!(granted.open_id, "7d0f3a52-1111-4c2e-9a4b-0b1c2d3e4f50");
        assert_eq!((granted.access_life_s, granted.refresh_life_s), (1_296_000, 2_592_000));
        assert_eq!(granted.scopes, ["item.comment", "user_info", "video.create.bind"]);
        assert!(granted.refresh.is_some());
        let call = the_call(&script);
        assert_eq!(
            (call.url.as_str(), call.repeatable),
            ("https://open.douyin.com/oauth/access_token/", false)
        );
        let expected = [
            ("client_key", "awsbx0demo0key1"),
            ("client_secret", "s&cret"),
            ("code", "c+de"),
            ("grant_type", "authorization_code"),
        ];
        assert_eq!(fields(&call), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[tokio::test]
    async fn a_refresh_has_no_secret_and_a_renewal_is_made_once() {
        let (authorizer, script) = authorizer([Script::answer(200, include_str!("fixtures/refresh.json"))]);
        let refreshed = authorizer.refresh(&scope(), &app(), &secret("rft.1")).await.unwrap();
        assert_eq!((refreshed.access_life_s, refreshed.refresh_life_s), (1_296_000, Some(1_641_600)));
        let call = the_call(&script);
        assert_eq!((call.url.path(), call.repeatable), ("/oauth/refresh_token/", true));
        assert_eq!(
            fields(&call).into_keys().collect::<Vec<_>>(),
            ["client_key", "grant_type", "refresh_token"]
        );

        let (authorizer, script) =
            self::authorizer([Script::answer(200, include_str!("fixtures/renew.json"))]);
        let renewed = authorizer.renew(&scope(), &app(), &secret("rft.1")).await.unwrap();
        assert_eq!(renewed.refresh, secret("rft.sbx9f8e7d6c5b4a39281706f5e4d3c2b1a0"));
        assert_eq!(renewed.life_s, 2_592_000);
        let call = the_call(&script);
        assert_eq!((call.url.path(), call.repeatable), ("/oauth/renew_refresh_token/", false));
        assert_eq!(fields(&call).into_keys().collect::<Vec<_>>(), ["client_key", "refresh_token"]);
    }

    #[tokio::test]
    async fn a_profile_is_read_with_the_token_in_the_form() {
        let (authorizer, script) = authorizer([Script::answer(200, include_str!("fixtures/userinfo.json"))]);
        let open_id = "7d0f3a52-1111-4c2e-9a4b-0b1c2d3e4f50";
        let profile = authorizer.profile(&scope(), &app(), &secret("act.1"), open_id).await.unwrap();
        assert_eq!((profile.nickname.as_str(), profile.kind.as_deref()), ("Lin", Some("EAccountM")));
        let call = the_call(&script);
        assert_eq!((call.url.path(), call.repeatable), ("/oauth/userinfo/", true));
        assert_eq!(fields(&call)["access_token"], "act.1");
    }

    /// `not_done`, `unknown` or the refusal's word, and whether it may pass.
    async fn renewal(answer: Answer) -> (&'static str, bool) {
        let (authorizer, _) = authorizer([answer]);
        match authorizer.renew(&scope(), &app(), &secret("rft.1")).await {
            Ok(_) => ("done", false),
            Err(PlatformError::Refused(refusal)) => (refusal.kind.as_str(), false),
            Err(PlatformError::NotDone(fault)) => ("not_done", fault.retry == Retry::MayHelp),
            Err(PlatformError::Unknown(fault)) => ("unknown", fault.retry == Retry::MayHelp),
        }
    }

    #[tokio::test]
    async fn what_says_nothing_is_neither_yes_nor_no() {
        for (answer, expected) in [
            (Script::answer(200, include_str!("fixtures/error_c.json")), ("app_wrong", false)),
            (Script::answer(200, include_str!("fixtures/error_strings.json")), ("consent_gone", false)),
            (Script::answer(200, include_str!("fixtures/no_code.json")), ("unknown", true)),
            (Script::answer(200, r#"{"data":{"error_code":0}}"#), ("unknown", true)),
            (Script::answer(200, r#"{"data":{"error_code":424242}}"#), ("unknown", false)),
            (Script::answer(502, include_str!("fixtures/gateway.html")), ("unknown", true)),
            (Script::answer(200, include_str!("fixtures/gateway.html")), ("unknown", true)),
            (Script::answer(302, ""), ("unknown", true)),
            (Script::answer(400, include_str!("fixtures/renew.json")), ("unknown", true)),
            (Err(SendFault::not_done(NotMade::Unreachable)), ("not_done", true)),
            (Err(SendFault::not_done(NotMade::BreakerOpen)), ("not_done", true)),
            (Err(SendFault::unknown(Lost::TimedOut)), ("unknown", true)),
            (Err(SendFault::unknown(Lost::TooLong)), ("unknown", true)),
        ] {
            let told = format!("{answer:?}");
            assert_eq!(renewal(answer).await, expected, "{told}");
        }
    }

    #[tokio::test]
    async fn errors_repeat_nothing_of_the_answer() {
        let body = r#"{"data":{"error_code":424242,"description":"act.leak","refresh_token":"rft.leak"}}"#;
        let (authorizer, _) = authorizer([Script::answer(200, body)]);
        let error = authorizer.renew(&scope(), &app(), &secret("rft.1")).await.unwrap_err();
        let told = format!("{error} {error:?} {}", error.word());
        assert!(!told.contains("leak") && !told.contains("rft.") && told.contains("424242"), "{told}");
    }

    #[test]
    fn the_page_asks_for_what_is_needed_and_lets_the_rest_be_unticked() {
        let (authorizer, _) = authorizer([]);
        let scopes = ["item.comment", "user_info", "video.list.bind"].map(str::to_owned);
        let mut ask = ConsentAsk {
            client_key: "aw1",
            scopes: &scopes,
            redirect_uri: "https://app.example/back?x=1&y=2",
            state: "s t",
            challenge: None,
        };
        let url = Url::parse(&authorizer.consent_url(&ask)).unwrap();
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!((url.host_str(), url.path()), (Some("open.douyin.com"), "/platform/oauth/connect/"));
        assert_eq!((query["client_key"].as_str(), query["response_type"].as_str()), ("aw1", "code"));
        assert_eq!((query["redirect_uri"].as_str(), query["state"].as_str()), (ask.redirect_uri, ask.state));
        assert_eq!(query["scope"], "user_info,video.list.bind");
        assert_eq!(query["optionalScope"], "item.comment,1");
        ask.scopes = &scopes[1..];
        assert!(!authorizer.consent_url(&ask).contains("optionalScope"));
    }
}
