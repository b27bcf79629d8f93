//! What the platform's codes mean.
//!
//! From the error tables of the token endpoints and the general status codes (README.md says where). A code that is not
//! in the table is neither a yes nor a no: whether the call took effect is not known then.

use domain::{
    accounts::ports::{PlatformError, Refusal, RefusalKind},
    kernel::fault::PortError,
};

use serde::de::IgnoredAny;

use super::{
    client::Endpoint,
    wire::{Said, Unread, read},
};
use crate::outbound::{Judgement, Reply, SendFault};

/// What is to be made of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A considered no.
    Refused(RefusalKind),
    /// Not now: it did nothing, and the same call may go better later.
    NotNow,
    /// Something broke inside it, after who knows which step.
    Broke,
}

use Class::{Broke, NotNow, Refused};
use RefusalKind::{
    AbilityOff, AppLacks, AppOff, AppWrong, BadCall, ConsentGone, ContentRefused, MediumRefused, NotGranted,
    OwnerGone, PostingBarred, PostsUsedUp, QuotaUsedUp, TokenDead,
};

/// Each class of codes, new series and old. 2190004 is a permission and no quota.
const CODES: &[(&[i64], Class)] = &[
    // The token endpoints.
    (&[10_001], Broke),
    (&[10_002, 10_005], Refused(BadCall)),
    // Unknown client_key; redirect_uri; package; in review; secret; code of another app; type; signature; client_key.
    (&[10_003, 10_006, 10_011, 10_012, 10_013, 10_014, 10_015, 10_017, 29_002_002], Refused(AppWrong)),
    (&[10_004], Refused(AppLacks)),
    // Code, or refresh token.
    (&[10_007, 10_010], Refused(ConsentGone)),
    (&[10_008], Refused(TokenDead)),
    // Too many calls; where renewing is asked for, no more renewals.
    (&[10_020], NotNow),
    // Every other endpoint, and some of these too.
    (&[28_001_003, 2_190_002, 28_001_008, 2_190_008], Refused(TokenDead)),
    // "Busy" is said by something in front of what does the work, and may be said after it; risk control too.
    (&[28_001_005, 2_100_004, 28_001_006, 28_001_052], Broke),
    // Parameters; token and open_id; path; open_id equal to follower's.
    (&[28_001_007, 2_100_005, 28_001_015, 2_190_015, 28_001_017, 2_100_006], Refused(BadCall)),
    (&[28_001_012, 2_190_003], Refused(NotGranted)),
    (&[28_001_014, 28_001_018, 2_190_004, 28_001_042, 2_100_007], Refused(AppLacks)),
    (&[28_001_016, 2_190_016], Refused(AppOff)),
    (&[28_001_019, 28_001_056], Refused(AbilityOff)),
    // A test app's user or end; a scope of another scene.
    (&[28_001_020, 28_001_021, 28_004_020], Refused(AppWrong)),
    // Deregistered, banned, private.
    (&[28_001_045, 28_001_046, 28_001_047, 2_100_009], Refused(OwnerGone)),
    (&[28_003_017, 2_190_001], Refused(QuotaUsedUp)),
    (&[28_003_018], NotNow),
    // Posting: file too big; too long, old and new; text.
    (&[2_190_005, 2_190_006, 2_114_006, 2_114_001], Refused(ContentRefused)),
    (&[2_190_007], Refused(MediumRefused)),
    (&[2_114_005], Refused(PostingBarred)),
    (&[2_114_007], Refused(PostsUsedUp)),
];

/// Some answers write a code with this before it, as 20028001003.
const WIDE: i64 = 20;

fn class(code: i64) -> Option<Class> {
    let listed = |code: i64| CODES.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, class)| *class);
    listed(code).or_else(|| (code / 1_000_000_000 == WIDE).then(|| listed(code % 1_000_000_000))?)
}

/// What lies beneath an error; all of it is ours to say.
#[derive(Debug, thiserror::Error)]
enum DouyinFault {
    /// It answered that it can't now, or broke.
    #[error("code {0}")]
    Code(i64),
    /// It answered a code that its documents do not have.
    #[error("code {0}, which is in no table")]
    Unlisted(i64),
    /// The answer could not be read.
    #[error("the answer could not be read: {0}")]
    Unread(Unread),
}

/// The error of a code that is not zero.
pub(super) fn refused(endpoint: &Endpoint, code: i64) -> PlatformError {
    let here = endpoint.meanings.iter().find(|(own, _)| *own == code);
    let class = here.map(|(_, kind)| Refused(*kind)).or_else(|| class(code));
    let passing = || PortError::passing(endpoint.port, DouyinFault::Code(code));
    match class {
        Some(Refused(kind)) => PlatformError::Refused(Refusal { kind, code }),
        Some(NotNow) => PlatformError::NotDone(passing()),
        // To be asked again without harm, or found out first.
        Some(Broke) if endpoint.twice_is_harmless => PlatformError::NotDone(passing()),
        Some(Broke) => PlatformError::Unknown(passing()),
        None => PlatformError::Unknown(PortError::lasting(endpoint.port, DouyinFault::Unlisted(code))),
    }
}

/// What an answer is, as far as quotas are concerned. No endpoint has a meaning of its own for their codes.
pub(super) fn judge(reply: &Reply) -> Judgement {
    match read::<IgnoredAny>(reply.status, reply.body.expose()) {
        Ok(Said::Done(_)) => Judgement::Done,
        Ok(Said::Code(code)) => match class(code) {
            Some(Refused(kind)) => Judgement::Refused(kind),
            Some(NotNow | Broke) | None => Judgement::Unclear,
        },
        Err(_) => Judgement::Unclear,
    }
}

