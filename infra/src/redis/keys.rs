//! Every key and channel there is, in one place.
//!
//! | form | holds |
//! | --- | --- |
//! | `<prefix>:limit:<bucket>` | when a bucket is full again, microseconds since 1970 |
//! | `<prefix>:tenant:<tenant>:<context>` (channel) | news of one context |
//! | `<prefix>:tenant:<tenant>:outbound:<minute>` | what each process said of the tenant's calls to platforms in a minute since 1970, for some minutes |
//!
//! What belongs to a tenant names it before anything else. Buckets are named by who limits, and those of a tenant
//! must begin with it; some belong to nobody yet (sign-in attempts).

use std::{fmt::Write as _, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use domain::kernel::{fault::PortError, scope::TenantScope};

/// Longest bucket name kept readable, in bytes.
const READABLE_MAX: usize = 128;

/// Makes keys and channels below one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    /// Those below `prefix`: 1 to 64 letters, digits, `_`, `-`, `.` or `:`.
    ///
    /// # Errors
    /// It is anything else.
    pub fn below(prefix: &str) -> Result<Self, PortError> {
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(is_plain) {
            let told = "the prefix must be 1 to 64 letters, digits or `_-.:`";
            return Err(PortError::lasting("redis.keys", told));
        }
        Ok(Self { prefix: prefix.into() })
    }

    /// Where a bucket is kept. Names may come from outside: long or strange ones are replaced by their SHA-256
    /// behind a `#`, which no plain name has, so that keys stay short and no two names meet.
    pub fn bucket(&self, name: &str) -> String {
        let prefix = &self.prefix;
        if !name.is_empty() && name.len() <= READABLE_MAX && name.bytes().all(is_plain) {
            return format!("{prefix}:limit:{name}");
        }
        let mut key = format!("{prefix}:limit:#");
        for byte in digest(&SHA256, name.as_bytes()).as_ref() {
            // Writing to a string can't fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// Where a context's news of one tenant is told. Contexts are named in snake case.
    pub fn channel(&self, scope: &TenantScope, context: &str) -> String {
        format!("{}:tenant:{}:{context}", self.prefix, scope.tenant().uuid().simple())
    }

    /// Where processes say how a tenant's calls to platforms go, in one minute since 1970.
    pub fn outbound(&self, scope: &TenantScope, minute: i64) -> String {
        format!("{}:tenant:{}:outbound:{minute}", self.prefix, scope.tenant().uuid().simple())
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')
}

#[cfg(test)]
mod tests {
    use domain::kernel::ids::TenantId;
    use uuid::Uuid;

    use super::*;

    fn keys() -> Keys {
        Keys::below("m").expect("a plain prefix")
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(keys().bucket("tenant_1:member_2:calls"), "m:limit:tenant_1:member_2:calls");
    }

    #[test]
    fn names_from_outside_are_short_and_apart() {
        let long = "x".repeat(1 << 20);
        let names = ["", " ", "a b", "a\r\nDEL x", "é", "#", "{slot}", "*", "a@b.example", &long];
        let mut seen: Vec<String> = names.iter().map(|name| keys().bucket(name)).collect();
        for key in &seen {
            assert_eq!(key.len(), "m:limit:#".len() + 64, "{key}");
            assert!(key.bytes().all(|b| is_plain(b) || b == b'#'), "{key}");
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), names.len());
        // A name that looks like another's replacement is itself replaced.
        let disguised = keys().bucket(&keys().bucket("a b")["m:limit:".len()..]);
        assert_ne!(disguised, keys().bucket("a b"));
    }

    #[test]
    fn channels_name_their_tenant_first() {
        let [one, other] = [1, 2].map(|n| TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n))));
        let channel = |scope, context| keys().channel(scope, context);
        assert_eq!(channel(&one, "identity"), "m:tenant:00000000000000000000000000000001:identity");
        assert_ne!(channel(&one, "identity"), channel(&other, "identity"));
        assert_ne!(channel(&one, "identity"), channel(&one, "accounts"));
    }

    #[test]
    fn prefixes_are_plain() {
        for bad in ["", "a b", "a*", "{a}", &"x".repeat(65)] {
            assert!(Keys::below(bad).is_err(), "{bad}");
        }
    }
}
