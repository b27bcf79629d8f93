//! What the platform tells by itself.
//!
//! A message is signed with the SHA-1 of the app's secret and the body, one behind the other, in lower-case
//! hexadecimal. Nothing in it says when it was sent, so an old message can't be told from a new one here; its `Msg-Id`
//! is for whoever receives it.

use std::borrow::Cow;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use domain::{accounts::ports::PlatformNews, kernel::secret::Secret};
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;

use super::wire::object;

/// The header the signature is in.
pub(super) const SIGNATURE_HEADER: &str = "X-Douyin-Signature";

/// Digits of the longest integer that a challenge may be: those of 2^64.
const DIGITS_MAX: usize = 20;

#[derive(Deserialize)]
struct Message<'a> {
    event: String,
    #[serde(default)]
    from_user_id: Option<String>,
    #[serde(default)]
    to_user_id: Option<String>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// What a message is about.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    item_id: Option<String>,
    #[serde(default)]
    reply_to_item_id: Option<String>,
}

#[derive(Deserialize)]
struct Challenge<'a> {
    #[serde(borrow)]
    challenge: &'a RawValue,
}

/// What a message says, when its signature is right.
pub(super) fn news(secret: &Secret, signature: &str, body: &[u8]) -> Option<PlatformNews> {
    let right = bool::from(signature_of(secret, body).as_bytes().ct_eq(signature.as_bytes()));
    right.then(|| told(body).unwrap_or(PlatformNews::Other))
}

fn signature_of(secret: &Secret, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(secret.expose());
    digest.update(body);
    digest.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a message says; `None` when that is nothing that is known here.
fn told(body: &[u8]) -> Option<PlatformNews> {
    let message: Message<'_> = object(body).ok()?;
    match message.event.as_str() {
        "verify_webhook" => {
            let number = challenge(message.content?.get())?;
            Some(PlatformNews::Challenge(format!("{{\"challenge\":{number}}}")))
        }
        // The second is about the scopes whose names end in `.bind`. How much of the consent is left, the platform is asked:
        // a refresh tells what is still granted.
        "unauthorize" | "contract_unauthorize" => {
            let open_id = message.from_user_id.filter(|id| !id.is_empty())?;
            Some(PlatformNews::ConsentRevoked { open_id })
        }
        // Of the first, whoever posted is told of; of the others, whoever did something to the owner's post.
        "create_video" => stirred(message.from_user_id, message.content?.get()),
        "item_comment_reply" | "new_video_digg" => stirred(message.to_user_id, message.content?.get()),
        _ => None,
    }
}

/// Which post's figures have moved.
fn stirred(owner: Option<String>, content: &str) -> Option<PlatformNews> {
    let content = unwrapped(content)?;
    let named: Named = object(content.as_bytes()).ok()?;
    let item = named.item_id.or(named.reply_to_item_id).filter(|item| !item.is_empty())?;
    Some(PlatformNews::PostStirred { open_id: owner.filter(|id| !id.is_empty())?, item })
}

/// A message's content, which is an object or a text that holds one.
fn unwrapped(content: &str) -> Option<Cow<'_, str>> {
    if content.starts_with('"') {
        serde_json::from_str::<String>(content).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(content))
    }
}

