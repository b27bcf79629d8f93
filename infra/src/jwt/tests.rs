use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::kernel::{
    fault::Retry,
    ids::{MemberId, SessionId, TenantId},
    testkit::FixedClock,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    envelope::{EnvelopeSettings, ManualTicks, MemoryKeyStore},
    local_keyring::LocalKeyring,
    system::System,
};

/// A store that counts how often it is read, and fails when told.
#[derive(Default)]
struct CountedKeys {
    inner: MemorySigningKeys,
    reads: AtomicU64,
    down: AtomicBool,
}

#[async_trait]
impl SigningKeyStore for CountedKeys {
    async fn all(&self) -> Result<Vec<SigningKeyRow>, PortError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(PortError::passing("store", "down"));
        }
        self.inner.all().await
    }

    async fn add(&self, row: &SigningKeyRow) -> Result<(), PortError> {
        self.inner.add(row).await
    }
}

struct World {
    envelope: Arc<Envelope>,
    store: Arc<CountedKeys>,
    clock: Arc<FixedClock>,
    ticks: Arc<ManualTicks>,
}

impl World {
    fn new() -> Self {
        let ticks = Arc::new(ManualTicks::default());
        let settings = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
        let provider = Arc::new(LocalKeyring::ephemeral(&System));
        let envelope = Envelope::new(
            provider,
            Arc::new(MemoryKeyStore::default()),
            Arc::new(System),
            ticks.clone(),
            settings,
        );
        Self { envelope: Arc::new(envelope.unwrap()), store: Arc::default(), clock: Arc::default(), ticks }
    }

    fn replica(&self) -> JwtTokens {
        let parts = JwtParts {
            envelope: self.envelope.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            ticks: self.ticks.clone(),
            entropy: Arc::new(System),
        };
        let settings = JwtSettings { issuer: "https://us.example".into(), audience: "matricula".into() };
        JwtTokens::new(parts, settings).unwrap()
    }

    fn advance_s(&self, seconds: u32) {
        self.clock.advance(TimeDelta::seconds(seconds.into()));
        self.ticks.advance_s(seconds.into());
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn claims(&self) -> AccessClaims {
        AccessClaims {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            member: MemberId::from_uuid(Uuid::from_u128(2)),
            session: SessionId::from_uuid(Uuid::from_u128(3)),
            issued_at: self.now(),
            expires_at: self.now() + TimeDelta::minutes(15),
        }
    }

    /// The newest key's id and private half.
    async fn newest(&self) -> (String, EncodingKey) {
        let newest = KeySet::new(self.store.inner.all().await.unwrap()).newest().unwrap();
        (newest.row.kid.clone(), keys::signer(&self.envelope, &newest.row).await.unwrap())
    }

    /// A payload that is good now, as JSON.
    fn payload(&self) -> Value {
        let now = self.now().timestamp();
        json!({
            "iss": "https://us.example", "aud": "matricula", "iat": now, "exp": now + 900, "jti": "x",
            "sub": Uuid::from_u128(2).to_string(),
            "tid": Uuid::from_u128(1).to_string(),
            "sid": Uuid::from_u128(3).to_string(),
        })
    }
}

/// A token of those very texts, rightly signed.
fn forge(header: &str, payload: &str, key: &EncodingKey) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn header(kid: &str) -> String {
    format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#)
}

#[tokio::test]
async fn a_token_is_good_from_its_making_to_its_end() {
    let world = World::new();
    let tokens = world.replica();
    let claims = world.claims();
    let token = tokens.issue(&claims).await.unwrap();
    assert!(token.len() < 600, "{} bytes", token.len());
    for replica in [&tokens, &world.replica()] {
        for away_s in [-60, 0, 899] {
            let now = world.now() + TimeDelta::seconds(away_s);
            assert_eq!(replica.verify(&token, now).await.unwrap(), Some(claims), "{away_s}");
        }
        for away_s in [-61, 900, 901] {
            let now = world.now() + TimeDelta::seconds(away_s);
            assert_eq!(replica.verify(&token, now).await.unwrap(), None, "{away_s}");
        }
    }
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_wants() {
    let world = World::new();
    let tokens = world.replica();
    let token = tokens.issue(&world.claims()).await.unwrap();
    let part = |n: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
    };
    let (kid, _) = world.newest().await;
    assert_eq!(part(0), json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid}));
    let mut claims = part(1);
    let jti = claims.as_object_mut().unwrap().insert("jti".into(), "x".into()).unwrap();
    assert_eq!(claims, world.payload());
    assert_eq!(jti.as_str().unwrap().len(), 22);
    let again = tokens.issue(&world.claims()).await.unwrap();
    assert_ne!(token, again, "each token has an id of its own");
}

