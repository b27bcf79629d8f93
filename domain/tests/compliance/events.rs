//! Events as leaves: one form, nothing lost, nothing else read.

use chrono::{DateTime, TimeDelta};
use domain::{
    compliance::{
        event::{AuditEvent, EventApi, EventAuth, EventParty, EventRequest, LEAF_MAX_BYTES, LeafError},
        log::{commitment::Commitment, jcs::JcsError, merkle::leaf_hash},
    },
    kernel::{
        clock::Timestamp,
        ids::{ComplianceId, EventId, TenantId},
        outbox::{Geo, IpHash, Mfa, Outcome, Stream},
    },
};
use proptest::{option, prelude::*};
use uuid::Uuid;

fn instant(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).expect("within chrono's range")
}

fn party(kind: &str, id: Option<u128>) -> EventParty {
    EventParty { kind: kind.to_owned(), id: id.map(Uuid::from_u128) }
}

/// An event with no more than it must have.
fn plain() -> AuditEvent {
    AuditEvent {
        stream: Stream::Iam,
        event_id: EventId::from_uuid(Uuid::from_u128(1)),
        compliance_id: ComplianceId::from_uuid(Uuid::from_u128(2)),
        tenant_id: TenantId::from_uuid(Uuid::from_u128(3)),
        class_uid: 3002,
        activity_id: 1,
        type_name: "sign_in".to_owned(),
        outcome: Outcome::Refused,
        occurred_at: instant(1_790_000_000_000_000),
        recorded_at: instant(1_790_000_000_000_001),
        actor: party("anonymous", None),
        target: None,
        session_id: None,
        auth: None,
        device_fp: None,
        geo: None,
        ip_hash: None,
        api: None,
        subject: None,
        diff_commit: None,
        prev_state_commit: None,
        reason: None,
        compliance_scope: Vec::new(),
        request: None,
    }
}

/// An event with everything.
fn full() -> AuditEvent {
    AuditEvent {
        stream: Stream::Access,
        target: Some(party("member", Some(5))),
        session_id: Some(Uuid::from_u128(6)),
        auth: Some(EventAuth { mfa: Mfa::Passed, factors: vec!["password".to_owned(), "totp".to_owned()] }),
        device_fp: Some("ab".repeat(32)),
        geo: Some(Geo {
            country: "CN".to_owned(),
            region: Some("SH".to_owned()),
            source: "GeoLite2-City".to_owned(),
            db_version: 1_790_000_000,
        }),
        ip_hash: Some(IpHash { key_epoch: "2026Q4".to_owned(), value: "cd".repeat(32) }),
        api: Some(EventApi { operation: "sign_in".to_owned(), schema_version: Some("7".to_owned()) }),
        subject: Some(Uuid::from_u128(7)),
        diff_commit: Some(Commitment::from_bytes([0xd1; 32])),
        prev_state_commit: Some(Commitment::from_bytes([0xd2; 32])),
        reason: Some("wrong_password".to_owned()),
        compliance_scope: vec!["gdpr".to_owned(), "pipl".to_owned()],
        request: Some(EventRequest {
            method: "POST".to_owned(),
            route: "/graphql".to_owned(),
            status: 200,
            duration_us: 1234,
            client_ref: Some("abc".to_owned()),
        }),
        ..plain()
    }
}

