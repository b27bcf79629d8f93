//! Tokens as one platform gives them, for the tests of this folder.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Refreshed, TokenSecrets, TokenTerms, Tokens};
use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, AppId},
    secret::Secret,
};

pub(super) fn at(days: i64) -> Timestamp {
    Timestamp::default() + TimeDelta::days(20_000 + days)
}

pub(super) fn account(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(number))
}

/// As Douyin gives them at day 0: 15 days of access, 30 of refresh, 5 renewals.
pub(super) fn tokens() -> Tokens {
    Tokens {
        account: account(7),
        app: AppId::from_uuid(Uuid::nil()),
        terms: TokenTerms {
            scopes: vec!["user_info".to_owned()],
            consented_at: at(0),
            access_issued_at: at(0),
            access_expires_at: at(15),
            refresh_expires_at: Some(at(30)),
            refresh_life_s: 30 * 86_400,
            renewals_used: 0,
            renewals_max: 5,
            renewing_since: None,
            refreshed_at: at(0),
            last_error: None,
            failures: 0,
            version: 1,
        },
        secrets: TokenSecrets {
            access: Secret::from("act.1".to_owned()),
            refresh: Some(Secret::from("rft.1".to_owned())),
        },
    }
}

pub(super) fn refreshed(life_days: i64, refresh_left_days: i64) -> Refreshed {
    Refreshed {
        access: Secret::from("act.2".to_owned()),
        access_life_s: life_days * 86_400,
        refresh: None,
        refresh_life_s: Some(refresh_left_days * 86_400),
        scopes: None,
    }
}
