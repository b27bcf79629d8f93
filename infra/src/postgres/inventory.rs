//! Every table of a tenant, and what each column says about whom. A table or column that is not here, or is no more, fails the
//! build; so does a table whose changes are not noted without a reason.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    compliance::records::{Activity, Category},
    kernel::action::{PERSONAL, SECURITY, Scope},
};

/// A table of a tenant.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Schema and name.
    pub table: &'static str,
    /// What it is kept for.
    pub activity: Activity,
    /// Whether the log is told of changes of its rows.
    pub changes: Changes,
    /// Its columns but the tenant's, each with what it says about a person.
    pub columns: &'static [(&'static str, &'static [Category])],
}

/// Whether the log is told of changes.
#[derive(Clone, Copy, Debug)]
pub enum Changes {
    /// By triggers, with commitments to what was before and after.
    Noted,
    /// Not; and why.
    Unnoted(&'static str),
}

impl Holding {
    /// What there is about persons in it.
    pub fn categories(&self) -> BTreeSet<Category> {
        self.columns.iter().flat_map(|(_, categories)| categories.iter().copied()).collect()
    }

    /// The regimes it matters to.
    pub fn scopes(&self) -> &'static [Scope] {
        if self.columns.iter().any(|(_, categories)| !categories.is_empty()) { PERSONAL } else { SECURITY }
    }
}

/// What there is about persons in the tables of each activity.
pub fn categories() -> BTreeMap<Activity, BTreeSet<Category>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for holding in HOLDINGS {
        all.entry(holding.activity).or_default().extend(holding.categories());
    }
    all
}

/// The table of that name.
pub fn holding(table: &str) -> Option<&'static Holding> {
    HOLDINGS.iter().find(|holding| holding.table == table)
}

/// A line for each table: its name, what it is kept for, whether its changes are noted, and its columns, each followed by what it
/// says about somebody if it does.
macro_rules! holdings {
    ($($table:literal, $activity:ident, $changes:expr => { $($column:tt $($category:ident)*),+ })+) => {
        /// All tables of tenants.
        pub const HOLDINGS: &[Holding] = &[$(Holding {
            table: $table,
            activity: Activity::$activity,
            changes: $changes,
            columns: &[$((stringify!($column), &[$(Category::$category),*])),+],
        }),+];
    };
}

use Changes::{Noted, Unnoted};

/// Tables whose rows outlive their tenant: its log, with the keys that verify it. All others' rows go when it ends.
pub const OUTLIVES: [&str; 8] = [
    "compliance.audit_outbox",
    "compliance.audit_leaves",
    "compliance.audit_tiles",
    "compliance.audit_heads",
    "compliance.audit_segments",
    "compliance.prunes",
    "compliance.platform_anchors",
    "compliance.log_keys",
];

const LOG: &str = "the log itself, which is only ever added to";
const KEYS: &str =
    "wrapped keys, which seal what would be told of them; who rotates them leaves events of the admin log";

