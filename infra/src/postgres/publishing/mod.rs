//! `publishing.plans`, `publishing.posts`, `publishing.post_notes`, `publishing.receipts`, figures of posts, timetables, and
//! the turns of accounts, which are all tenants' and reached through functions of the database alone.

mod figures;
mod lists;
mod progress;
mod receipts;
mod statements;
mod timetables;
mod turns;
mod warnings;

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, ComplianceId, MemberId, PlanId, PostId, UploadId},
        page::{Page, PageRequest},
    },
    publishing::{
        events::{NoteKind, PostNote},
        model::{Plan, Post, PostDraft, PostStatus, Visibility},
        ports::{
            Foreseen, HeldBy, NextDue, Planned, PostLists, PostQuery, PostReceipt, PostStore, PostWarning,
            Prospect, Turn,
        },
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait as _, EntityTrait as _,
    FromQueryResult as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

pub use turns::PgTurnSchedule;

use statements::{DUE, LOOKS, NEXT_DUE, PLANNED};

use super::{
    columns::{hash32, word},
    entity::{
        plan,
        post::{Column, Entity, Model},
        post_note,
    },
    error::{one_changed, orm_error},
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const PLANS: &str = "postgres.plans";
const POSTS: &str = "postgres.posts";
const NOTES: &str = "postgres.post_notes";
const TURNS: &str = "postgres.account_turns";

/// Posts that are put into one statement.
const ROWS_MAX: usize = 500;

fn plan_of(row: plan::Model) -> Plan {
    Plan {
        id: PlanId::from_uuid(row.id),
        name: row.name,
        upload: UploadId::from_uuid(row.upload_id),
        planned_by: row.planned_by.map(MemberId::from_uuid),
        created_at: row.created_at,
    }
}

fn post_of(row: Model) -> Result<Post, PortError> {
    let status = word(POSTS, PostStatus::parse(&row.status))?;
    let (state, done) = progress::read(row.progress, status, row.item, row.planned_at)?;
    Ok(Post {
        id: PostId::from_uuid(row.id),
        plan: PlanId::from_uuid(row.plan_id),
        account: AccountId::from_uuid(row.account_id),
        draft: PostDraft {
            upload: UploadId::from_uuid(row.upload_id),
            caption: row.caption,
            cover_at_ms: row.cover_at_ms.map(|ms| word(POSTS, u64::try_from(ms).ok())).transpose()?,
            visibility: word(POSTS, Visibility::parse(&row.visibility))?,
        },
        occurrence: word(POSTS, u32::try_from(row.occurrence).ok())?,
        variables: word(POSTS, serde_json::from_value(row.variables).ok())?,
        reference: row.reference,
        file: row.file_digest.map(|digest| hash32(POSTS, digest)).transpose()?,
        state,
        planned_at: row.planned_at,
        promised_at: row.promised_at,
        accepted_at: row.accepted_at,
        progress: done,
        created_at: row.created_at,
        version: word(POSTS, u32::try_from(row.version).ok())?,
    })
}

fn note_of(row: post_note::Model) -> Result<PostNote, PortError> {
    Ok(PostNote {
        at: row.at,
        kind: word(NOTES, NoteKind::parse(&row.kind))?,
        status: word(NOTES, PostStatus::parse(&row.status))?,
        detail: row.detail,
        compliance_id: ComplianceId::from_uuid(row.compliance_id),
    })
}

impl PgWork {
    fn post_row(&self, post: &Post) -> Result<Model, PortError> {
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: post.id.uuid(),
            plan_id: post.plan.uuid(),
            account_id: post.account.uuid(),
            upload_id: post.draft.upload.uuid(),
            caption: post.draft.caption.clone(),
            cover_at_ms: post.draft.cover_at_ms.map(|ms| word(POSTS, i64::try_from(ms).ok())).transpose()?,
            visibility: post.draft.visibility.as_str().to_owned(),
            status: post.state.status().as_str().to_owned(),
            planned_at: post.planned_at,
            due_at: post.next_at(),
            holds_account: post.holds_account(),
            item: post.state.item().map(ToOwned::to_owned),
            promised_at: post.promised_at,
            accepted_at: post.accepted_at,
            progress: progress::written(post)?,
            created_at: post.created_at,
            version: word(POSTS, i32::try_from(post.version).ok())?,
            occurrence: word(POSTS, i32::try_from(post.occurrence).ok())?,
            variables: serde_json::Value::from_iter(post.variables.clone()),
            reference: post.reference.clone(),
            file_digest: post.file.map(|digest| digest.to_vec()),
        })
    }

    async fn one_post(&self, select: Select<Entity>) -> Result<Option<Post>, PortError> {
        select.one(&self.tx).await.map_err(|e| orm_error(POSTS, e))?.map(post_of).transpose()
    }
}

