//! What figures are told apart by.

use prometheus_client::encoding::EncodeLabelSet;

/// What became of an account's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TokenLabels {
    /// `refreshed`, `renewed`, `failed`, `ended`; `unkept` by the journal; or `fault` of ours.
    pub result: &'static str,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UploadLabels {
    /// `ready`, `refused`, `expired`, `swept`; or `fault` of ours.
    pub result: &'static str,
}

/// What became of a transcode.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TranscodeLabels {
    /// `made`, `failed`; or `fault` of ours.
    pub result: &'static str,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReportLabels {
    /// `made`, `failed`, `removed`; or `fault` of ours.
    pub result: &'static str,
}

/// Whose posts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TenantLabels {
    /// Its id, or `others` of tenants beyond those that have a figure of their own.
    pub tenant: String,
}

/// What accounts are held by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HeldLabels {
    /// `undecided`, `consent`, `absent`, `paused`, or `fault` of ours.
    pub by: &'static str,
}

/// What posts wait for that should have come by now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OverdueLabels {
    /// `for_approval`, `for_platform` or `in_review`.
    pub waits: &'static str,
}

/// A step that a post took.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PostLabels {
    /// The word that its timeline has for it, as `created`; or `fault` of ours.
    pub step: &'static str,
}

/// Which call to which platform, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutboundLabels {
    /// The platform's name.
    pub platform: &'static str,
    /// A fixed word for what was called.
    pub endpoint: &'static str,
    /// How it ended, `retried`, or the state its breaker went into: `open`, `half_open`, `closed`.
    pub outcome: &'static str,
}

/// Which calls of this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabels {
    /// The platform's name.
    pub platform: &'static str,
    /// A fixed word for what is called.
    pub endpoint: &'static str,
}

/// Which calls, and whether they are let through.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BreakerLabels {
    /// The platform's name.
    pub platform: &'static str,
    /// A fixed word for what is called.
    pub endpoint: &'static str,
    /// `closed`, `half_open` or `open`.
    pub state: &'static str,
}

/// Which quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QuotaLabels {
    /// The platform's name.
    pub platform: &'static str,
    /// The quota's, as its adapter has it.
    pub quota: &'static str,
}

/// What was known of a query's document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DocumentLabels {
    /// `known`, `rechecked` or `new`.
    pub document: &'static str,
}

/// How a value came into an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutputLabels {
    /// `written`, or `left` to the executor of the GraphQL library.
    pub way: &'static str,
}

/// What the rate limiter did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimiterLabels {
    /// `went_local`, `came_back`, `decided_locally` or `stopped_at_wall`.
    pub event: &'static str,
}

/// Which dependency.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DependencyLabels {
    /// `postgres` or `redis`.
    pub dependency: &'static str,
}