#[tokio::test]
async fn no_changed_token_is_good() {
    let world = World::new();
    let tokens = world.replica();
    let token = tokens.issue(&world.claims()).await.unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(tokens.verify(&changed, world.now()).await.unwrap(), None, "byte {at}");
    }
    for other in [
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        token[..token.len() - 1].into(),
        String::new(),
        "..".into(),
        "a.b.c".into(),
        "é.é.é".into(),
    ] {
        assert_eq!(tokens.verify(&other, world.now()).await.unwrap(), None, "{other}");
    }
}

#[tokio::test]
async fn headers_other_than_ours_are_refused() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let (kid, key) = world.newest().await;
    let payload = world.payload().to_string();
    let good = forge(&header(&kid), &payload, &key);
    assert!(tokens.verify(&good, world.now()).await.unwrap().is_some(), "the forgery itself is sound");
    for bad in [
        format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"none","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"eddsa","kid":"{kid}"}}"#),
        r#"{"typ":"at+jwt","alg":"EdDSA"}"#.into(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"another"}"#.into(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":null}"#.into(),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"another","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","crit":["exp"]}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","jku":"https://eve.example"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","x":1}}"#),
        "[]".into(),
        "{}".into(),
        String::new(),
    ] {
        let token = forge(&bad, &payload, &key);
        assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None, "{bad}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret_and_no_signature_is_none() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let row = world.store.inner.all().await.unwrap().remove(0);
    let secret = EncodingKey::from_secret(&row.public);
    let mut head = jsonwebtoken::Header::new(Algorithm::HS256);
    head.typ = Some("at+jwt".into());
    head.kid = Some(row.kid.clone());
    let token = jsonwebtoken::encode(&head, &world.payload(), &secret).unwrap();
    assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None);
    // The same signature under a header that names the right algorithm.
    let (_, rest) = token.split_once('.').unwrap();
    let relabelled = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header(&row.kid)));
    assert_eq!(tokens.verify(&relabelled, world.now()).await.unwrap(), None);
    let payload = URL_SAFE_NO_PAD.encode(world.payload().to_string());
    for head in [header(&row.kid), format!(r#"{{"typ":"at+jwt","alg":"none","kid":"{}"}}"#, row.kid)] {
        let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(head));
        assert_eq!(tokens.verify(&unsigned, world.now()).await.unwrap(), None);
    }
    // Signed by somebody's own key under our key's id.
    let eve = World::new();
    eve.replica().issue(&eve.claims()).await.unwrap();
    let (_, eves) = eve.newest().await;
    let token = forge(&header(&row.kid), &world.payload().to_string(), &eves);
    assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None);
}

#[tokio::test]
async fn claims_other_than_ours_are_refused() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let (kid, key) = world.newest().await;
    let now = world.now().timestamp();
    let mut bad = Vec::new();
    for (name, value) in [
        ("iss", json!("https://eve.example")),
        ("iss", json!(["https://us.example"])),
        ("aud", json!("another")),
        ("aud", json!(["matricula"])),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 901)),
        ("exp", json!(now + 365 * 86_400)),
        ("exp", json!(1e300)),
        ("exp", json!(i64::MAX)),
        ("exp", json!("9999999999")),
        ("exp", json!(null)),
        ("iat", json!(now + 61)),
        ("iat", json!(now + 2_000)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(-1)),
        ("iat", json!(now - 1)),
        ("sub", json!("ada")),
        ("sub", json!(2)),
        ("tid", json!("")),
        ("tid", json!("00000000000000000000000000000001")),
        ("tid", json!("{00000000-0000-0000-0000-000000000001}")),
        ("tid", json!("00000000-0000-0000-0000-00000000000A")),
        ("tid", json!([Uuid::from_u128(1).to_string()])),
    ] {
        let mut payload = world.payload();
        payload[name] = value;
        bad.push(payload.to_string());
    }
    for name in ["iss", "aud", "exp", "iat", "sub", "tid", "sid", "jti"] {
        let mut payload = world.payload();
        payload.as_object_mut().unwrap().remove(name);
        bad.push(payload.to_string());
    }
    let good = world.payload().to_string();
    for name in ["tid", "sid", "sub", "exp", "iss"] {
        let twice = format!(r#"{{"{name}":{},{}"#, world.payload()[name], &good[1..]);
        bad.push(twice);
    }
    bad.extend(["[]".into(), "{}".into(), String::new(), "null".into(), format!("{good}x")]);
    for payload in bad {
        let token = forge(&header(&kid), &payload, &key);
        assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None, "{payload}");
    }
    let mut more = world.payload();
    more["later"] = json!("a claim that newer replicas add");
    let token = forge(&header(&kid), &more.to_string(), &key);
    assert_eq!(
        tokens.verify(&token, world.now()).await.unwrap().map(|claims| claims.tenant),
        Some(world.claims().tenant)
    );
}

