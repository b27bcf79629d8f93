//! Posts that come in as rows of a file, in the schema.

use async_graphql::{Context, Enum, ID, InputObject, SimpleObject};
use domain::{
    kernel::{actor::Permission, ids::PlanId},
    publishing::{self, ImportRowEnd, ImportedRow},
};
use output::Output;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    query::one_plan,
    rows::read,
    types::{Plan, PostStatus},
    warnings::ForeseenWarning,
};
use crate::graphql::{
    command::app,
    error::{ApiError, Failure},
    reading::reading,
    scalars::{Kind, global_id},
};

/// How a file of posts is written.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// Comma-separated, with a row of names first (RFC 4180).
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// A file of posts: 1 to 500 rows of `reference`, `plan`, `upload_id`, `account_id`, `planned_at`, `caption`, `cover_at_ms` and
/// `visibility` (`public`, `friends` or `only_me`). Of a post there is, what there is no column for stays as it is. What else `/exports/posts.csv` and `/exports/posts.jsonl` tell is passed
/// over.
#[derive(InputObject)]
pub struct ImportPostsInput {
    /// How it is written.
    format: ImportFormat,
    /// The file, at most 512 KiB.
    text: String,
    /// The zone of times without an offset: its name in the IANA database.
    zone: Option<String>,
    /// Whether rows that can't be taken are passed over. Otherwise nothing is done then.
    #[graphql(default)]
    pub(super) skip_refused: bool,
}

impl ImportPostsInput {
    pub(super) fn lines(&self) -> Result<Vec<publishing::ImportLine>, Failure> {
        read(self.format, &self.text, self.zone.as_deref())
    }
}

/// What comes of a row.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportOutcome {
    /// It becomes a post.
    Created,
    /// Its post is changed.
    Changed,
    /// Its post is as it says.
    Unchanged,
    /// It can't be done.
    Refused,
}

/// What a row changes of its post.
#[derive(SimpleObject, Output, Clone, Serialize, Deserialize)]
pub struct ImportChange {
    /// The file's column.
    field: String,
    /// As it was.
    before: String,
    /// As it is, or would be.
    after: String,
}

/// A row, and what comes of it.
#[derive(SimpleObject, Output, Clone, Serialize, Deserialize)]
pub struct ImportRow {
    /// The line it begins at, from 1.
    line: String,
    /// Its reference, if it could be read.
    reference: Option<String>,
    /// What comes of it.
    outcome: ImportOutcome,
    /// Its post, if there is one.
    post_id: Option<ID>,
    /// How its post stands, or stood before it was changed.
    status: Option<PostStatus>,
    /// What it changes; told by `importPreview` alone.
    changes: Vec<ImportChange>,
    /// Why it can't be done, in words that follow "the row".
    problem: Option<String>,
    /// What would speak against its post; told by `importPreview` alone. Afterwards the post says it itself.
    #[serde(default)]
    warnings: Vec<ForeseenWarning>,
}

impl From<ImportedRow> for ImportRow {
    fn from(row: ImportedRow) -> Self {
        let (outcome, changes, problem) = match row.end {
            ImportRowEnd::Created => (ImportOutcome::Created, Vec::new(), None),
            ImportRowEnd::Changed(changes) => (ImportOutcome::Changed, changes, None),
            ImportRowEnd::Unchanged => (ImportOutcome::Unchanged, Vec::new(), None),
            ImportRowEnd::Refused(why) => (ImportOutcome::Refused, Vec::new(), Some(why)),
        };
        let change = |change: publishing::FieldChange| ImportChange {
            field: change.field.to_owned(),
            before: change.before,
            after: change.after,
        };
        Self {
            line: row.line.to_string(),
            reference: row.reference,
            outcome,
            post_id: row.post.map(|post| global_id(Kind::Post, post.uuid())),
            status: row.status.map(Into::into),
            changes: changes.into_iter().map(change).collect(),
            problem,
            warnings: row.warnings.into_iter().map(Into::into).collect(),
        }
    }
}

/// What would come of a file.
#[derive(SimpleObject, Output, Clone)]
pub struct ImportPreview {
    /// Its rows, in their order.
    rows: Vec<ImportRow>,
    /// How many would become posts.
    created: u32,
    /// How many would change theirs.
    changed: u32,
    /// How many say what is there.
    unchanged: u32,
    /// How many can't be taken.
    refused: u32,
}

/// What is left of an import.
#[derive(Serialize, Deserialize)]
pub(super) struct Imported {
    pub(super) rows: Vec<ImportRow>,
    pub(super) plans: Vec<Uuid>,
}

impl From<publishing::ImportEnd> for Imported {
    fn from(end: publishing::ImportEnd) -> Self {
        Self {
            rows: end.rows.into_iter().map(|row| ImportRow { changes: Vec::new(), ..row.into() }).collect(),
            plans: end.plans.into_iter().map(PlanId::uuid).collect(),
        }
    }
}

/// These plans, each read anew.
pub(super) async fn plans_of(ctx: &Context<'_>, ids: &[Uuid]) -> Result<Vec<Plan>, ApiError> {
    let mut plans = Vec::with_capacity(ids.len());
    for id in ids {
        plans.extend(one_plan(ctx, &global_id(Kind::Plan, *id)).await?);
    }
    Ok(plans)
}

pub(super) async fn preview(ctx: &Context<'_>, input: ImportPostsInput) -> Result<ImportPreview, ApiError> {
    let (actor, mut work) = reading(ctx, "importPreview").await?;
    // Before anything is read of it.
    actor.require(Permission::ManagePosts)?;
    let end = app(ctx).publishing.preview_import(&mut *work, &actor, input.lines()?).await?;
    let rows: Vec<ImportRow> = end.rows.into_iter().map(Into::into).collect();
    let count = |outcome| {
        let such = rows.iter().filter(|row| row.outcome == outcome).count();
        u32::try_from(such).unwrap_or(u32::MAX)
    };
    Ok(ImportPreview {
        created: count(ImportOutcome::Created),
        changed: count(ImportOutcome::Changed),
        unchanged: count(ImportOutcome::Unchanged),
        refused: count(ImportOutcome::Refused),
        rows,
    })
}
