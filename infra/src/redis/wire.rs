//! News as it travels between replicas: private to this adapter, JSON, with a version.
//!
//! Replicas of two releases run side by side during a deployment, so an unknown fact is left out and an unknown
//! version makes the message unreadable; neither disturbs the messages after it.

use chrono::DateTime;
use domain::kernel::feed::{Fact, News};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The form below. Counted up when an older release would misread it.
const VERSION: u32 = 1;

/// Longest message read, in bytes: ten times what ending the sessions of a busy tenant makes.
const MESSAGE_MAX: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Message<'a> {
    /// Version.
    v: u32,
    /// The process it comes from, which has told its own subscribers already.
    #[serde(borrow)]
    from: &'a str,
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Event<'a> {
    /// Its name: the channel says of which context.
    fact: &'a str,
    /// UUID of what the fact is about.
    id: String,
    /// Microseconds since 1970.
    at_us: i64,
}

/// Why a message was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the message has more than {MESSAGE_MAX} bytes")]
    TooLong,
    #[error("the message is not in the form of version {VERSION}")]
    Malformed,
    #[error("the message has version {0}")]
    Version(u32),
}

/// The message that tells `news`, from the process `from`.
pub(super) fn encode<F: Fact>(from: Uuid, news: &[News<F>]) -> Result<Vec<u8>, serde_json::Error> {
    let from = from.simple().to_string();
    let events = news.iter().map(|News { fact, at }| Event {
        fact: fact.name(),
        id: fact.subject().simple().to_string(),
        at_us: at.timestamp_micros(),
    });
    serde_json::to_vec(&Message { v: VERSION, from: &from, events: events.collect() })
}

/// What a message tells. `None` when it is `own`.
pub(super) fn decode<F: Fact>(own: Uuid, bytes: &[u8]) -> Result<Option<Vec<News<F>>>, Unreadable> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }

    if bytes.len() > MESSAGE_MAX {
        return Err(Unreadable::TooLong);
    }
    let malformed = |_| Unreadable::Malformed;
    // First alone: another version may differ in everything else.
    let Versioned { v } = serde_json::from_slice(bytes).map_err(malformed)?;
    if v != VERSION {
        return Err(Unreadable::Version(v));
    }
    let message: Message<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
    let from = Uuid::try_parse(message.from).map_err(|_| Unreadable::Malformed)?;
    Ok((from != own).then(|| message.events.iter().filter_map(event).collect()))
}

fn event<F: Fact>(event: &Event<'_>) -> Option<News<F>> {
    let fact = F::of(event.fact, Uuid::try_parse(&event.id).ok()?)?;
    Some(News { fact, at: DateTime::from_timestamp_micros(event.at_us)? })
}

#[cfg(test)]
mod tests {
    use domain::{
        accounts::events::{AccountEvent, AccountFact},
        identity::events::{IdentityEvent, IdentityFact},
        kernel::ids::{AccountId, ApiKeyId, InvitationId, LinkId, MemberId, SessionId},
    };
    use proptest::prelude::*;

    use super::*;

    const SENDER: Uuid = Uuid::from_u128(1);
    const READER: Uuid = Uuid::from_u128(2);

