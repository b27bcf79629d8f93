//! What speaks against posts of `publishing.posts` beside the others there are, and what would against posts that are not made
//! yet.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    kernel::{
        fault::PortError,
        ids::{AccountId, PostId},
    },
    publishing::ports::{Foreseen, PostWarning, Prospect, WarningKind},
};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult};
use serde_json::json;
use uuid::Uuid;

use super::{
    POSTS,
    statements::{FORESEEN, WARNINGS},
};
use crate::postgres::{columns::word, error::orm_error, scope::TenantTx, work::PgWork};

fn uuids(accounts: Option<Vec<AccountId>>) -> Option<Vec<Uuid>> {
    accounts.map(|accounts| accounts.iter().map(|account| account.uuid()).collect())
}

/// What, because of how many others, and one of them that is there.
fn warning_of(row: &QueryResult) -> Result<(WarningKind, u32, Option<Uuid>), PortError> {
    let read = || -> Result<(String, i64, Option<Uuid>), DbErr> {
        Ok((row.try_get("", "kind")?, row.try_get("", "others")?, row.try_get("", "other")?))
    };
    let (kind, others, other) = read().map_err(|e| orm_error(POSTS, e))?;
    let kind = WarningKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok((word(POSTS, kind)?, u32::try_from(others).unwrap_or(u32::MAX), other))
}

impl PgWork {
    pub(super) async fn warnings_of(
        &self,
        posts: &[PostId],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<PostId, Vec<PostWarning>>, PortError> {
        let ids: Vec<_> = posts.iter().map(|post| post.uuid()).collect();
        let values = [self.tenant(), ids.into(), uuids(accounts).into()];
        let rows = self.tx.query_all_raw(TenantTx::statement(WARNINGS, values)).await;
        let mut warnings: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows.map_err(|e| orm_error(POSTS, e))? {
            let id: Uuid = row.try_get("", "id").map_err(|e| orm_error(POSTS, e))?;
            let (kind, others, other) = warning_of(&row)?;
            let other = PostId::from_uuid(word(POSTS, other)?);
            warnings.entry(PostId::from_uuid(id)).or_default().push(PostWarning { kind, others, other });
        }
        Ok(warnings)
    }

    pub(super) async fn foreseen_of(
        &self,
        posts: &[Prospect],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<usize, Vec<Foreseen>>, PortError> {
        let row = |(place, post): (usize, &Prospect)| {
            json!({
                "place": place,
                "post": post.post.map(PostId::uuid),
                "account_id": post.account.uuid(),
                "file": post.file.map(|digest| STANDARD.encode(digest)),
                "caption": post.caption,
                "planned_at": post.planned_at.to_rfc3339(),
            })
        };
        let asked: Vec<_> = posts.iter().enumerate().map(row).collect();
        let asked = serde_json::to_string(&asked).map_err(|e| PortError::lasting(POSTS, e))?;
        let values = [self.tenant(), asked.into(), uuids(accounts).into()];
        let rows = self.tx.query_all_raw(TenantTx::statement(FORESEEN, values)).await;
        let mut foreseen: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows.map_err(|e| orm_error(POSTS, e))? {
            let place: i32 = row.try_get("", "place").map_err(|e| orm_error(POSTS, e))?;
            let (kind, others, other) = warning_of(&row)?;
            let place = word(POSTS, usize::try_from(place).ok())?;
            let other = other.map(PostId::from_uuid);
            foreseen.entry(place).or_default().push(Foreseen { kind, others, other });
        }
        Ok(foreseen)
    }
}