/// The bytes are a promise: a change here is a new leaf version.
#[test]
fn leaves_are_these_bytes() {
    let leaf = concat!(
        r#"{"activity_id":1,"actor":{"kind":"anonymous"},"class_uid":3002,"#,
        r#""compliance_id":"00000000-0000-0000-0000-000000000002","#,
        r#""event_id":"00000000-0000-0000-0000-000000000001","#,
        r#""occurred_at":"2026-09-21T14:13:20.000000Z","outcome":"refused","#,
        r#""recorded_at":"2026-09-21T14:13:20.000001Z","stream":"iam","#,
        r#""tenant_id":"00000000-0000-0000-0000-000000000003","type":"sign_in","v":1}"#
    );
    let bytes = plain().to_leaf().expect("a plain event");
    assert_eq!(String::from_utf8(bytes.clone()).as_deref(), Ok(leaf));
    assert_eq!(plain().leaf_hash(), Ok(leaf_hash(&bytes)));

    let leaf = format!(
        concat!(
            r#"{{"activity_id":1,"actor":{{"kind":"anonymous"}},"#,
            r#""api":{{"operation":"sign_in","schema_version":"7"}},"#,
            r#""auth":{{"factors":["password","totp"],"mfa_state":"passed"}},"class_uid":3002,"#,
            r#""client_ref":"abc","#,
            r#""compliance_id":"00000000-0000-0000-0000-000000000002","#,
            r#""compliance_scope":["gdpr","pipl"],"device_fp":"{device}","diff_commit":"{diff}","#,
            r#""duration_us":1234,"event_id":"00000000-0000-0000-0000-000000000001","#,
            r#""geo":{{"country":"CN","db_version":1790000000,"region":"SH","source":"GeoLite2-City"}},"#,
            r#""ip_hash":{{"alg":"HMAC-SHA-256","key_epoch":"2026Q4","value":"{ip}"}},"method":"POST","#,
            r#""occurred_at":"2026-09-21T14:13:20.000000Z","outcome":"refused","prev_state_commit":"{prev}","#,
            r#""reason":"wrong_password","recorded_at":"2026-09-21T14:13:20.000001Z","route":"/graphql","#,
            r#""session_id":"00000000-0000-0000-0000-000000000006","status":200,"stream":"access","#,
            r#""subject":"00000000-0000-0000-0000-000000000007","#,
            r#""target":{{"id":"00000000-0000-0000-0000-000000000005","kind":"member"}},"#,
            r#""tenant_id":"00000000-0000-0000-0000-000000000003","type":"sign_in","v":1}}"#
        ),
        device = "ab".repeat(32),
        diff = "d1".repeat(32),
        ip = "cd".repeat(32),
        prev = "d2".repeat(32),
    );
    let bytes = full().to_leaf().expect("a plain event");
    assert_eq!(String::from_utf8(bytes).as_deref(), Ok(leaf.as_str()));
    assert_eq!(AuditEvent::from_leaf(leaf.as_bytes()), Ok(full()));
}

#[test]
fn a_leaf_may_fill_a_bundle_entry_and_no_more() {
    let base = AuditEvent { reason: Some(String::new()), ..plain() };
    let room = LEAF_MAX_BYTES - base.to_leaf().expect("short").len();
    let filled = |bytes: usize| AuditEvent { reason: Some("x".repeat(bytes)), ..plain() };
    let leaf = filled(room).to_leaf().expect("just fits");
    assert_eq!(leaf.len(), 65_535);
    assert_eq!(AuditEvent::from_leaf(&leaf), Ok(filled(room)));
    assert_eq!(filled(room + 1).to_leaf(), Err(LeafError::TooLong { bytes: 65_536 }));
    // Escapes count as written.
    let escaped = AuditEvent { reason: Some("\u{1}".repeat(room / 2)), ..plain() };
    assert!(matches!(escaped.to_leaf(), Err(LeafError::TooLong { .. })));
    assert_eq!(AuditEvent::from_leaf(&vec![b' '; 65_536]), Err(LeafError::TooLong { bytes: 65_536 }));
}

#[test]
fn what_a_leaf_cannot_tell_is_refused() {
    let at = |occurred_at| AuditEvent { occurred_at, ..plain() }.to_leaf();
    let fault = || Err(LeafError::Time { field: "occurred_at" });
    let now = plain().occurred_at;
    assert_eq!(at(now + TimeDelta::nanoseconds(1)), fault());
    assert_eq!(at(DateTime::from_timestamp(1_483_228_799, 1_000_000_000).expect("a leap second")), fault());
    assert_eq!(at(instant(253_402_300_800_000_000)), fault());
    assert_eq!(at(instant(-62_167_219_200_000_001)), fault());
    assert!(at(instant(253_402_300_799_999_999)).is_ok());
    assert!(at(instant(-62_167_219_200_000_000)).is_ok());

    let elsewhere = AuditEvent { stream: Stream::Iam, ..full() };
    assert_eq!(elsewhere.to_leaf(), Err(LeafError::Misplaced));
    let mut long = full();
    if let Some(request) = &mut long.request {
        request.duration_us = 1 << 53;
    }
    assert!(matches!(long.to_leaf(), Err(LeafError::Json(JcsError::Integer { .. }))));
}

