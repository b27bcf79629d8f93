//! How a port says that something outside failed. Absence is `Ok(None)` and a considered "no" is a value of
//! the port; only what was not answered is a [`PortError`].

use std::error::Error;

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call may succeed later (connection lost, time-out, busy).
    MayHelp,
    /// The same call will fail again (corrupt row, misconfiguration, a bug).
    Useless,
    /// Someone else changed the row first: read again, decide again.
    AfterReread,
}

/// What went wrong and all that it came from, for operators.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| Error::source(*error));
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A port did not answer. Its text stays inside: callers see UNAVAILABLE and a compliance ID.
#[derive(Debug, thiserror::Error)]
#[error("{port} failed")]
pub struct PortError {
    /// The port that failed, as `technology.table` or the port's name.
    pub port: &'static str,
    /// Whether asking again can help.
    pub retry: Retry,
    /// What the technology said.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl PortError {
    /// A failure that may pass.
    pub fn passing(port: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { port, retry: Retry::MayHelp, source: source.into() }
    }

    /// A failure that stays until somebody acts.
    pub fn lasting(port: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { port, retry: Retry::Useless, source: source.into() }
    }

    /// The row was changed by someone else between reading and writing.
    pub fn stale(port: &'static str) -> Self {
        Self { port, retry: Retry::AfterReread, source: "the row changed since it was read".into() }
    }
}