#[tokio::test]
async fn tokens_that_are_too_long_are_not_looked_at() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let (kid, key) = world.newest().await;
    let mut payload = world.payload();
    payload["pad"] = json!("x".repeat(2_000));
    let fits = forge(&header(&kid), &payload.to_string(), &key);
    assert!(fits.len() < wire::TOKEN_MAX_LEN && tokens.verify(&fits, world.now()).await.unwrap().is_some());
    payload["pad"] = json!("x".repeat(4_000));
    let long = forge(&header(&kid), &payload.to_string(), &key);
    assert_eq!(tokens.verify(&long, world.now()).await.unwrap(), None);
}

#[tokio::test]
async fn lives_out_of_range_are_not_signed() {
    let world = World::new();
    let tokens = world.replica();
    for life_s in [-1, 0, 901, 86_400] {
        let claims = AccessClaims { expires_at: world.now() + TimeDelta::seconds(life_s), ..world.claims() };
        assert_eq!(tokens.issue(&claims).await.unwrap_err().retry, Retry::Useless, "{life_s}");
    }
}

#[tokio::test]
async fn a_new_key_signs_at_once_and_the_old_one_retires_when_its_tokens_are_gone() {
    let world = World::new();
    let (tokens, other) = (world.replica(), world.replica());
    let old = tokens.issue(&world.claims()).await.unwrap();
    let (old_kid, old_key) = world.newest().await;
    assert!(other.verify(&old, world.now()).await.unwrap().is_some());
    world.advance_s(1);
    let new_kid = tokens.rotate(world.now()).await.unwrap();
    let new = tokens.issue(&world.claims()).await.unwrap();
    assert_eq!(wire::key_id(&new), Some(new_kid.clone()));
    // The other replica has not read the new key yet, and finds it when it is asked for.
    world.advance_s(3);
    assert!(other.verify(&new, world.now()).await.unwrap().is_some());
    assert!(other.verify(&old, world.now()).await.unwrap().is_some());
    let kids = |jwks: &str| -> Vec<String> {
        let jwks: Value = serde_json::from_str(jwks).unwrap();
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().into()).collect()
    };
    assert_eq!(kids(&tokens.jwks().await.unwrap()), [old_kid.clone(), new_kid.clone()]);
    // 3 s of the 1020 have gone by.
    world.advance_s(1_016);
    let late = world.payload().to_string();
    let late = forge(&header(&old_kid), &late, &old_key);
    assert!(other.verify(&late, world.now()).await.unwrap().is_some(), "the last moment");
    world.advance_s(1);
    assert_eq!(kids(&tokens.jwks().await.unwrap()), [new_kid]);
    let late = forge(&header(&old_kid), &world.payload().to_string(), &old_key);
    assert_eq!(other.verify(&late, world.now()).await.unwrap(), None, "retired");
}

#[tokio::test]
async fn the_published_keys_have_no_private_half() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let row = world.store.inner.all().await.unwrap().remove(0);
    let jwks: Value = serde_json::from_str(&tokens.jwks().await.unwrap()).unwrap();
    let x = URL_SAFE_NO_PAD.encode(row.public);
    let expected = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": row.kid, "x": x}
    ]});
    assert_eq!(jwks, expected);
}