#[test]
fn only_the_one_form_is_read() {
    let leaf = String::from_utf8(full().to_leaf().expect("a plain event")).expect("UTF-8");
    let check = |from: &str, to: &str, verdict: &LeafError| {
        assert!(leaf.contains(from), "{from}");
        assert_eq!(
            AuditEvent::from_leaf(leaf.replacen(from, to, 1).as_bytes()).as_ref(),
            Err(verdict),
            "{to}"
        );
    };
    let malformed = |field: &str| LeafError::Malformed(field.to_owned());
    let missing = |field: &str| LeafError::Missing(field.to_owned());
    let unknown = |field: &str| LeafError::Unknown(field.to_owned());
    // Spelled otherwise.
    for (from, to) in [
        (r#"{"activity_id""#, r#"{ "activity_id""#),
        (r#""activity_id":1,"actor""#, r#""activity_id": 1,"actor""#),
        (r#""v":1}"#, "\"v\":1}\n"),
        ("/graphql", r"\/graphql"),
        ("sign_in", r"sign\u005fin"),
        ("00000000-0000-0000-0000-000000000001", "00000000000000000000000000000001"),
        ("00000000-0000-0000-0000-000000000001", "{00000000-0000-0000-0000-000000000001}"),
        (r#""class_uid":3002,"client_ref":"abc""#, r#""client_ref":"abc","class_uid":3002"#),
        (r#","compliance_scope":["gdpr","pipl"]"#, r#","compliance_scope":[]"#),
    ] {
        check(from, to, &LeafError::NotCanonical);
    }
    // Another thing altogether.
    check(r#""v":1"#, r#""v":2"#, &LeafError::UnknownVersion(2));
    check(r#","v":1"#, "", &missing("v"));
    check(r#""v":1"#, r#""v":1,"w":1"#, &unknown("w"));
    check(r#""mfa_state":"passed""#, r#""mfa_state":"passed","x":1"#, &unknown("auth.x"));
    check(r#","mfa_state":"passed""#, "", &missing("auth.mfa_state"));
    check("passed", "PASSED", &malformed("auth.mfa_state"));
    check("HMAC-SHA-256", "SHA-256", &malformed("ip_hash.alg"));
    check(r#""reason":"wrong_password""#, r#""reason":null"#, &malformed("reason"));
    check(r#""reason":"wrong_password""#, r#""reason":["x"]"#, &malformed("reason"));
    check(r#""stream":"access""#, r#""stream":"Access""#, &malformed("stream"));
    check(r#""stream":"access""#, r#""stream":"iam""#, &LeafError::Misplaced);
    check(r#""status":200"#, r#""status":65536"#, &malformed("status"));
    check(r#""status":200"#, r#""status":-1"#, &malformed("status"));
    check(r#""method":"POST","#, "", &unknown("client_ref"));
    check(r#""actor":{"kind":"anonymous"},"#, "", &missing("actor"));
    check(r#"{"kind":"anonymous"}"#, r#""anonymous""#, &malformed("actor"));
    check(r#"["gdpr","pipl"]"#, r#"["gdpr",1]"#, &malformed("compliance_scope"));
    check("d1d1", "D1d1", &malformed("diff_commit"));
    check("20.000000Z", "20.00000Z", &malformed("occurred_at"));
    check("20.000000Z", "20Z", &malformed("occurred_at"));
    check("20.000000Z", "20.000000+00:00", &malformed("occurred_at"));
    check("20.000000Z", "20.000000z", &malformed("occurred_at"));
    check("20.000000Z", "20.0000000Z", &malformed("occurred_at"));
    check("-21T14", "-31T14", &malformed("occurred_at"));
    check("-21T14", "-21 14", &malformed("occurred_at"));
    for not_json in ["", "[]", "null", "{}", "\u{feff}{}"] {
        assert!(AuditEvent::from_leaf(not_json.as_bytes()).is_err(), "{not_json:?}");
    }
    let twice = leaf.replacen(r#""v":1"#, r#""v":1,"v":1"#, 1);
    assert!(matches!(
        AuditEvent::from_leaf(twice.as_bytes()),
        Err(LeafError::Json(JcsError::Duplicate { .. }))
    ));
    let leap_second = leaf.replacen("14:13:20.000000Z", "23:59:60.000000Z", 1);
    let refused = AuditEvent::from_leaf(leap_second.as_bytes());
    assert_eq!(refused, Err(LeafError::Time { field: "occurred_at" }));
}

prop_compose! {
    fn parties()(kind in any::<String>(), id in option::of(any::<u128>())) -> EventParty {
        party(&kind, id)
    }
}

prop_compose! {
    fn requests()(
        method in any::<String>(),
        route in any::<String>(),
        status in any::<u16>(),
        duration_us in 0_u64..1 << 53,
        client_ref in option::of(any::<String>()),
    ) -> EventRequest {
        EventRequest { method, route, status, duration_us, client_ref }
    }
}

prop_compose! {
    fn origins()(
        auth in option::of((0_usize..3, prop::collection::vec(any::<String>(), 0..3))),
        geo in option::of((any::<String>(), option::of(any::<String>()), any::<String>(), 0_u64..1 << 53)),
        ip in option::of((any::<String>(), any::<String>())),
        api in option::of((any::<String>(), option::of(any::<String>()))),
    ) -> AuditEvent {
        let states = [Mfa::NotEnrolled, Mfa::Missing, Mfa::Passed];
        AuditEvent {
            auth: auth.map(|(state, factors)| EventAuth { mfa: states[state], factors }),
            geo: geo.map(|(country, region, source, db_version)| Geo { country, region, source, db_version }),
            ip_hash: ip.map(|(key_epoch, value)| IpHash { key_epoch, value }),
            api: api.map(|(operation, schema_version)| EventApi { operation, schema_version }),
            ..plain()
        }
    }
}

prop_compose! {
    fn events()(
        origin in origins(),
        stream in prop::sample::select(Stream::ALL.to_vec()),
        outcome in prop::sample::select(Outcome::ALL.to_vec()),
        ids in any::<[u128; 3]>(),
        numbers in any::<[u32; 2]>(),
        times in [-62_167_219_200_000_000_i64..253_402_300_800_000_000, 0..2_000_000_000_000_000],
        (actor, target) in (parties(), option::of(parties())),
        (type_name, reason, device_fp) in
            (any::<String>(), option::of(any::<String>()), option::of(any::<String>())),
        session in option::of(any::<u128>()),
        commits in [option::of(any::<[u8; 32]>()), option::of(any::<[u8; 32]>())],
        compliance_scope in prop::collection::vec(any::<String>(), 0..3),
        request in option::of(requests()),
    ) -> AuditEvent {
        AuditEvent {
            stream,
            event_id: EventId::from_uuid(Uuid::from_u128(ids[0])),
            compliance_id: ComplianceId::from_uuid(Uuid::from_u128(ids[1])),
            tenant_id: TenantId::from_uuid(Uuid::from_u128(ids[2])),
            class_uid: numbers[0],
            activity_id: numbers[1],
            type_name,
            outcome,
            occurred_at: instant(times[0]),
            recorded_at: instant(times[1]),
            actor,
            target,
            session_id: session.map(Uuid::from_u128),
            device_fp,
            diff_commit: commits[0].map(Commitment::from_bytes),
            prev_state_commit: commits[1].map(Commitment::from_bytes),
            reason,
            compliance_scope,
            request: request.filter(|_| stream == Stream::Access),
            ..origin
        }
    }
}

proptest! {
    #[test]
    fn events_come_back(event in events()) {
        let leaf = event.to_leaf().expect("within bounds");
        prop_assert_eq!(AuditEvent::from_leaf(&leaf), Ok(event));
    }

    #[test]
    fn a_changed_leaf_is_another_event_or_none(event in events(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut leaf = event.to_leaf().expect("within bounds");
        let at = at.index(leaf.len());
        leaf[at] ^= 1 << bit;
        if let Ok(other) = AuditEvent::from_leaf(&leaf) {
            prop_assert_ne!(&other, &event);
            prop_assert_eq!(other.to_leaf(), Ok(leaf));
        }
    }
}
