//! What operators do to a tenant's keys, and what is refused to whoever put a database back.

use crate::kernel::{
    action::{Action, Idempotency},
    outbox::Stream,
};

/// OCSF class Entity Management, activity Update.
const fn of_keys(name: &'static str) -> Action {
    Action {
        name,
        stream: Stream::Admin,
        ocsf_class: 3004,
        ocsf_activity: 3,
        permission: None,
        idempotency: Idempotency::Optional,
    }
}

/// A tenant gets a newer key.
pub const ROTATE_KEYS: Action = of_keys("rotate_keys");

/// Older data keys are wrapped under a tenant's newest key.
pub const REWRAP_KEYS: Action = of_keys("rewrap_keys");

/// What is wrapped under a tenant's older keys is refused from then on.
pub const RETIRE_KEYS: Action = of_keys("retire_keys");

/// The platform's log gets a signed head. Only refusals are events: that one was signed is in the log itself.
pub const SIGN_PLATFORM_LOG: Action = of_keys("sign_platform_log");

/// A witness contradicts the platform's log.
pub const WITNESS_PLATFORM_LOG: Action = of_keys("witness_platform_log");

/// All of them.
pub const ALL: &[Action] = &[ROTATE_KEYS, REWRAP_KEYS, RETIRE_KEYS, SIGN_PLATFORM_LOG, WITNESS_PLATFORM_LOG];