#[tokio::test]
async fn a_rotation_with_a_clock_behind_still_makes_the_newest_key() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let kid = tokens.rotate(world.now() - TimeDelta::hours(1)).await.unwrap();
    assert_eq!(wire::key_id(&tokens.issue(&world.claims()).await.unwrap()), Some(kid));
}

#[tokio::test]
async fn replicas_that_start_together_trust_each_other() {
    let world = World::new();
    let replicas: Vec<_> = (0..8).map(|_| world.replica()).collect();
    let claims = world.claims();
    let issued = futures_util::future::join_all(replicas.iter().map(|tokens| tokens.issue(&claims))).await;
    world.advance_s(3);
    for token in issued {
        let token = token.unwrap();
        for replica in &replicas {
            assert_eq!(replica.verify(&token, world.now()).await.unwrap(), Some(claims));
        }
    }
    world.advance_s(60);
    let mut kids = Vec::new();
    for replica in &replicas {
        kids.push(wire::key_id(&replica.issue(&world.claims()).await.unwrap()));
    }
    kids.dedup();
    assert_eq!(kids.len(), 1, "in the end all sign with the same key");
}

#[tokio::test]
async fn unknown_key_ids_cost_a_look_every_few_seconds() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let (_, key) = world.newest().await;
    world.advance_s(3);
    let before = world.store.reads.load(Ordering::SeqCst);
    for n in 0..1_000 {
        let token = forge(&header(&format!("kid {n}")), &world.payload().to_string(), &key);
        assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None);
    }
    assert_eq!(world.store.reads.load(Ordering::SeqCst), before + 1);
    world.advance_s(3);
    let token = forge(&header("another"), &world.payload().to_string(), &key);
    assert_eq!(tokens.verify(&token, world.now()).await.unwrap(), None);
    assert_eq!(world.store.reads.load(Ordering::SeqCst), before + 2);
}

#[tokio::test]
async fn tokens_go_on_verifying_for_a_while_without_the_store() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    let (kid, key) = world.newest().await;
    world.store.down.store(true, Ordering::SeqCst);
    world.advance_s(14 * 60);
    let token = forge(&header(&kid), &world.payload().to_string(), &key);
    assert!(tokens.verify(&token, world.now()).await.unwrap().is_some());
    world.advance_s(60);
    let token = forge(&header(&kid), &world.payload().to_string(), &key);
    assert_eq!(tokens.verify(&token, world.now()).await.unwrap_err().retry, Retry::MayHelp);
    assert!(world.replica().verify(&token, world.now()).await.is_err(), "not a word about the token");
}

#[tokio::test]
async fn keys_in_rows_that_were_mixed_up_sign_nothing() {
    let world = World::new();
    let tokens = world.replica();
    tokens.issue(&world.claims()).await.unwrap();
    tokens.rotate(world.now()).await.unwrap();
    let rows = KeySet::new(world.store.inner.all().await.unwrap());
    let newest = rows.newest().unwrap().row;
    let mixed = SigningKeyRow {
        private: newest.private.clone(),
        created_at: newest.created_at + TimeDelta::seconds(1),
        ..world.store.inner.all().await.unwrap().remove(0)
    };
    assert_ne!(mixed.public, newest.public);
    world.store.add(&mixed).await.unwrap();
    let error = world.replica().issue(&world.claims()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Useless);
}

#[tokio::test]
async fn private_keys_are_not_in_rows_or_in_what_is_printed() {
    let world = World::new();
    let tokens = world.replica();
    let token = tokens.issue(&world.claims()).await.unwrap();
    assert!(!format!("{tokens:?}").contains(&token));
    let row = world.store.inner.all().await.unwrap().remove(0);
    let newest = KeySet::new(vec![row.clone()]).newest().unwrap();
    let signer = keys::signer(&world.envelope, &newest.row).await.unwrap();
    let seed = &signer.as_bytes()[16..];
    assert!(!row.private.0.windows(32).any(|window| window == seed));
}

#[test]
fn issuer_and_audience_must_be_set() {
    let world = World::new();
    for (issuer, audience) in [("", "x"), ("x", ""), (" ", "x")] {
        let settings = JwtSettings { issuer: issuer.into(), audience: audience.into() };
        let made = JwtTokens::new(world.replica().parts, settings);
        assert!(made.is_err());
    }
}
