//! The one table of errors: what of every context's errors a client is told, and where. The caller's mistakes and
//! business refusals go into `userErrors`; everything else into `errors[]` with a code. No wildcard arms: a new
//! variant is a decision.

use async_graphql::{Enum, ErrorExtensions as _, Interface, SimpleObject};
use domain::{
    accounts::AccountsError,
    compliance::ComplianceError,
    content::ContentError,
    identity::IdentityError,
    kernel::{
        actor::Denied,
        fault::{PortError, Retry},
    },
    publishing::{PublishingError, model::PostFault},
};
use transport::ErrorCode;

/// What goes into `errors[]`. It has no `Display` on purpose: anything displayable would become a message at `?`.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    retry_after_s: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_s: None }
    }

    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadUserInput, message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            ErrorCode::Unauthenticated,
            "sign in first: send an access token or API key as a bearer token",
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::InternalServerError, "internal error")
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Whether it is a fault of ours or of what we depend on, not the caller's.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self.code, ErrorCode::InternalServerError | ErrorCode::Unavailable)
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        Self::new(error.message).extend_with(|_, extensions| {
            extensions.set("code", error.code.as_str());
            if let Some(seconds) = error.retry_after_s {
                extensions.set("retryAfter", seconds);
            }
        })
    }
}

/// A refusal from the transport's own helpers, whose codes are ours already.
pub(crate) fn from_transport(error: &async_graphql::Error) -> ApiError {
    ApiError::bad_input(error.message.clone())
}

impl From<PortError> for ApiError {
    fn from(fault: PortError) -> Self {
        tracing::warn!(port = fault.port, retry = ?fault.retry, error = %fault.source, "a port did not answer");
        match fault.retry {
            Retry::MayHelp => Self::new(ErrorCode::Unavailable, "temporarily unavailable").retry_after(1),
            Retry::AfterReread => {
                Self::new(ErrorCode::Unavailable, "changed by someone else meanwhile; read again and retry")
                    .retry_after(1)
            }
            Retry::Useless => Self::internal(),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        Self::new(ErrorCode::Forbidden, denied.to_string())
    }
}

/// A word for each way a request can be refused.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserErrorCode {
    /// A field of the input is no good.
    Invalid,
    /// There is no such thing in this tenant.
    NotFound,
    /// The address is a member's or has an open invitation.
    AlreadyMember,
    /// The tenant has as many members as its plan allows.
    MembersFull,
    /// No owner would be left.
    LastOwner,
    /// The invitation is not open any more.
    InvitationClosed,
    /// The current password is wrong.
    PasswordWrong,
    /// The one-time code is wrong or was used already.
    CodeWrong,
    /// A second factor is set up already.
    SecondFactorActive,
    /// No second factor is set up.
    SecondFactorAbsent,
    /// This installation knows no such platform.
    PlatformUnknown,
    /// An app with this client key is there already.
    AppTaken,
    /// Accounts are linked with the app.
    AppInUse,
    /// The app was not granted what is asked for.
    ScopesMissing,
    /// The platform has switched the app off.
    AppSwitchedOff,
    /// The attempt to link is over.
    LinkClosed,
    /// The account's owner must consent again first.
    ConsentNeeded,
    /// The account is paused.
    AccountPaused,
    /// A group can't stand there.
    GroupMisplaced,
    /// The tenant has as many groups as it may.
    GroupsFull,
    /// Something is in the group still.
    GroupNotEmpty,
    /// As many uploads are open as may be.
    UploadsFull,
    /// The upload is not open any more.
    UploadClosed,
    /// The bytes sent are not those that are wanted next.
    UploadMisfit,
    /// The upload is not `READY`.
    UploadNotReady,
    /// The platform has nothing against the file.
    NothingToMend,
    /// Making another file of it does not mend it.
    NotMendable,
    /// As many files are in the making as may be.
    TranscodesFull,
    /// The tenant has no room for so many bytes.
    StorageFull,
    /// It can't be posted there, or so.
    NotPostable,
    /// The post does not stand so that this can be done.
    PostNotNow,
    /// Whether the post is on the platform is not known: that is being found out first.
    PostOutcomeUnknown,
    /// What was agreed to is not what the post is now.
    PostChanged,
    /// No post that was found on the platform has this name.
    CandidateUnknown,
    /// Nobody can know yet that the post is not on the platform.
    TooSoon,
    /// Whoever runs the service has given nothing to sign reports with.
    ReportsNotSetUp,
    /// As many reports are being made, or are there, as may be.
    ReportsFull,
    /// The report will never be, or is there no more.
    ReportEnded,
    /// A legal hold demands that it be kept.
    OnLegalHold,
    /// The hold was released before.
    HoldEnded,
}

/// Why a mutation was not done. Every kind has a message for people, a code for programs, and the input field it is about, if one.
#[derive(Interface, Clone, Debug)]
#[graphql(
    field(name = "message", ty = "&String", desc = "For people."),
    field(name = "code", ty = "&UserErrorCode", desc = "For programs."),
    field(name = "field", ty = "&Option<Vec<String>>", desc = "The input field it is about, as a path.")
)]
pub enum UserError {
    /// The input, or what it names.
    InputRefused(InputRefused),
    /// The state of things.
    StateRefused(StateRefused),
    /// The plan.
    PlanLimitReached(PlanLimitReached),
}