#[async_trait]
impl PostStore for PgWork {
    async fn add_plan(&mut self, plan: &Plan) -> Result<(), PortError> {
        let row = plan::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: plan.id.uuid(),
            name: plan.name.clone(),
            upload_id: plan.upload.uuid(),
            planned_by: plan.planned_by.map(MemberId::uuid),
            created_at: plan.created_at,
        };
        plan::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PLANS, e))
    }

    async fn plan(&mut self, id: PlanId) -> Result<Option<Plan>, PortError> {
        let found = self.tx.scoped::<plan::Entity>().filter(plan::Column::Id.eq(id.uuid()));
        Ok(found.one(&self.tx).await.map_err(|e| orm_error(PLANS, e))?.map(plan_of))
    }

    async fn plans(&mut self, page: PageRequest) -> Result<Page<Plan>, PortError> {
        let select = self.tx.scoped::<plan::Entity>();
        let rows = keyset(select, plan::Column::CreatedAt, plan::Column::Id, page).rows(&self.tx).await;
        let rows = rows.map_err(|e| orm_error(PLANS, e))?;
        Ok(Page::of_read(rows.into_iter().map(plan_of).collect(), &page))
    }

    async fn add_posts(&mut self, posts: &[Post]) -> Result<(), PortError> {
        for some in posts.chunks(ROWS_MAX) {
            let rows: Vec<_> = some.iter().map(|post| self.post_row(post)).collect::<Result<_, _>>()?;
            Entity::insert_many(rows.into_iter().map(|row| row.into_active_model().reset_all()))
                .exec_without_returning(&self.tx)
                .await
                .map(drop)
                .map_err(|e| orm_error(POSTS, e))?;
        }
        Ok(())
    }

    async fn post(&mut self, id: PostId) -> Result<Option<Post>, PortError> {
        self.one_post(self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()))).await
    }

    async fn lock_post(&mut self, id: PostId) -> Result<Option<Post>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        self.one_post(found.lock_exclusive()).await
    }

    async fn update_post(&mut self, post: &Post) -> Result<(), PortError> {
        let mut row = self.post_row(post)?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(post.id.uuid()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(POSTS, e))?;
        one_changed(POSTS, updated.rows_affected)
    }

    async fn posts_of_plan(&mut self, plan: PlanId, lock: bool) -> Result<Vec<Post>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::PlanId.eq(plan.uuid()));
        let found = found.order_by_asc(Column::Id);
        let found = if lock { found.lock_exclusive() } else { found };
        let rows = found.rows(&self.tx).await.map_err(|e| orm_error(POSTS, e))?;
        rows.into_iter().map(post_of).collect()
    }

    async fn awaiting_posts(&mut self, plans: &[PlanId]) -> Result<Vec<Post>, PortError> {
        let ids: Vec<_> = plans.iter().map(|plan| plan.uuid()).collect();
        let found = self.tx.scoped::<Entity>().filter(Column::PlanId.eq_any(ids));
        let found = found.filter(Column::Status.eq(PostStatus::AwaitingApproval.as_str()));
        let rows = found.order_by_asc(Column::Id).rows(&self.tx).await.map_err(|e| orm_error(POSTS, e))?;
        rows.into_iter().map(post_of).collect()
    }

    async fn posts(&mut self, query: &PostQuery, page: PageRequest) -> Result<Page<Post>, PortError> {
        let mut asked = Condition::all();
        if let Some(accounts) = &query.accounts {
            let accounts: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
            asked = asked.add(Column::AccountId.eq_any(accounts));
        }
        if let Some(plan) = query.plan {
            asked = asked.add(Column::PlanId.eq(plan.uuid()));
        }
        if let Some(status) = query.status {
            asked = asked.add(Column::Status.eq(status.as_str()));
        }
        let select = self.tx.scoped::<Entity>().filter(asked);
        let rows = keyset(select, Column::PlannedAt, Column::Id, page).rows(&self.tx).await;
        let posts = rows.map_err(|e| orm_error(POSTS, e))?.into_iter().map(post_of);
        Ok(Page::of_read(posts.collect::<Result<_, _>>()?, &page))
    }

    async fn post_lists(
        &mut self,
        lists: &PostLists,
        page: PageRequest,
    ) -> Result<HashMap<uuid::Uuid, Page<Post>>, PortError> {
        self.posts_by_list(lists, page).await
    }

    async fn due_post(&mut self, account: AccountId, now: Timestamp) -> Result<Option<Post>, PortError> {
        let values = [self.tenant(), account.uuid().into(), now.into()];
        let row = self.tx.query_one_raw(TenantTx::statement(DUE, values)).await;
        let row = row.map_err(|e| orm_error(POSTS, e))?;
        let row = row.map(|row| Model::from_query_result(&row, "")).transpose();
        row.map_err(|e| orm_error(POSTS, e))?.map(post_of).transpose()
    }

    async fn due_looks(
        &mut self,
        account: AccountId,
        by: Timestamp,
        most: u32,
    ) -> Result<Vec<(PostId, String)>, PortError> {
        let values = [self.tenant(), account.uuid().into(), by.into(), i64::from(most).into()];
        let rows = self.tx.query_all_raw(TenantTx::statement(LOOKS, values)).await;
        let rows = rows.map_err(|e| orm_error(POSTS, e))?;
        let named = |row: &sea_orm::QueryResult| -> Result<_, sea_orm::DbErr> {
            Ok((PostId::from_uuid(row.try_get("", "id")?), row.try_get("", "item")?))
        };
        rows.iter().map(|row| named(row).map_err(|e| orm_error(POSTS, e))).collect()
    }

    async fn planned(
        &mut self,
        accounts: &[AccountId],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Planned>, PortError> {
        let accounts: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
        let values = [self.tenant(), accounts.into(), from.into(), until.into()];
        let rows = self.tx.query_all_raw(TenantTx::statement(PLANNED, values)).await;
        let planned = |row: &sea_orm::QueryResult| -> Result<_, sea_orm::DbErr> {
            Ok(Planned {
                account: AccountId::from_uuid(row.try_get("", "account_id")?),
                planned_at: row.try_get("", "planned_at")?,
                accepted_at: row.try_get("", "accepted_at")?,
            })
        };
        let rows = rows.map_err(|e| orm_error(POSTS, e))?;
        rows.iter().map(|row| planned(row).map_err(|e| orm_error(POSTS, e))).collect()
    }

    async fn next_due(&mut self, account: AccountId) -> Result<NextDue, PortError> {
        let values = [self.tenant(), account.uuid().into()];
        let row = self.tx.query_one_raw(TenantTx::statement(NEXT_DUE, values)).await;
        let Some(row) = row.map_err(|e| orm_error(POSTS, e))? else { return Ok(NextDue::default()) };
        let next = || -> Result<NextDue, sea_orm::DbErr> {
            Ok(NextDue {
                at: row.try_get("", "due_at")?,
                is_undecided: row.try_get("", "is_undecided")?,
                hindered_by: row.try_get("", "hindered_by")?,
            })
        };
        next().map_err(|e| orm_error(POSTS, e))
    }

    async fn post_by_item(&mut self, account: AccountId, item: &str) -> Result<Option<PostId>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::AccountId.eq(account.uuid()));
        let found = found.filter(Column::Item.eq(item)).select_only().column(Column::Id);
        let id = found.into_tuple::<uuid::Uuid>().one(&self.tx).await.map_err(|e| orm_error(POSTS, e))?;
        Ok(id.map(PostId::from_uuid))
    }

    async fn known_items(
        &mut self,
        account: AccountId,
        items: &[String],
        but: PostId,
    ) -> Result<HashSet<String>, PortError> {
        let found = self
            .tx
            .scoped::<Entity>()
            .filter(Column::AccountId.eq(account.uuid()))
            .filter(Column::Item.eq_any(items.to_vec()))
            .filter(Column::Id.ne(but.uuid()))
            .select_only()
            .column(Column::Item)
            .into_tuple::<String>()
            .all(&self.tx)
            .await
            .map_err(|e| orm_error(POSTS, e))?;
        Ok(found.into_iter().collect())
    }

    async fn hold_imports(&mut self) -> Result<(), PortError> {
        self.tx.hold("publishing.imports").await.map_err(|e| orm_error(POSTS, e))
    }

    async fn posts_by_reference(&mut self, references: &[String]) -> Result<Vec<Post>, PortError> {
        let ids: Vec<_> = references.iter().filter_map(|text| uuid::Uuid::try_parse(text).ok()).collect();
        let by_id = Condition::all().add(Column::Reference.is_null()).add(Column::Id.eq_any(ids));
        let named = Condition::any().add(Column::Reference.eq_any(references.to_vec())).add(by_id);
        let found = self.tx.scoped::<Entity>().filter(named).order_by_asc(Column::Id).rows(&self.tx).await;
        let rows = found.map_err(|e| orm_error(POSTS, e))?;
        rows.into_iter().map(post_of).collect()
    }

    async fn warnings(
        &mut self,
        posts: &[PostId],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<PostId, Vec<PostWarning>>, PortError> {
        self.warnings_of(posts, accounts).await
    }

    async fn foresee(
        &mut self,
        posts: &[Prospect],
        accounts: Option<Vec<AccountId>>,
    ) -> Result<HashMap<usize, Vec<Foreseen>>, PortError> {
        self.foreseen_of(posts, accounts).await
    }

    async fn add_note(
        &mut self,
        post: &Post,
        kind: NoteKind,
        detail: Option<String>,
        at: Timestamp,
    ) -> Result<(), PortError> {
        let row = post_note::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            post_id: post.id.uuid(),
            id: self.shared.ids.next_uuid(),
            at,
            kind: kind.as_str().to_owned(),
            status: post.state.status().as_str().to_owned(),
            detail,
            compliance_id: self.origin.compliance_id.uuid(),
            place: word(NOTES, i32::try_from(post.version).ok())?,
        };
        post_note::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(NOTES, e))
    }

    async fn notes(&mut self, posts: &[PostId]) -> Result<HashMap<PostId, Vec<PostNote>>, PortError> {
        let ids: Vec<_> = posts.iter().map(|post| post.uuid()).collect();
        // By what was changed first: workers' clocks may differ.
        let rows = self
            .tx
            .scoped::<post_note::Entity>()
            .filter(post_note::Column::PostId.eq_any(ids))
            .order_by_asc(post_note::Column::PostId)
            .order_by_asc(post_note::Column::Place)
            .order_by_asc(post_note::Column::At)
            .order_by_asc(post_note::Column::Id)
            .rows(&self.tx)
            .await;
        let mut notes: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows.map_err(|e| orm_error(NOTES, e))? {
            notes.entry(PostId::from_uuid(row.post_id)).or_default().push(note_of(row)?);
        }
        Ok(notes)
    }

    async fn add_receipts(&mut self, posts: &[&Post], at: Timestamp) -> Result<(), PortError> {
        self.insert_receipts(posts, at).await
    }

    async fn receipts(&mut self, posts: &[PostId]) -> Result<HashMap<PostId, Vec<PostReceipt>>, PortError> {
        self.receipts_of(posts).await
    }

    async fn has_receipt(&mut self, post: &Post) -> Result<bool, PortError> {
        self.is_confirmed(post).await
    }

    async fn wake_account(&mut self, account: AccountId, due_at: Option<Timestamp>) -> Result<(), PortError> {
        const WAKE: &str = "SELECT publishing.wake_account($1, coalesce($2, 'infinity'::timestamptz))";
        let statement = TenantTx::statement(WAKE, [account.uuid().into(), due_at.into()]);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(TURNS, e))
    }

    async fn wake_accounts(
        &mut self,
        accounts: &BTreeMap<AccountId, Option<Timestamp>>,
    ) -> Result<(), PortError> {
        // In the order of the map, which is everybody's.
        const WAKE: &str = "
            SELECT publishing.wake_account(woken.account, CASE WHEN woken.is_due THEN woken.due_at ELSE 'infinity' END)
            FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[]) WITH ORDINALITY
                AS woken (account, is_due, due_at, place)
            ORDER BY woken.place";
        let ids: Vec<_> = accounts.keys().map(|account| account.uuid()).collect();
        let is_due: Vec<_> = accounts.values().map(Option::is_some).collect();
        let due: Vec<_> = accounts.values().map(|due_at| due_at.unwrap_or_default()).collect();
        let statement = TenantTx::statement(WAKE, [ids.into(), is_due.into(), due.into()]);
        self.tx.query_all_raw(statement).await.map(drop).map_err(|e| orm_error(TURNS, e))
    }

    async fn hold_turn(&mut self, turn: &Turn, lease: TimeDelta) -> Result<Option<Timestamp>, PortError> {
        const HOLD: &str = "SELECT publishing.hold_turn($1, $2, make_interval(secs => $3)) AS held";
        let values = [turn.account.uuid().into(), turn.fence.into(), lease.as_seconds_f64().into()];
        let row = self.tx.query_one_raw(TenantTx::statement(HOLD, values)).await;
        let held = row.map_err(|e| orm_error(TURNS, e))?.map(|row| row.try_get("", "held")).transpose();
        Ok(held.map_err(|e| orm_error(TURNS, e))?.flatten())
    }

    async fn end_turn(
        &mut self,
        turn: &Turn,
        due_at: Option<Timestamp>,
        held_by: Option<HeldBy>,
    ) -> Result<(), PortError> {
        const END: &str = "SELECT publishing.end_turn($1, $2, coalesce($3, 'infinity'::timestamptz), $4)";
        let held_by = held_by.map(HeldBy::as_str);
        let values = [turn.account.uuid().into(), turn.fence.into(), due_at.into(), held_by.into()];
        let done = self.tx.execute_raw(TenantTx::statement(END, values)).await;
        done.map(drop).map_err(|e| orm_error(TURNS, e))
    }
}
