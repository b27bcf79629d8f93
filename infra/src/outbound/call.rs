//! What is sent to a platform, what comes back, and what may go wrong between.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;
use domain::kernel::{
    ids::{AccountId, AppId},
    scope::TenantScope,
    secret::Secret,
};
use url::Url;

use super::count::Judgement;

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something, or reads with a body.
    Post,
}

/// Which calls share a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The platform.
    pub platform: &'static str,
    /// The app in whose name it is called.
    pub app: AppId,
    /// What is called: a fixed word.
    pub endpoint: &'static str,
}

/// One call. Address, headers and body hold tokens, so none of them is ever printed.
#[derive(Clone)]
pub struct Call {
    /// The tenant for whom it is made: says which way it goes out.
    pub scope: TenantScope,
    /// What is called, and in whose name.
    pub line: Line,
    /// The account in whose name it is made, if it is.
    pub account: Option<AccountId>,
    /// How.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// What goes along.
    pub headers: Vec<(&'static str, Secret)>,
    /// What is sent.
    pub body: Option<Secret>,
    /// Whether making it twice does no harm.
    pub repeatable: bool,
    /// How long it may take when it carries much; `None` for as long as others may. Such a call is slow only when it takes
    /// all of that.
    pub patience: Option<Duration>,
    /// What an answer to it is, as far as quotas are concerned.
    pub judge: fn(&Reply) -> Judgement,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("line", &self.line)
            .field("method", &self.method)
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, which may hold tokens.
    pub body: Secret,
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// It is no request that could be sent.
    Unbuildable,
    /// No connection: the name is unknown, nobody listens, the proxy is away, TLS failed.
    Unreachable,
    /// The platform failed too often just now and is left alone.
    BreakerOpen,
    /// Too many calls before it.
    Throttled,
}

/// Why a call has no answer though it may have been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// None came in time.
    TimedOut,
    /// The connection ended before the answer did.
    Cut,
    /// It is longer than any answer of a platform is.
    TooLong,
}

/// What lies beneath a fault, without the address it is about.
pub type Cause = Box<dyn Error + Send + Sync>;

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendFault {
    /// The platform surely did not get the call.
    #[error("the call was not made ({})", .why.as_str())]
    NotDone {
        /// Why.
        why: NotMade,
        /// What lies beneath.
        #[source]
        cause: Option<Cause>,
    },
    /// Nobody knows whether it did.
    #[error("the answer was lost ({})", .why.as_str())]
    Unknown {
        /// Why.
        why: Lost,
        /// What lies beneath.
        #[source]
        cause: Option<Cause>,
    },
}

impl NotMade {
    /// The word in spans and figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unbuildable => "unbuildable",
            Self::Unreachable => "unreachable",
            Self::BreakerOpen => "breaker_open",
            Self::Throttled => "throttled",
        }
    }
}

impl Lost {
    /// The word in spans and figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
            Self::TooLong => "too_long",
        }
    }
}

impl SendFault {
    /// Not made, with nothing more to say.
    pub const fn not_done(why: NotMade) -> Self {
        Self::NotDone { why, cause: None }
    }

    /// Lost, with nothing more to say.
    pub const fn unknown(why: Lost) -> Self {
        Self::Unknown { why, cause: None }
    }

    /// The word in spans and figures.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotDone { why, .. } => why.as_str(),
            Self::Unknown { why, .. } => why.as_str(),
        }
    }

    /// Whether the network is to blame, so that another try may go better.
    pub const fn is_of_network(&self) -> bool {
        match self {
            Self::NotDone { why, .. } => matches!(why, NotMade::Unreachable),
            Self::Unknown { why, .. } => matches!(why, Lost::TimedOut | Lost::Cut),
        }
    }
}

/// Makes calls. Decorators are transports over transports.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Makes one call.
    async fn send(&self, call: &Call) -> Result<Reply, SendFault>;
}

#[cfg(test)]
mod tests {
    use super::super::script;

    #[test]
    fn a_call_prints_no_secret() {
        let told = format!("{:?}", script::call());
        assert!(told.contains("somewhere") && told.contains("userinfo"), "{told}");
        for hidden in ["act.1", "example", "token", "open_id"] {
            assert!(!told.contains(hidden), "{told}");
        }
    }
}