/// The input is no good, or names what does not exist.
#[derive(SimpleObject, Clone, Debug)]
pub struct InputRefused {
    message: String,
    code: UserErrorCode,
    field: Option<Vec<String>>,
}

/// The input is good, but things are not such that it can be done.
#[derive(SimpleObject, Clone, Debug)]
pub struct StateRefused {
    message: String,
    code: UserErrorCode,
    field: Option<Vec<String>>,
}

/// The tenant's plan does not allow more.
#[derive(SimpleObject, Clone, Debug)]
pub struct PlanLimitReached {
    message: String,
    code: UserErrorCode,
    field: Option<Vec<String>>,
    /// How many the plan allows.
    limit: u32,
}

/// Where a failure of a command goes.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Into the payload.
    User(UserError, &'static str),
    /// Into `errors[]`.
    Api(ApiError, &'static str),
}

fn input_path(field: &str) -> Vec<String> {
    std::iter::once("input").chain(field.split('.')).map(ToOwned::to_owned).collect()
}

impl Failure {
    /// A field of the input that is no good.
    pub(crate) fn invalid(field: &str, problem: &str) -> Self {
        let told = Told { message: format!("{field} {problem}"), reason: "invalid_input" };
        told.input(UserErrorCode::Invalid, field)
    }
}

/// What a context's error says of itself, to be put where it belongs.
struct Told {
    message: String,
    reason: &'static str,
}

impl Told {
    /// The caller's mistake, in that field of the input.
    fn input(self, code: UserErrorCode, field: &str) -> Failure {
        let refused = InputRefused { message: self.message, code, field: Some(input_path(field)) };
        Failure::User(UserError::InputRefused(refused), self.reason)
    }

    /// Things are not such that it can be done.
    fn state(self, code: UserErrorCode) -> Failure {
        let refused = StateRefused { message: self.message, code, field: None };
        Failure::User(UserError::StateRefused(refused), self.reason)
    }

    /// The plan allows no more than `limit`.
    fn limit(self, code: UserErrorCode, limit: u32) -> Failure {
        let reached = PlanLimitReached { message: self.message, code, field: None, limit };
        Failure::User(UserError::PlanLimitReached(reached), self.reason)
    }

    /// Who asks is not one who may.
    fn forbidden(self) -> Failure {
        Failure::Api(ApiError::new(ErrorCode::Forbidden, self.message), self.reason)
    }

    /// What has its own place in `errors[]`.
    fn api(self, error: impl Into<ApiError>) -> Failure {
        Failure::Api(error.into(), self.reason)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        use UserErrorCode as Code;
        let told = Told { message: error.to_string(), reason: error.reason() };
        match error {
            IdentityError::Denied(denied) => told.api(denied),
            IdentityError::NeedsMember => told.forbidden(),
            IdentityError::Port(fault) => told.api(fault),
            IdentityError::Invalid { field, .. } => told.input(Code::Invalid, field),
            IdentityError::MemberNotFound
            | IdentityError::InvitationNotFound
            | IdentityError::SessionNotFound
            | IdentityError::ApiKeyNotFound => told.input(Code::NotFound, "id"),
            IdentityError::AlreadyMember => told.input(Code::AlreadyMember, "email"),
            // Doors before sign-in have their own table; these never come from a command.
            IdentityError::SlugTaken => told.input(Code::Invalid, "slug"),
            IdentityError::TokenInvalid => told.input(Code::Invalid, "token"),
            IdentityError::MembersFull { max } => told.limit(Code::MembersFull, max),
            IdentityError::LastOwner => told.state(Code::LastOwner),
            IdentityError::InvitationClosed => told.state(Code::InvitationClosed),
            IdentityError::PasswordWrong => told.input(Code::PasswordWrong, "currentPassword"),
            IdentityError::CodeWrong => told.input(Code::CodeWrong, "code"),
            IdentityError::TotpActive => told.state(Code::SecondFactorActive),
            IdentityError::TotpAbsent => told.state(Code::SecondFactorAbsent),
        }
    }
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Self {
        use UserErrorCode as Code;
        let told = Told { message: error.to_string(), reason: error.reason() };
        match error {
            AccountsError::Denied(denied) => told.api(denied),
            AccountsError::NeedsMember => told.forbidden(),
            AccountsError::Port(fault) => told.api(fault),
            AccountsError::Invalid { field, .. } => told.input(Code::Invalid, field),
            AccountsError::NotFound { field } => told.input(Code::NotFound, field),
            AccountsError::PlatformUnknown { .. } => told.input(Code::PlatformUnknown, "platform"),
            AccountsError::AppTaken => told.input(Code::AppTaken, "clientKey"),
            AccountsError::AppInUse { .. } => told.state(Code::AppInUse),
            AccountsError::ScopesMissing { .. } => told.input(Code::ScopesMissing, "scopes"),
            AccountsError::AppSwitchedOff => told.state(Code::AppSwitchedOff),
            AccountsError::LinkClosed => told.state(Code::LinkClosed),
            AccountsError::ConsentNeeded => told.state(Code::ConsentNeeded),
            AccountsError::Paused => told.state(Code::AccountPaused),
            AccountsError::GroupMisplaced { .. } => told.input(Code::GroupMisplaced, "parentId"),
            AccountsError::GroupsFull { max } => told.limit(Code::GroupsFull, max),
            AccountsError::GroupNotEmpty => told.state(Code::GroupNotEmpty),
        }
    }
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        use UserErrorCode as Code;
        let told = Told { message: error.to_string(), reason: error.reason() };
        match error {
            ContentError::Denied(denied) => told.api(denied),
            ContentError::Port(fault) => told.api(fault),
            ContentError::Invalid { field, .. } => told.input(Code::Invalid, field),
            ContentError::NotFound { field } => told.input(Code::NotFound, field),
            ContentError::UploadsFull { max } => told.limit(Code::UploadsFull, max),
            ContentError::UploadClosed => told.state(Code::UploadClosed),
            ContentError::PlatformUnknown { .. } => told.input(Code::PlatformUnknown, "platform"),
            ContentError::UploadNotReady => told.state(Code::UploadNotReady),
            ContentError::NothingToMend => told.state(Code::NothingToMend),
            ContentError::NotMendable { .. } => told.state(Code::NotMendable),
            ContentError::TranscodesFull { max } => told.limit(Code::TranscodesFull, max),
            ContentError::StorageFull { field, .. } => told.input(Code::StorageFull, field),
            // The door for bytes has its own table; these never come from a command.
            ContentError::OffsetWrong { .. }
            | ContentError::TooLong { .. }
            | ContentError::TooManyParts { .. }
            | ContentError::NotJoinable => told.state(Code::UploadMisfit),
        }
    }
}