/// The error of an answer that says nothing.
pub(super) fn unread(endpoint: &Endpoint, why: Unread) -> PlatformError {
    PlatformError::Unknown(PortError::passing(endpoint.port, DouyinFault::Unread(why)))
}

/// The error of a call without an answer.
pub(super) fn unsent(endpoint: &Endpoint, fault: SendFault) -> PlatformError {
    match fault {
        SendFault::NotDone { .. } => PlatformError::NotDone(PortError::passing(endpoint.port, fault)),
        SendFault::Unknown { .. } => PlatformError::Unknown(PortError::passing(endpoint.port, fault)),
    }
}

#[cfg(test)]
mod tests {
    use domain::kernel::{fault::Retry, secret::Secret};

    use super::{
        super::{
            auth::{EXCHANGE, REFRESH, RENEW},
            publisher::{CREATE, UPLOAD},
        },
        *,
    };

    fn word(endpoint: &Endpoint, code: i64) -> &'static str {
        match refused(endpoint, code) {
            PlatformError::Refused(refusal) => {
                assert_eq!(refusal.code, code);
                refusal.kind.as_str()
            }
            PlatformError::NotDone(_) => "not_done",
            PlatformError::Unknown(fault) if fault.retry == Retry::Useless => "unlisted",
            PlatformError::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn every_code_is_in_the_table_once() {
        let mut all: Vec<_> = CODES.iter().flat_map(|(codes, _)| codes.iter().copied()).collect();
        let listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), listed);
    }

    #[test]
    fn old_and_new_codes_mean_the_same() {
        for (new, old, expected) in [
            (28_001_003, 2_190_002, "token_dead"),
            (28_001_008, 2_190_008, "token_dead"),
            (28_001_005, 2_100_004, "not_done"),
            (28_001_007, 2_100_005, "bad_call"),
            (28_001_012, 2_190_003, "not_granted"),
            (28_001_015, 2_190_015, "bad_call"),
            (28_001_016, 2_190_016, "app_off"),
            (28_001_018, 2_190_004, "app_lacks"),
            (28_001_046, 2_100_009, "owner_gone"),
            (28_003_017, 2_190_001, "quota_used_up"),
        ] {
            assert_eq!((word(&REFRESH, new), word(&REFRESH, old)), (expected, expected), "{new}, {old}");
            assert_eq!(word(&REFRESH, 20_000_000_000 + new), expected, "the wide form of {new}");
        }
    }

    #[test]
    fn codes_of_the_token_endpoints_are_told_apart() {
        for (code, expected) in [
            (10_002, "bad_call"),
            (10_003, "app_wrong"),
            (10_004, "app_lacks"),
            (10_007, "consent_gone"),
            (10_008, "token_dead"),
            (10_010, "consent_gone"),
            (10_013, "app_wrong"),
            (10_020, "not_done"),
            (28_001_052, "not_done"),
            (28_001_056, "ability_off"),
            (28_003_018, "not_done"),
        ] {
            assert_eq!(word(&EXCHANGE, code), expected, "{code}");
        }
    }

    #[test]
    fn the_same_code_may_mean_another_thing_where_renewing_is_asked_for() {
        assert_eq!((word(&RENEW, 10_020), word(&REFRESH, 10_020)), ("renewals_over", "not_done"));
        assert_eq!([10_001, 28_001_006].map(|code| word(&RENEW, code)), ["unknown"; 2]);
        assert_eq!([10_001, 28_001_006].map(|code| word(&REFRESH, code)), ["not_done"; 2]);
        assert_eq!(word(&EXCHANGE, 10_001), "not_done", "a code used up is only refused");
    }

    #[test]
    fn busy_is_no_answer_where_twice_does_harm() {
        for code in [28_001_005, 2_100_004, 28_001_006, 28_001_052] {
            assert_eq!((word(&CREATE, code), word(&UPLOAD, code)), ("unknown", "not_done"), "{code}");
        }
        for (code, expected) in [
            (28_003_018, "not_done"),
            (2_190_005, "content_refused"),
            (2_190_006, "content_refused"),
            (2_114_006, "content_refused"),
            (2_114_001, "content_refused"),
            (2_190_007, "medium_refused"),
            (2_114_005, "posting_barred"),
            (2_114_007, "posts_used_up"),
        ] {
            assert_eq!(word(&CREATE, code), expected, "{code}");
        }
    }

    #[test]
    fn quotas_are_told_from_all_else() {
        let judged = |status, body: &str| judge(&Reply { status, body: Secret::from(body.to_owned()) });
        let coded =
            |code: i64| format!(r#"{{"data":{{"error_code":{code}}},"extra":{{"error_code":{code}}}}}"#);
        assert_eq!(judged(200, &coded(0)), Judgement::Done);
        for (code, kind) in [(28_003_017, QuotaUsedUp), (2_190_001, QuotaUsedUp), (2_114_007, PostsUsedUp)] {
            assert_eq!(judged(200, &coded(code)), Judgement::Refused(kind), "{code}");
        }
        assert_eq!(judged(200, &coded(2_190_008)), Judgement::Refused(TokenDead));
        for (status, body) in
            [(200, coded(28_003_018)), (200, coded(7)), (502, coded(0)), (200, "{".to_owned())]
        {
            assert_eq!(judged(status, &body), Judgement::Unclear, "{status} {body}");
        }
    }

    #[test]
    fn a_code_nobody_knows_is_neither_yes_nor_no() {
        for code in [1, -1, 10_009, 28_001_001, 20_028_001_001, 30_028_001_003, i64::MIN, i64::MAX] {
            assert_eq!(word(&REFRESH, code), "unlisted", "{code}");
        }
    }
}