    const SUBJECT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007);

    fn news<F: Fact, const N: usize>(facts: [F; N]) -> [News<F>; N] {
        let at = DateTime::from_timestamp_micros(1_790_000_000_123_456).expect("a time");
        facts.map(|fact| News { fact, at })
    }

    fn of_identity() -> [IdentityEvent; 8] {
        news([
            IdentityFact::MemberInvited(InvitationId::from_uuid(SUBJECT)),
            IdentityFact::InvitationRevoked(InvitationId::from_uuid(SUBJECT)),
            IdentityFact::MemberJoined(MemberId::from_uuid(SUBJECT)),
            IdentityFact::MemberRoleChanged(MemberId::from_uuid(SUBJECT)),
            IdentityFact::MemberSuspended(MemberId::from_uuid(SUBJECT)),
            IdentityFact::MemberRestored(MemberId::from_uuid(SUBJECT)),
            IdentityFact::SessionRevoked(SessionId::from_uuid(SUBJECT)),
            IdentityFact::ApiKeyRevoked(ApiKeyId::from_uuid(SUBJECT)),
        ])
    }

    fn of_accounts() -> [AccountEvent; 9] {
        let account = AccountId::from_uuid(SUBJECT);
        news([
            AccountFact::AccountLinked(account),
            AccountFact::LinkFailed(LinkId::from_uuid(SUBJECT)),
            AccountFact::AccountPaused(account),
            AccountFact::AccountResumed(account),
            AccountFact::AccountUnlinked(account),
            AccountFact::AccountArranged(account),
            AccountFact::ConsentNeeded(account),
            AccountFact::TokensRefreshed(account),
            AccountFact::RefreshFailed(account),
        ])
    }

    fn read(own: Uuid, bytes: &[u8]) -> Result<Option<Vec<IdentityEvent>>, Unreadable> {
        decode(own, bytes)
    }

    #[test]
    fn every_fact_arrives_as_it_was_sent() {
        fn check<F: Fact>(sent: &[News<F>]) {
            let bytes = encode(SENDER, sent).expect("facts are JSON");
            assert_eq!(decode(READER, &bytes), Ok(Some(sent.to_vec())));
        }
        check(&of_identity());
        check(&of_accounts());
    }

    #[test]
    fn another_contexts_facts_are_unknown() {
        let bytes = encode(SENDER, &of_accounts()).expect("facts are JSON");
        assert_eq!(read(READER, &bytes), Ok(Some(Vec::new())));
    }

    #[test]
    fn the_senders_own_message_tells_nothing_new() {
        let bytes = encode(SENDER, &of_identity()).expect("facts are JSON");
        assert_eq!(read(SENDER, &bytes), Ok(None));
    }

    /// The form other releases read: a change here wants a new version.
    #[test]
    fn the_form_is_fixed() {
        let bytes = encode(SENDER, &of_identity()[..1]).expect("facts are JSON");
        let expected = concat!(
            r#"{"v":1,"from":"00000000000000000000000000000001","events":[{"fact":"member_invited","#,
            r#""id":"01900000000070008000000000000007","at_us":1790000000123456}]}"#
        );
        assert_eq!(String::from_utf8(bytes).expect("JSON is text"), expected);
    }

    #[test]
    fn newer_facts_are_left_out_and_newer_fields_ignored() {
        let text = r#"{"v":1,"from":"00000000000000000000000000000001","new":{},"events":[
            {"fact":"member_cloned","id":"00000000000000000000000000000003","at_us":1},
            {"fact":"member_joined","id":"00000000000000000000000000000003","at_us":1,"new":[1]}]}"#;
        let events = read(READER, text.as_bytes()).expect("version 1").expect("another's");
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].fact, IdentityFact::MemberJoined(MemberId::from_uuid(Uuid::from_u128(3))));
    }

    #[test]
    fn other_versions_are_named() {
        let text = r#"{"v":2,"sender":[]}"#;
        assert_eq!(read(READER, text.as_bytes()), Err(Unreadable::Version(2)));
    }

    #[test]
    fn rubbish_is_refused() {
        let deep = "[".repeat(100_000);
        let inputs =
            ["", "null", "{}", "{", r#"{"v":-1}"#, r#"{"v":1}"#, r#"{"v":1,"from":"x","events":[]}"#, &deep];
        for text in inputs {
            assert_eq!(read(READER, text.as_bytes()), Err(Unreadable::Malformed), "{text:.40}");
        }
        assert_eq!(read(READER, &vec![b' '; MESSAGE_MAX + 1]), Err(Unreadable::TooLong));
    }

    #[test]
    fn impossible_ids_and_times_are_left_out() {
        let text = r#"{"v":1,"from":"00000000000000000000000000000001","events":[
            {"fact":"member_joined","id":"not one","at_us":1},
            {"fact":"member_joined","id":"00000000000000000000000000000003","at_us":9223372036854775807}]}"#;
        assert_eq!(read(READER, text.as_bytes()), Ok(Some(Vec::new())));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            prop_assert!(read(READER, &bytes).is_err());
        }
    }
}
