//! The number of each refusal, in the old series and the new.

use super::envelope::Envelope;
use crate::platform::refusal::Refusal;

/// Old code, new code, description.
pub(crate) fn codes(envelope: Envelope, refusal: Refusal) -> (i64, i64, String) {
    if let Some((code, text)) = oauth_code(refusal).filter(|_| envelope == Envelope::C) {
        return (code, code, text.to_owned());
    }
    let (old, new, text) = match refusal {
        Refusal::OauthBadParameter => (10_002, 10_002, "parameter error"),
        Refusal::UnknownClient => (10_003, 10_003, "bad client_key"),
        Refusal::OauthScopeMissing => (10_004, 10_004, "the app lacks the scope"),
        Refusal::OauthParameterMissing => (10_005, 10_005, "missing parameter"),
        Refusal::CodeDead => (10_007, 10_007, "authorization code expired or used"),
        Refusal::AccessTokenDead => (10_008, 10_008, "access_token invalid or expired"),
        Refusal::RefreshTokenDead => (10_010, 10_010, "refresh_token invalid or expired"),
        Refusal::AppInReview => (10_012, 10_012, "the app is in review"),
        Refusal::SecretWrong => (10_013, 10_013, "client_key or client_secret is wrong"),
        Refusal::CodeOfAnotherApp => (10_014, 10_014, "client_key is not the one the code was issued for"),
        Refusal::RenewalsUsedUp => (10_020, 10_020, "the refresh_token can't be renewed any more"),
        Refusal::TokensTooOften => (10_020, 10_020, "too many requests for tokens"),
        Refusal::BadParameter(what) => {
            return (2_100_005, 28_001_007, format!("invalid parameter: {what}"));
        }
        Refusal::TokenInvalid => (2_190_002, 28_001_003, "access_token is invalid"),
        Refusal::TokenExpired => (2_190_008, 28_001_008, "access_token has expired"),
        Refusal::Busy => (2_100_004, 28_001_005, "the system is busy, try again later"),
        Refusal::NetworkInside => (28_001_006, 28_001_006, "network error"),
        Refusal::ScopeNotGranted => (2_190_003, 28_001_012, "the user has not authorized this API"),
        Refusal::AppLacksScope => (2_190_004, 28_001_018, "the app lacks this capability"),
        Refusal::OpenIdMismatch => (2_190_015, 28_001_015, "access_token and open_id do not match"),
        Refusal::AppBanned => (2_190_016, 28_001_016, "the app is banned or offline"),
        Refusal::UnknownUri => (28_001_017, 28_001_017, "unknown URI"),
        Refusal::UserDeregistered => (28_001_045, 28_001_045, "the user is deregistered"),
        Refusal::UserBanned => (2_100_009, 28_001_046, "the user is banned"),
        Refusal::QuotaUsedUp => (2_190_001, 28_003_017, "quota used up"),
        Refusal::TooFast => (28_003_018, 28_003_018, "request rate too high"),
        Refusal::RiskControl => (28_001_052, 28_001_052, "refused by risk control"),
        Refusal::Retired => (28_001_056, 28_001_056, "the API is retired"),
        Refusal::SamePerson => (2_100_006, 28_001_007, "open_id equals follower_open_id"),
        Refusal::FileTooBig => (2_190_005, 2_190_005, "the file is too big"),
        Refusal::DurationTooLong => (2_190_006, 2_114_006, "the video is longer than 15 minutes"),
        Refusal::VideoIdInvalid => (2_190_007, 2_190_007, "invalid video_id or file"),
        Refusal::TextInvalid => (2_114_001, 2_114_001, "the text is invalid"),
        Refusal::PostingBanned => (2_114_005, 2_114_005, "the user may not post"),
        Refusal::PublishLimit => (2_114_007, 2_114_007, "the day's posts are used up"),
        Refusal::VideoNotPublic => (2_118_100, 2_118_100, "the video is not public"),
        Refusal::VideoNotBound => (2_118_106, 2_118_106, "the video is not bound to the task"),
        Refusal::TaskChecksTooOften => (2_118_110, 2_118_110, "too many checks"),
        Refusal::CommentSensitive => (2_111_001, 2_111_001, "the comment has sensitive words"),
        Refusal::CommentUnknown => (2_111_003, 2_111_003, "invalid comment"),
        Refusal::CommentOfAnotherVideo => (2_111_004, 2_111_004, "the comment does not belong to the video"),
        Refusal::PinInReview => (2_111_005, 2_111_005, "an earlier pinned comment is still in review"),
        Refusal::VideoUnknown => (2_111_007, 2_111_007, "the video can't be loaded"),
        Refusal::NotEnterprise => (2_112_001, 2_112_001, "not an enterprise account"),
        Refusal::Code(code) => (code, code, "refused"),
    };
    (old, new, text.to_owned())
}

/// The token endpoints have one series of their own, also for what every API may answer.
const fn oauth_code(refusal: Refusal) -> Option<(i64, &'static str)> {
    if matches!(refusal, Refusal::Busy | Refusal::NetworkInside) {
        Some((10_001, "system error"))
    } else if matches!(refusal, Refusal::BadParameter(_)) {
        Some((10_002, "parameter error"))
    } else if matches!(refusal, Refusal::TooFast) {
        Some((10_020, "too many requests"))
    } else {
        None
    }
}
