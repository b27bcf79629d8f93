//! What is set of the audit log.

use std::time::Duration;

use super::sections::{Reader, millis};

section!(Audit { host: String, index_wait: Duration, waiting_max: u32, verify_every: Duration });

impl Audit {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self {
            host: host(r),
            index_wait: millis(r.number("audit.index_wait_ms", 0, 10_000)),
            waiting_max: r.number("audit.waiting_max", 1, 1_000_000),
            verify_every: Duration::from_secs(r.number("audit.verify_every_s", 1, 604_800).into()),
        }
    }
}

fn host(r: &mut Reader<'_>) -> String {
    let host = r.filled("audit.host");
    // It becomes part of a note's key name, which allows neither spaces nor plus signs (C2SP signed-note).
    if host.chars().any(|c| c.is_whitespace() || c == '+' || c == '/') {
        r.fault("audit.host", "must be a host name");
    }
    host
}