/// The challenge in a message's content: the integer as it came, to the digit.
fn challenge(content: &str) -> Option<String> {
    let content = unwrapped(content)?;
    let raw = object::<Challenge<'_>>(content.as_bytes()).ok()?.challenge.get();
    let number = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_integer = (1..=DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    is_integer.then(|| number.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret() -> Secret {
        Secret::from("sbx_secret_7f3a91".to_owned())
    }

    /// What a body says, rightly signed.
    fn signed(body: &str) -> PlatformNews {
        news(&secret(), &signature_of(&secret(), body.as_bytes()), body.as_bytes()).unwrap()
    }

    fn answer(body: &str) -> Option<String> {
        match signed(body) {
            PlatformNews::Challenge(answer) => Some(answer),
            PlatformNews::ConsentRevoked { .. } | PlatformNews::PostStirred { .. } | PlatformNews::Other => {
                None
            }
        }
    }

    /// Of the platform's own documents, body and signature.
    const BODY: &str = include_str!("fixtures/verify_webhook.json");
    const SIGNATURE: &str = "82974d6e6dc976aa39c0572f4a2d25853f52d8be";

    #[test]
    fn the_documents_own_message_is_answered() {
        let body = BODY.trim_end();
        let challenge = PlatformNews::Challenge("{\"challenge\":48213}".to_owned());
        assert_eq!(news(&secret(), SIGNATURE, body.as_bytes()), Some(challenge));
    }

    #[test]
    fn what_is_done_to_a_post_names_it_and_its_owner() {
        let stirred = |open_id: &str, item: &str| PlatformNews::PostStirred {
            open_id: open_id.to_owned(),
            item: item.to_owned(),
        };
        for (body, expected) in [
            (
                r#"{"event":"new_video_digg","from_user_id":"f","to_user_id":"o","content":"{\"action_type\":1,\"item_id\":\"@9V\"}"}"#,
                stirred("o", "@9V"),
            ),
            (
                r#"{"event":"item_comment_reply","from_user_id":"f","to_user_id":"o","content":{"reply_to_item_id":"@8"}}"#,
                stirred("o", "@8"),
            ),
            (
                r#"{"event":"create_video","from_user_id":"o","content":{"item_id":"@7","share_id":"1"}}"#,
                stirred("o", "@7"),
            ),
            (
                r#"{"event":"new_video_digg","from_user_id":"f","content":{"item_id":"@9"}}"#,
                PlatformNews::Other,
            ),
            (r#"{"event":"new_video_digg","to_user_id":"o","content":{"item_id":""}}"#, PlatformNews::Other),
            (r#"{"event":"new_video_digg","to_user_id":"o","content":"soon"}"#, PlatformNews::Other),
            (r#"{"event":"new_video_digg","to_user_id":"o"}"#, PlatformNews::Other),
        ] {
            assert_eq!(signed(body), expected, "{body}");
        }
    }

    #[test]
    fn another_signature_body_or_secret_is_not_from_the_platform() {
        let body = BODY.trim_end();
        for wrong in [
            "",
            "82974d6e",
            &SIGNATURE.to_uppercase(),
            &SIGNATURE.replacen('8', "9", 1),
            &format!("{SIGNATURE} "),
        ] {
            assert_eq!(news(&secret(), wrong, body.as_bytes()), None, "{wrong}");
        }
        assert_eq!(news(&secret(), SIGNATURE, BODY.as_bytes()), None, "a byte more");
        assert_eq!(news(&Secret::from("another".to_owned()), SIGNATURE, body.as_bytes()), None);
    }

    #[test]
    fn a_challenge_goes_back_as_it_came() {
        let of = |content: &str| answer(&format!(r#"{{"event":"verify_webhook","content":{content}}}"#));
        for (content, number) in [
            (r#"{"challenge":48213}"#, "48213"),
            (r#"{"challenge":"48213"}"#, "48213"),
            (r#""{\"challenge\":48213}""#, "48213"),
            (r#"{"challenge":0,"more":[]}"#, "0"),
            (r#"{"challenge":-7}"#, "-7"),
            (r#"{"challenge":18446744073709551615}"#, "18446744073709551615"),
        ] {
            assert_eq!(of(content), Some(format!("{{\"challenge\":{number}}}")), "{content}");
        }
        for content in [
            "null",
            "7",
            "[48213]",
            "{}",
            r#""x""#,
            r#"{"challenge":1.5}"#,
            r#"{"challenge":1e9}"#,
            r#"{"challenge":null}"#,
            r#"{"challenge":"07"}"#,
            r#"{"challenge":"1,\"x\":2"}"#,
            r#"{"challenge":"\u0031"}"#,
            r#"{"challenge":{"challenge":1}}"#,
            r#"{"challenge":123456789012345678901}"#,
        ] {
            assert_eq!(of(content), None, "{content}");
        }
    }

    #[test]
    fn a_revoked_consent_names_its_owner() {
        let revoked = |open_id: &str| PlatformNews::ConsentRevoked { open_id: open_id.to_owned() };
        assert_eq!(
            signed(include_str!("fixtures/unauthorize.json")),
            revoked("7d0f3a52-1111-4c2e-9a4b-0b1c2d3e4f50")
        );
        assert_eq!(
            signed(include_str!("fixtures/unauthorize_string.json")),
            revoked("7d0f3a52-1111-4c2e-9a4b-0b1c2d3e4f50")
        );
        let bind = r#"{"event":"contract_unauthorize","from_user_id":"owner","content":"{}"}"#;
        assert_eq!(signed(bind), revoked("owner"));
        for body in [
            r#"{"event":"unauthorize","from_user_id":"","content":{}}"#,
            r#"{"event":"unauthorize","content":{}}"#,
            r#"{"event":"authorize","from_user_id":"x","content":{}}"#,
            r#"{"event":"item_comment_reply","from_user_id":"x","content":"{}"}"#,
            r#"{"content":{}}"#,
            "[]",
            "",
            "nonsense",
        ] {
            assert_eq!(signed(body), PlatformNews::Other, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_message_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..256), signature in ".{0,50}") {
            prop_assert_eq!(news(&secret(), &signature, &bytes), None);
            let right = signature_of(&secret(), &bytes);
            prop_assert!(news(&secret(), &right, &bytes).is_some());
        }
    }
}