holdings! {
    "kernel.idempotency_keys", Membership, Unnoted(
        "answers, kept sealed for a day so that a repeated command is answered and not repeated; what was done has its own event"
    ) => {
        caller Conduct, action, key, arguments, answer Conduct, created_at
    }
    "identity.tenants", Membership, Noted => {
        slug, name, status, members_max, created_at
    }
    "identity.members", Membership, Noted => {
        id, email_sealed Contact, email_index Contact, name_sealed Contact, role Conduct, status Conduct,
        password_hash Credentials, totp_sealed Credentials, totp_confirmed_at Credentials, totp_last_step
        Credentials, created_at Conduct, version
    }
    "identity.recovery_codes", Membership, Noted => {
        member_id, hash Credentials, used_at Conduct
    }
    "identity.invitations", Membership, Noted => {
        id, email_sealed Contact, email_index Contact, role Conduct, invited_by Conduct, secret_hash
        Credentials, created_at Conduct, expires_at, accepted_at Conduct, revoked_at Conduct
    }
    "identity.sessions", Membership, Noted => {
        id, member_id Conduct, created_at Conduct, last_seen_at Conduct, expires_at, revoked_at Conduct,
        device DeviceAndPlace, geo DeviceAndPlace, mfa Conduct
    }
    "identity.refresh_tokens", Membership, Unnoted(
        "hashes of secrets that are good once; each use is an event of the iam log, one put there by a hand shows by its use"
    ) => {
        id, session_id, secret_hash Credentials, created_at Conduct, used_at Conduct
    }
    "identity.password_resets", Membership, Noted => {
        id, member_id Conduct, secret_hash Credentials, created_at Conduct, expires_at, used_at Conduct
    }
    "identity.api_keys", Membership, Noted => {
        id, name, scopes, secret_hash Credentials, issued_by Conduct, created_at, expires_at, last_used_at,
        revoked_at
    }
    "accounts.apps", AccountLinks, Noted => {
        id, platform, name, client_key, secret_sealed, scopes, scopes_off, state, created_at, version
    }
    "accounts.groups", AccountLinks, Noted => {
        id, parent_id, name, created_at, version
    }
    "accounts.group_grants", AccountLinks, Noted => {
        group_id, member_id Conduct, created_at Conduct
    }
    "accounts.accounts", AccountLinks, Noted => {
        id, app_id, platform, open_id_sealed PlatformIdentity, open_id_index PlatformIdentity, profile_sealed
        PlatformIdentity, kind, group_id, tags, state PlatformIdentity, consent_end PlatformIdentity,
        state_since PlatformIdentity, paused_at, paused_by Conduct, created_at, version, tokens_version
    }
    "accounts.tokens", AccountLinks, Noted => {
        account_id, app_id, access_sealed Credentials, refresh_sealed Credentials, scopes PlatformIdentity,
        consented_at PlatformIdentity, access_issued_at, access_expires_at, refresh_expires_at,
        refresh_life_s, renewals_used, renewals_max, renewing_since, refreshed_at, last_error, failures,
        consent_ends_at PlatformIdentity, version
    }
    "accounts.links", AccountLinks, Noted => {
        id, app_id, platform, member_id Conduct, session_id, secret_hash Credentials, verifier_sealed
        Credentials, scopes, group_id, again_account_id, created_at Conduct, returned_at PlatformIdentity,
        outcome, account_id, trace Conduct
    }
    "accounts.quota_uses", AccountLinks, Unnoted(
        "counts of calls, added up every second; each call is in metrics, what it did in events"
    ) => {
        account_id, begins_at, quota, endpoint, app_id, answered, done, unsure, used_up_at
    }
    "content.uploads", Content, Noted => {
        id, piece, pieces, name Works, media_type, size_bytes, metadata Works, sha256, received_bytes, parts,
        state, digest, probed, begun_by Conduct, created_at Conduct, expires_at, version
    }
    "content.parts", Content, Unnoted(
        "where the bytes of an upload are; the digest of all of them is in the upload's own row"
    ) => {
        upload_id, offset_bytes, size_bytes, object_key
    }
    "content.transcodes", Content, Noted => {
        upload_id, source_id, platform, recipe, mends, done_permille, attempts, failure
    }
    "content.room", Content, Unnoted(
        "how many bytes there are; the uploads themselves say of what"
    ) => {
        used_bytes
    }
    "publishing.plans", Publishing, Noted => {
        id, name, upload_id, planned_by Conduct, created_at Conduct
    }
    "publishing.posts", Publishing, Noted => {
        id, plan_id, account_id, upload_id, caption Works, cover_at_ms, visibility, status, planned_at,
        due_at, holds_account, item PlatformIdentity, promised_at, accepted_at, progress Works, created_at,
        version, occurrence, variables Works, reference, file_digest
    }
    "publishing.post_notes", Publishing, Noted => {
        post_id, id, at, kind, status, detail Works, compliance_id, place
    }
    "publishing.receipts", Publishing, Noted => {
        post_id, id, digest, member_id Conduct, at Conduct, compliance_id
    }
    "publishing.timetables", Publishing, Noted => {
        id, name, zone, rules, created_at, version
    }
    "publishing.newest_figures", Publishing, Unnoted(
        "figures as the platform tells them, of posts and of nobody"
    ) => {
        post_id, read_at, plays, likes, comments, shares, plays_at, likes_at, comments_at, shares_at
    }
    "publishing.figures", Publishing, Unnoted(
        "figures as the platform told them, of posts and of nobody"
    ) => {
        post_id, at, plays, likes, comments, shares
    }
    "compliance.audit_outbox", Audit, Unnoted(LOG) => {
        event_id, stream, compliance_id, type, outcome, actor_id Conduct, target_id Conduct, occurred_at
        Conduct, leaf Conduct DeviceAndPlace
    }
    "compliance.audit_leaves", Audit, Unnoted(LOG) => {
        stream, index, event_id, compliance_id, type, outcome, actor_id Conduct, target_id Conduct,
        occurred_at Conduct, leaf Conduct DeviceAndPlace, leaf_hash
    }
    "compliance.audit_tiles", Audit, Unnoted(LOG) => {
        stream, level, index, width, hashes
    }
    "compliance.audit_heads", Audit, Unnoted(LOG) => {
        stream, size, root, note, signed_at, oldest_at
    }
    "compliance.audit_openings", Audit, Unnoted(
        "what opens the log's commitments to changes: it would tell of itself"
    ) => {
        event_id, subject Conduct, sealed Conduct DeviceAndPlace PlatformIdentity Works, sealed_under
    }
    "compliance.subject_epochs", Audit, Unnoted(
        "what the key of each month is called, which is kept elsewhere; nobody is named"
    ) => {
        epoch, object_id, created_at, emptied_at, destroyed_at
    }
    "compliance.subject_keys", Audit, Unnoted(
        "wrapped keys of single persons, under which is sealed what would be told of them; who takes one away leaves an event"
    ) => {
        subject Conduct, epoch, wrapped, created_at
    }
    "compliance.erasures", Audit, Noted => {
        subject, kind, basis, erased_at, erased_by Conduct, openings, reports
    }
    "compliance.prunes", Audit, Unnoted(
        "what is said, signed, of leaves that were thrown away; an event of the admin log tells of each"
    ) => {
        stream, until, root, note, pruned_at
    }
    "compliance.processing_records", Audit, Noted => {
        id, activity, version, content, sha256, changed, made_at, checked_at, reviewed_at, reviewed_by Conduct,
        signature, signed_at
    }
    "compliance.legal_holds", Audit, Noted => {
        id, subject, kind, matter, placed_at, placed_by Conduct, released_at, released_by Conduct
    }
    "compliance.audit_segments", Audit, Unnoted(
        "made of the log and of nothing else: a report that is made of a wrong one does not verify"
    ) => {
        stream, first, root, size_bytes, crc, sha256, runs
    }
    "compliance.platform_anchors", Audit, Unnoted(LOG) => {
        stream, size, index, salt, leaf_hash
    }
    "compliance.tenant_keys", Audit, Unnoted(KEYS) => {
        version, provider, wrapped, created_at, retired_at
    }
    "compliance.data_keys", Audit, Unnoted(KEYS) => {
        purpose, version, kek_version, wrapped, created_at
    }
    "compliance.log_keys", Audit, Unnoted(
        "keys that sign the log; who makes a newer one leaves an event of the admin log"
    ) => {
        id, public_key, seed_sealed, created_at, sealed_by
    }
    "compliance.reports", Reports, Noted => {
        id, kind, stream, query Conduct, query_text, zone, kept_first, kept_last, compliance_id, requested_at,
        state, failure, done_permille, attempts, place, size_bytes, sha256, first_leaf, end_leaf, row_count,
        is_timestamped, expires_at, ended_at, version, disclosed,
        pieces Conduct DeviceAndPlace PlatformIdentity Works
    }
}
