//! Lists of posts of many accounts or plans at once.

use std::collections::HashMap;

use domain::{
    kernel::{
        fault::PortError,
        page::{Direction, Page, PageRequest},
    },
    publishing::{model::Post, ports::PostLists},
};
use sea_orm::{ConnectionTrait as _, Value};
use uuid::Uuid;

use super::{POSTS, post_of};
use crate::postgres::{
    entity::{Scoped as _, post::Entity},
    error::orm_error,
    scope::TenantTx,
    work::PgWork,
};

/// A page of each list by its index. $1 tenant, $2 accounts or plans, $3 and $4 the place to read from, $5 rows a list,
/// $6 accounts or null. The columns are the entity's, in its order.
macro_rules! lists {
    ($column:literal, $than:literal, $end:literal, $last:literal, $order:literal) => {
        concat!(
            "SELECT p.tenant_id, p.id, p.plan_id, p.account_id, p.upload_id, p.caption, p.cover_at_ms, p.visibility, p.status,
                    p.planned_at, p.due_at, p.holds_account, p.item, p.promised_at, p.accepted_at, p.progress, p.created_at,
                    p.version, p.occurrence, p.variables, p.reference, p.file_digest
             FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS list
             CROSS JOIN LATERAL (
                 SELECT * FROM publishing.posts
                 WHERE tenant_id = $1 AND ", $column, " = list.id AND ($6::uuid[] IS NULL OR account_id = ANY ($6))
                   AND (planned_at, id) ", $than, " (COALESCE($3::timestamptz, '", $end, "'), COALESCE($4::uuid, '", $last, "'))
                 ORDER BY planned_at ", $order, ", id ", $order, "
                 LIMIT $5
             ) AS p"
        )
    };
}

const OF_ACCOUNTS_FORWARD: &str =
    lists!("account_id", ">", "-infinity", "00000000-0000-0000-0000-000000000000", "ASC");
const OF_ACCOUNTS_BACKWARD: &str =
    lists!("account_id", "<", "infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff", "DESC");
const OF_PLANS_FORWARD: &str =
    lists!("plan_id", ">", "-infinity", "00000000-0000-0000-0000-000000000000", "ASC");
const OF_PLANS_BACKWARD: &str =
    lists!("plan_id", "<", "infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff", "DESC");

impl PgWork {
    pub(super) async fn posts_by_list(
        &self,
        lists: &PostLists,
        page: PageRequest,
    ) -> Result<HashMap<Uuid, Page<Post>>, PortError> {
        let (sql, ids, accounts): (_, Vec<Uuid>, Option<Vec<Uuid>>) = match (lists, page.direction) {
            (PostLists::OfAccounts(accounts), direction) => {
                let sql = match direction {
                    Direction::Forward => OF_ACCOUNTS_FORWARD,
                    Direction::Backward => OF_ACCOUNTS_BACKWARD,
                };
                (sql, accounts.iter().map(|account| account.uuid()).collect(), None)
            }
            (PostLists::OfPlans(plans, accounts), direction) => {
                let sql = match direction {
                    Direction::Forward => OF_PLANS_FORWARD,
                    Direction::Backward => OF_PLANS_BACKWARD,
                };
                let accounts =
                    accounts.as_ref().map(|all| all.iter().map(|account| account.uuid()).collect());
                (sql, plans.iter().map(|plan| plan.uuid()).collect(), accounts)
            }
        };
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let values: [Value; 6] = [
            self.tenant(),
            ids.into(),
            page.from.map(|key| key.at).into(),
            page.from.map(|key| key.id).into(),
            (i64::from(page.limit) + 1).into(),
            accounts.into(),
        ];
        let rows = self.tx.query_all_raw(TenantTx::statement(sql, values)).await;
        let mut read: HashMap<Uuid, Vec<Post>> = HashMap::new();
        for row in rows.map_err(|e| orm_error(POSTS, e))? {
            let post = post_of(Entity::read(&row).map_err(|e| orm_error(POSTS, e))?)?;
            let list = match lists {
                PostLists::OfAccounts(_) => post.account.uuid(),
                PostLists::OfPlans(..) => post.plan.uuid(),
            };
            read.entry(list).or_default().push(post);
        }
        let page_of = |(list, mut posts): (Uuid, Vec<Post>)| {
            // The order of a lateral join's rows is nobody's promise.
            posts.sort_unstable_by_key(|post| (post.planned_at, post.id.uuid()));
            if page.direction == Direction::Backward {
                posts.reverse();
            }
            (list, Page::of_read(posts, &page))
        };
        Ok(read.into_iter().map(page_of).collect())
    }
}
