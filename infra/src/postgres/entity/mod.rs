//! Rows as SeaORM knows them. They never leave `postgres`.
#![expect(unreachable_pub, reason = "the derive wants its items public")]

use sea_orm::{Condition, DbErr, EntityTrait, QueryResult, TryGetable};
use uuid::Uuid;

/// An entity of a tenant.
pub(super) trait Scoped: EntityTrait {
    /// The condition that a row is `tenant`'s.
    fn is_of(tenant: Uuid) -> Condition;

    /// A row whose columns are the model's fields in their order, as SeaORM selects them. They are read by their place: by
    /// name, which is the other way, reading a row costs more than all the rest of a list.
    fn read(row: &QueryResult) -> Result<Self::Model, DbErr>;
}

/// The next column of a row.
fn next<T: TryGetable>(row: &QueryResult, at: &mut usize) -> Result<T, DbErr> {
    let value = row.try_get_by_index(*at)?;
    *at += 1;
    Ok(value)
}

macro_rules! tenant_entity {
    ($module:ident, $schema:literal, $table:literal, keys { $($key:ident: $key_type:ty),* }, columns { $($column:ident: $type:ty),* $(,)? }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;
            use sea_orm::Condition;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(schema_name = $schema, table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub tenant_id: uuid::Uuid,
                $(#[sea_orm(primary_key, auto_increment = false)] pub $key: $key_type,)*
                $(pub $column: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl super::Scoped for Entity {
                fn is_of(tenant: uuid::Uuid) -> Condition {
                    Condition::all().add(Column::TenantId.eq(tenant))
                }

                fn read(row: &sea_orm::QueryResult) -> Result<Model, DbErr> {
                    // Fields are evaluated in the order they are written in.
                    let at = &mut 0;
                    Ok(Model {
                        tenant_id: super::next(row, at)?,
                        $($key: super::next(row, at)?,)*
                        $($column: super::next(row, at)?,)*
                    })
                }
            }
        }
    };
}

type At = domain::kernel::clock::Timestamp;

tenant_entity!(
    tenant,
    "identity",
    "tenants",
    keys {},
    columns { slug: String, name: String, status: String, members_max: i32, created_at: super::At }
);
tenant_entity!(member, "identity", "members", keys { id: uuid::Uuid }, columns {
    email_sealed: Vec<u8>, email_index: Vec<u8>, name_sealed: Vec<u8>, role: String, status: String,
    password_hash: String, totp_sealed: Option<Vec<u8>>, totp_confirmed_at: Option<super::At>,
    totp_last_step: Option<i64>, created_at: super::At, version: i32,
});
tenant_entity!(recovery_code, "identity", "recovery_codes", keys { member_id: uuid::Uuid, hash: Vec<u8> }, columns {
    used_at: Option<super::At>,
});
tenant_entity!(invitation, "identity", "invitations", keys { id: uuid::Uuid }, columns {
    email_sealed: Vec<u8>, email_index: Vec<u8>, role: String, invited_by: Option<uuid::Uuid>,
    secret_hash: Vec<u8>, created_at: super::At, expires_at: super::At, accepted_at: Option<super::At>,
    revoked_at: Option<super::At>,
});
tenant_entity!(session, "identity", "sessions", keys { id: uuid::Uuid }, columns {
    member_id: uuid::Uuid, created_at: super::At, last_seen_at: super::At, expires_at: super::At,
    revoked_at: Option<super::At>, device: Option<String>, geo: Option<Json>, mfa: String,
});
tenant_entity!(refresh_token, "identity", "refresh_tokens", keys { id: uuid::Uuid }, columns {
    session_id: uuid::Uuid, secret_hash: Vec<u8>, created_at: super::At, used_at: Option<super::At>,
});
tenant_entity!(password_reset, "identity", "password_resets", keys { id: uuid::Uuid }, columns {
    member_id: uuid::Uuid, secret_hash: Vec<u8>, created_at: super::At, expires_at: super::At,
    used_at: Option<super::At>,
});
tenant_entity!(api_key, "identity", "api_keys", keys { id: uuid::Uuid }, columns {
    name: String, scopes: Vec<String>, secret_hash: Vec<u8>, issued_by: uuid::Uuid, created_at: super::At,
    expires_at: super::At, last_used_at: Option<super::At>, revoked_at: Option<super::At>,
});
tenant_entity!(idempotency_key, "kernel", "idempotency_keys", keys { caller: String, action: String, key: String }, columns {
    arguments: Vec<u8>, answer: Option<Vec<u8>>, created_at: super::At,
});
tenant_entity!(audit_leaf, "compliance", "audit_leaves", keys { stream: String, index: i64 }, columns {
    event_id: uuid::Uuid, compliance_id: uuid::Uuid, r#type: String, outcome: String, actor_id: Option<uuid::Uuid>,
    target_id: Option<uuid::Uuid>, occurred_at: super::At, leaf: Vec<u8>, leaf_hash: Vec<u8>,
});
tenant_entity!(erasure, "compliance", "erasures", keys { subject: uuid::Uuid }, columns {
    kind: String, basis: String, erased_at: super::At, erased_by: Option<uuid::Uuid>, openings: i64, reports: Vec<uuid::Uuid>,
});
tenant_entity!(legal_hold, "compliance", "legal_holds", keys { id: uuid::Uuid }, columns {
    subject: uuid::Uuid, kind: String, matter: String, placed_at: super::At, placed_by: Option<uuid::Uuid>,
    released_at: Option<super::At>, released_by: Option<uuid::Uuid>,
});
tenant_entity!(processing_record, "compliance", "processing_records", keys { id: uuid::Uuid }, columns {
    activity: String, version: i32, content: String, sha256: Vec<u8>, changed: Vec<String>, made_at: super::At,
    checked_at: super::At, reviewed_at: Option<super::At>, reviewed_by: Option<uuid::Uuid>, signature: Option<Vec<u8>>,
    signed_at: Option<super::At>,
});
tenant_entity!(prune, "compliance", "prunes", keys { stream: String, until: i64 }, columns {
    root: Vec<u8>, note: String, pruned_at: super::At,
});
tenant_entity!(audit_tile, "compliance", "audit_tiles", keys { stream: String, level: i16, index: i64 }, columns {
    width: i16, hashes: Vec<u8>,
});
tenant_entity!(audit_head, "compliance", "audit_heads", keys { stream: String, size: i64 }, columns {
    root: Vec<u8>, note: String, signed_at: super::At, oldest_at: Option<super::At>,
});
tenant_entity!(platform_anchor, "compliance", "platform_anchors", keys { stream: String, size: i64 }, columns {
    index: i64, salt: Vec<u8>, leaf_hash: Vec<u8>,
});
tenant_entity!(tenant_key, "compliance", "tenant_keys", keys { version: i32 }, columns {
    provider: String, wrapped: Vec<u8>, retired_at: Option<super::At>,
});
tenant_entity!(data_key, "compliance", "data_keys", keys { purpose: String, version: i32 }, columns {
    kek_version: i32, wrapped: Vec<u8>,
});
tenant_entity!(log_key, "compliance", "log_keys", keys { id: uuid::Uuid }, columns {
    public_key: Vec<u8>, seed_sealed: Vec<u8>, created_at: super::At, sealed_by: String,
});
tenant_entity!(app, "accounts", "apps", keys { id: uuid::Uuid }, columns {
    platform: String, name: String, client_key: String, secret_sealed: Vec<u8>, scopes: Vec<String>,
    scopes_off: Vec<String>, state: String, created_at: super::At, version: i32,
});
tenant_entity!(group, "accounts", "groups", keys { id: uuid::Uuid }, columns {
    parent_id: Option<uuid::Uuid>, name: String, created_at: super::At, version: i32,
});
tenant_entity!(
    group_grant,
    "accounts",
    "group_grants",
    keys { group_id: uuid::Uuid, member_id: uuid::Uuid },
    columns { created_at: super::At }
);
// Without `tokens_version`, which is the tokens' store's own: who stores an account must not set it back.
tenant_entity!(account, "accounts", "accounts", keys { id: uuid::Uuid }, columns {
    app_id: uuid::Uuid, platform: String, open_id_sealed: Vec<u8>, open_id_index: Vec<u8>, profile_sealed: Vec<u8>,
    kind: Option<String>, group_id: Option<uuid::Uuid>, tags: Vec<String>, state: String,
    consent_end: Option<String>, state_since: Option<super::At>, paused_at: Option<super::At>,
    paused_by: Option<uuid::Uuid>, created_at: super::At, version: i32,
});
tenant_entity!(tokens, "accounts", "tokens", keys { account_id: uuid::Uuid }, columns {
    app_id: uuid::Uuid, access_sealed: Vec<u8>, refresh_sealed: Option<Vec<u8>>, scopes: Vec<String>,
    consented_at: super::At, access_issued_at: super::At, access_expires_at: super::At,
    refresh_expires_at: Option<super::At>, refresh_life_s: i64, renewals_used: i64, renewals_max: i64,
    renewing_since: Option<super::At>, refreshed_at: super::At, last_error: Option<String>, failures: i64,
    consent_ends_at: super::At, version: i64,
});
tenant_entity!(link, "accounts", "links", keys { id: uuid::Uuid }, columns {
    app_id: uuid::Uuid, platform: String, member_id: uuid::Uuid, session_id: uuid::Uuid, secret_hash: Vec<u8>,
    verifier_sealed: Option<Vec<u8>>, scopes: Vec<String>, group_id: Option<uuid::Uuid>,
    again_account_id: Option<uuid::Uuid>, created_at: super::At, returned_at: Option<super::At>, outcome: String,
    account_id: Option<uuid::Uuid>, trace: Json,
});
tenant_entity!(upload, "content", "uploads", keys { id: uuid::Uuid }, columns {
    piece: String, pieces: Vec<uuid::Uuid>, name: String, media_type: String, size_bytes: i64, metadata: String, sha256: Option<Vec<u8>>, received_bytes: i64,
    parts: i32, state: String, digest: Option<Vec<u8>>, probed: Option<Json>, begun_by: Option<uuid::Uuid>, created_at: super::At,
    expires_at: super::At, version: i32,
});
tenant_entity!(transcode, "content", "transcodes", keys { upload_id: uuid::Uuid }, columns {
    source_id: uuid::Uuid, platform: String, recipe: String, mends: Vec<String>, done_permille: i32, attempts: i32,
    failure: Option<String>,
});
tenant_entity!(report, "compliance", "reports", keys { id: uuid::Uuid }, columns {
    kind: String, stream: String, query: Json, query_text: String, zone: String, kept_first: Option<i64>,
    kept_last: Option<i64>, compliance_id: uuid::Uuid, requested_at: super::At, state: String, failure: Option<String>, done_permille: i32,
    attempts: i32, place: Option<String>, size_bytes: Option<i64>, sha256: Option<Vec<u8>>, first_leaf: Option<i64>,
    end_leaf: Option<i64>, row_count: Option<i64>, is_timestamped: Option<bool>, expires_at: Option<super::At>,
    ended_at: Option<super::At>, version: i32, disclosed: Vec<String>, pieces: Option<Json>,
});
tenant_entity!(audit_segment, "compliance", "audit_segments", keys { stream: String, first: i64 }, columns {
    root: Vec<u8>, size_bytes: i64, crc: i64, sha256: Vec<u8>, runs: Json,
});
tenant_entity!(plan, "publishing", "plans", keys { id: uuid::Uuid }, columns {
    name: String, upload_id: uuid::Uuid, planned_by: Option<uuid::Uuid>, created_at: super::At,
});
tenant_entity!(post, "publishing", "posts", keys { id: uuid::Uuid }, columns {
    plan_id: uuid::Uuid, account_id: uuid::Uuid, upload_id: uuid::Uuid, caption: String, cover_at_ms: Option<i64>,
    visibility: String, status: String, planned_at: super::At, due_at: Option<super::At>, holds_account: bool,
    item: Option<String>, promised_at: Option<super::At>, accepted_at: Option<super::At>, progress: Json, created_at: super::At, version: i32,
    occurrence: i32, variables: Json, reference: Option<String>, file_digest: Option<Vec<u8>>,
});
tenant_entity!(timetable, "publishing", "timetables", keys { id: uuid::Uuid }, columns {
    name: String, zone: String, rules: Vec<String>, created_at: super::At, version: i32,
});
tenant_entity!(newest_figures, "publishing", "newest_figures", keys { post_id: uuid::Uuid }, columns {
    read_at: super::At, plays: Option<i64>, likes: Option<i64>, comments: Option<i64>, shares: Option<i64>,
    plays_at: Option<super::At>, likes_at: Option<super::At>, comments_at: Option<super::At>, shares_at: Option<super::At>,
});
tenant_entity!(figures, "publishing", "figures", keys { post_id: uuid::Uuid, at: super::At }, columns {
    plays: Option<i64>, likes: Option<i64>, comments: Option<i64>, shares: Option<i64>,
});
tenant_entity!(post_note, "publishing", "post_notes", keys { post_id: uuid::Uuid, id: uuid::Uuid }, columns {
    at: super::At, kind: String, status: String, detail: Option<String>, compliance_id: uuid::Uuid, place: i32,
});
tenant_entity!(receipt, "publishing", "receipts", keys { post_id: uuid::Uuid, id: uuid::Uuid }, columns {
    digest: Vec<u8>, member_id: Option<uuid::Uuid>, at: super::At, compliance_id: uuid::Uuid,
});
tenant_entity!(
    part,
    "content",
    "parts",
    keys { upload_id: uuid::Uuid, offset_bytes: i64 },
    columns { size_bytes: i64, object_key: String }
);
