//! What auditors ask for, what is done about persons' data, what operators do to a tenant's keys, and what is refused to whoever put a database back.

use crate::kernel::{
    action::{API_ACTIVITY, Action, Idempotency, SECURITY, actions},
    actor::Permission,
    outbox::Stream,
};

actions! {
    /// A report is to be made.
    REQUEST_REPORT = "request_report", Admin, API_ACTIVITY, 1, Some(Permission::ReadAudit), Optional, PERSONAL;
    /// A report that is being made is given up.
    CANCEL_REPORT = "cancel_report", Admin, API_ACTIVITY, 4, Some(Permission::ReadAudit), Optional, PERSONAL;
    /// A report was made, or could not be.
    MAKE_REPORT = "make_report", Admin, API_ACTIVITY, 3, None, Optional, PERSONAL;
    /// A report is taken away as a file.
    DOWNLOAD_REPORT = "download_report", Admin, API_ACTIVITY, 2, Some(Permission::ReadAudit), Optional, PERSONAL;
    /// A report whose time is over is thrown away.
    EXPIRE_REPORT = "expire_report", Admin, API_ACTIVITY, 4, None, Optional, PERSONAL;
    /// Rows were changed, and no other event tells of it: because there is none, because it tells of other rows already, or
    /// because they were changed past the service, by somebody with a login to the database.
    CHANGE_ROWS = "change_rows", Data, API_ACTIVITY, 3, None, Optional, PERSONAL;
    /// What is kept about a person is erased.
    ERASE_SUBJECT = "erase_subject", Admin, API_ACTIVITY, 4, Some(Permission::ManagePrivacy), Optional, PERSONAL;
    /// A person's data must be kept.
    PLACE_HOLD = "place_hold", Admin, API_ACTIVITY, 1, Some(Permission::ManagePrivacy), Optional, PERSONAL;
    /// It need not be kept any more.
    RELEASE_HOLD = "release_hold", Admin, API_ACTIVITY, 3, Some(Permission::ManagePrivacy), Optional, PERSONAL;
    /// A record of processing is made anew, or can't be.
    MAKE_RECORD = "make_record", Admin, API_ACTIVITY, 1, None, Optional, PERSONAL;
    /// Leaves of a log that need not be kept any longer are thrown away; the reason says of which.
    PRUNE_LOG = "prune_log", Admin, API_ACTIVITY, 4, None, Optional, PERSONAL;
    /// All there is of a tenant goes, but its log; the reason says why.
    END_TENANT = "end_tenant", Admin, API_ACTIVITY, 4, None, Optional, PERSONAL;
    /// Somebody has looked at what changed in a record of processing.
    REVIEW_RECORD = "review_record", Admin, API_ACTIVITY, 3, Some(Permission::ManagePrivacy), Optional, PERSONAL;
    /// A record of processing is signed.
    SIGN_RECORD = "sign_record", Admin, API_ACTIVITY, 3, None, Optional, PERSONAL;
}

/// What nobody asks for by a mutation: what workers do, and what happens at the door for files.
pub const WITHOUT_MUTATION: &[Action] = &[
    MAKE_REPORT,
    DOWNLOAD_REPORT,
    EXPIRE_REPORT,
    CHANGE_ROWS,
    MAKE_RECORD,
    SIGN_RECORD,
    PRUNE_LOG,
    END_TENANT,
];

/// OCSF class Entity Management, activity Update.
const fn of_keys(name: &'static str) -> Action {
    Action {
        name,
        stream: Stream::Admin,
        ocsf_class: 3004,
        ocsf_activity: 3,
        permission: None,
        idempotency: Idempotency::Optional,
        scopes: SECURITY,
    }
}

/// A tenant gets a newer key.
pub const ROTATE_KEYS: Action = of_keys("rotate_keys");

/// Older data keys are wrapped under a tenant's newest key.
pub const REWRAP_KEYS: Action = of_keys("rewrap_keys");

/// What is wrapped under a tenant's older keys is refused from then on.
pub const RETIRE_KEYS: Action = of_keys("retire_keys");

/// A tenant's logs are signed by a newer key from then on.
pub const ROTATE_LOG_KEY: Action = of_keys("rotate_log_key");

/// The platform's log gets a signed head. Only refusals are events: that one was signed is in the log itself.
pub const SIGN_PLATFORM_LOG: Action = of_keys("sign_platform_log");

/// The platform's log goes on after its database was put back.
pub const RESUME_PLATFORM_LOG: Action = of_keys("resume_platform_log");

/// A witness contradicts the platform's log.
pub const WITNESS_PLATFORM_LOG: Action = of_keys("witness_platform_log");

/// What operators do on the machine itself, and the platform's log.
pub const OF_OPERATORS: &[Action] = &[
    ROTATE_KEYS,
    REWRAP_KEYS,
    RETIRE_KEYS,
    ROTATE_LOG_KEY,
    SIGN_PLATFORM_LOG,
    RESUME_PLATFORM_LOG,
    WITNESS_PLATFORM_LOG,
];