impl From<PublishingError> for Failure {
    fn from(error: PublishingError) -> Self {
        use UserErrorCode as Code;
        let told = Told { message: error.to_string(), reason: error.reason() };
        match error {
            PublishingError::Denied(denied) => told.api(denied),
            PublishingError::Port(fault) => told.api(fault),
            PublishingError::Invalid { field, .. } => told.input(Code::Invalid, field),
            PublishingError::NotFound { field } => told.input(Code::NotFound, field),
            PublishingError::NotPostable { field, .. } => told.input(Code::NotPostable, field),
            PublishingError::Fault(PostFault::NotNow) => told.state(Code::PostNotNow),
            PublishingError::Fault(PostFault::OutcomeUnknown) => told.state(Code::PostOutcomeUnknown),
            PublishingError::Fault(PostFault::Changed) => told.input(Code::PostChanged, "digest"),
            PublishingError::Fault(PostFault::NoCandidate) => told.input(Code::CandidateUnknown, "item"),
            PublishingError::Fault(PostFault::TooSoon) => told.state(Code::TooSoon),
        }
    }
}

/// For queries, which have no `userErrors`.
impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Api(error, _) => error,
            Failure::User(error, _) => Self::bad_input(error.message_text()),
        }
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        Failure::from(error).into()
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        Failure::from(error).into()
    }
}

impl From<ContentError> for ApiError {
    fn from(error: ContentError) -> Self {
        Failure::from(error).into()
    }
}

impl From<PublishingError> for ApiError {
    fn from(error: PublishingError) -> Self {
        Failure::from(error).into()
    }
}

impl UserError {
    fn message_text(&self) -> &str {
        match self {
            Self::InputRefused(e) => &e.message,
            Self::StateRefused(e) => &e.message,
            Self::PlanLimitReached(e) => &e.message,
        }
    }
}

impl From<ComplianceError> for Failure {
    fn from(error: ComplianceError) -> Self {
        use UserErrorCode as Code;
        let told = Told { message: error.to_string(), reason: error.reason() };
        match error {
            ComplianceError::Denied(denied) => told.api(denied),
            ComplianceError::Port(fault) => told.api(fault),
            ComplianceError::Invalid { field, .. } => told.input(Code::Invalid, field),
            ComplianceError::NotFound { field } => told.input(Code::NotFound, field),
            ComplianceError::NotSetUp => told.state(Code::ReportsNotSetUp),
            ComplianceError::ReportsFull { max } => told.limit(Code::ReportsFull, max),
            ComplianceError::ReportEnded => told.state(Code::ReportEnded),
            ComplianceError::OnHold => told.state(Code::OnLegalHold),
            ComplianceError::HoldEnded => told.state(Code::HoldEnded),
            ComplianceError::Broken { .. } => {
                // The worst news this product can have: say it loud, and tell the auditor the truth.
                tracing::error!(error = %told.message, "an audit log does not fit together");
                let message = told.message.clone();
                told.api(ApiError::new(ErrorCode::InternalServerError, message))
            }
        }
    }
}

impl From<ComplianceError> for ApiError {
    fn from(error: ComplianceError) -> Self {
        Failure::from(error).into()
    }
}
