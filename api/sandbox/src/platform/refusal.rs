//! Every reason to say no. What number each has is `wire`'s business.

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    // Of the token endpoints.
    OauthBadParameter,
    UnknownClient,
    OauthScopeMissing,
    OauthParameterMissing,
    CodeDead,
    AccessTokenDead,
    RefreshTokenDead,
    AppInReview,
    SecretWrong,
    CodeOfAnotherApp,
    RenewalsUsedUp,
    TokensTooOften,
    // Of every API.
    BadParameter(&'static str),
    TokenInvalid,
    TokenExpired,
    Busy,
    NetworkInside,
    ScopeNotGranted,
    AppLacksScope,
    OpenIdMismatch,
    AppBanned,
    UnknownUri,
    UserDeregistered,
    UserBanned,
    QuotaUsedUp,
    TooFast,
    RiskControl,
    Retired,
    SamePerson,
    // Of uploads and posts.
    FileTooBig,
    DurationTooLong,
    VideoIdInvalid,
    TextInvalid,
    PostingBanned,
    PublishLimit,
    // Of posting tasks.
    VideoNotPublic,
    VideoNotBound,
    TaskChecksTooOften,
    // Of comments.
    CommentSensitive,
    CommentUnknown,
    CommentOfAnotherVideo,
    PinInReview,
    VideoUnknown,
    NotEnterprise,
    /// A code asked for by a fault.
    Code(i64),
}
