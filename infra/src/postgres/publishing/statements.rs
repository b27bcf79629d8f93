//! Statements about posts that are more than a row by its key.

/// An account's most urgent post. While what became of one is being found out, nothing that would ask for another is among
/// them. $1 tenant, $2 account, $3 now.
pub(super) const DUE: &str = "
    SELECT p.* FROM publishing.posts AS p
    WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.due_at <= $3
      AND (p.holds_account OR p.status NOT IN ('waiting', 'uploading', 'uploaded') OR NOT EXISTS (
            SELECT FROM publishing.posts AS held
            WHERE held.tenant_id = $1 AND held.account_id = $2 AND held.holds_account))
    ORDER BY CASE WHEN p.status IN ('creating', 'outcome_unknown') THEN 0
                  WHEN p.status IN ('waiting', 'uploading', 'uploaded') THEN 1 ELSE 2 END, p.due_at, p.id
    LIMIT 1 FOR UPDATE OF p";

/// Posts that are there and are to be looked at. $1 tenant, $2 account, $3 by when, $4 how many.
pub(super) const LOOKS: &str = "
    SELECT p.id, p.item FROM publishing.posts AS p
    WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.due_at <= $3 AND p.item IS NOT NULL
    ORDER BY p.due_at, p.id LIMIT $4";

/// When the next of those is due, whether somebody must decide on one, and what is in the way of those still to be posted.
pub(super) const NEXT_DUE: &str = "
    SELECT min(p.due_at) AS due_at, EXISTS (
               SELECT FROM publishing.posts AS u
               WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.status = 'outcome_unknown' AND NOT u.holds_account
           ) AS is_undecided, ARRAY (
               SELECT DISTINCT h.progress #>> '{hindrance,by}' FROM publishing.posts AS h
               WHERE h.tenant_id = $1 AND h.account_id = $2
                   AND h.status IN ('waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown')
                   AND (h.progress #>> '{hindrance,by}') IS NOT NULL
           ) AS hindered_by
    FROM publishing.posts AS p
    WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.due_at IS NOT NULL
      AND (p.holds_account OR p.status NOT IN ('waiting', 'uploading', 'uploaded') OR NOT EXISTS (
            SELECT FROM publishing.posts AS held
            WHERE held.tenant_id = $1 AND held.account_id = $2 AND held.holds_account))";

/// Posts of accounts that count on their days. Those that are still to be posted, or were posted late, have a time for
/// something to be done, and so are in an index that stays small. $1 tenant, $2 accounts, $3 from, $4 until.
pub(super) const PLANNED: &str = "
    SELECT p.account_id, p.planned_at, p.accepted_at FROM publishing.posts AS p
    WHERE p.tenant_id = $1 AND p.account_id = ANY ($2) AND p.planned_at >= $3 AND p.planned_at < $4
      AND p.status NOT IN ('failed', 'cancelled')
    UNION ALL
    SELECT p.account_id, p.planned_at, p.accepted_at FROM publishing.posts AS p
    WHERE p.tenant_id = $1 AND p.account_id = ANY ($2) AND p.planned_at < $3 AND p.due_at IS NOT NULL
      AND (p.accepted_at IS NULL OR p.accepted_at >= $3)";

/// What speaks against posts. $1 tenant, $2 posts, $3 accounts or null. What was given up or failed is in nobody's way. The
/// others are not made a list of first: each is found by an index.
pub(super) const WARNINGS: &str = "
    WITH asked AS (
        SELECT id, account_id, file_digest, caption, planned_at FROM publishing.posts
        WHERE tenant_id = $1 AND id = ANY ($2) AND status NOT IN ('failed', 'cancelled', 'gone')
    ), there AS NOT MATERIALIZED (
        SELECT id, account_id, file_digest, caption, planned_at FROM publishing.posts
        WHERE tenant_id = $1 AND status NOT IN ('failed', 'cancelled', 'gone')
            AND ($3::uuid[] IS NULL OR account_id = ANY ($3))
    )
    SELECT a.id, 'same_file' AS kind, count(*) AS others, min(o.id::text)::uuid AS other
    FROM asked AS a JOIN there AS o ON o.file_digest = a.file_digest AND o.account_id = a.account_id AND o.id <> a.id
    GROUP BY a.id
    UNION ALL
    SELECT a.id, 'same_text', count(*), min(o.id::text)::uuid
    FROM asked AS a JOIN there AS o ON o.file_digest = a.file_digest AND o.account_id <> a.account_id
        AND o.caption = a.caption
    GROUP BY a.id
    UNION ALL
    SELECT a.id, 'close', count(*), min(o.id::text)::uuid
    FROM asked AS a JOIN there AS o ON o.account_id = a.account_id AND o.id <> a.id
        AND o.planned_at > a.planned_at - interval '30 minutes' AND o.planned_at < a.planned_at + interval '30 minutes'
    GROUP BY a.id
    ORDER BY 1, 2";

/// What would speak against posts that are not there yet, beside one another and those there are of all accounts, or these.
/// $2: a JSON list of what is asked about, each with its place in it. Those that are there already and would be changed do not
/// speak against anything as they are.
pub(super) const FORESEEN: &str = "
    WITH asked AS MATERIALIZED (
        SELECT place, post, account_id, decode(file, 'base64') AS file_digest, caption, planned_at
        FROM jsonb_to_recordset($2::jsonb)
            AS asked (place int, post uuid, account_id uuid, file text, caption text, planned_at timestamptz)
    ), others AS NOT MATERIALIZED (
        SELECT id AS post, -1 AS place, account_id, file_digest, caption, planned_at FROM publishing.posts
        WHERE tenant_id = $1 AND status NOT IN ('failed', 'cancelled', 'gone')
            AND ($3::uuid[] IS NULL OR account_id = ANY ($3))
            AND NOT EXISTS (SELECT FROM asked WHERE asked.post = posts.id)
        UNION ALL
        SELECT NULL, place, account_id, file_digest, caption, planned_at FROM asked
    )
    SELECT a.place, 'same_file' AS kind, count(*) AS others, min(o.post::text)::uuid AS other
    FROM asked AS a JOIN others AS o
        ON o.file_digest = a.file_digest AND o.account_id = a.account_id AND o.place <> a.place
    GROUP BY a.place
    UNION ALL
    SELECT a.place, 'same_text', count(*), min(o.post::text)::uuid
    FROM asked AS a JOIN others AS o ON o.file_digest = a.file_digest AND o.account_id <> a.account_id
        AND o.caption = a.caption
    GROUP BY a.place
    UNION ALL
    SELECT a.place, 'close', count(*), min(o.post::text)::uuid
    FROM asked AS a JOIN others AS o ON o.account_id = a.account_id AND o.place <> a.place
        AND o.planned_at > a.planned_at - interval '30 minutes' AND o.planned_at < a.planned_at + interval '30 minutes'
    GROUP BY a.place
    ORDER BY 1, 2";
