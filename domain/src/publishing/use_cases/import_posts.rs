//! Posts come in as rows of somebody's file: what is new is planned, what is there already is changed, and a row that says
//! what is there changes nothing, however often the file comes.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{CAPTION_MAX_CHARS, ITEMS_MAX, NAME_MAX_CHARS, Plan, Post, PostDraft, PostOp, in_range},
        ports::PublishingTx,
    },
    Publishing,
    checks::Days,
};
use crate::{
    accounts::Postable,
    content::model::Upload,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, PlanId, PostId, UploadId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

/// Longest reference, in characters.
const REFERENCE_MAX_CHARS: usize = 200;

/// A row that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// Its name in the file, which it keeps from one import to the next.
    pub reference: String,
    /// What people call the plan it becomes part of, when it is new.
    pub plan: String,
    /// The account.
    pub account: AccountId,
    /// When it is to be there.
    pub planned_at: Timestamp,
    /// What is posted.
    pub draft: PostDraft,
}

/// What a row would change of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The file's column.
    pub field: &'static str,
    /// As it is.
    pub before: String,
    /// As it would be.
    pub after: String,
}

/// What comes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportRowEnd {
    /// It becomes a post.
    Created,
    /// Its post is changed so.
    Changed(Vec<FieldChange>),
    /// Its post is as it says.
    Unchanged,
    /// It can't be done, for that reason.
    Refused(String),
}

/// A row, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRow {
    /// The line it begins at, from 1.
    pub line: u64,
    /// Its reference, if it could be read.
    pub reference: Option<String>,
    /// Its post, if there is one.
    pub post: Option<PostId>,
    /// What comes of it.
    pub end: ImportRowEnd,
}

/// What comes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportEnd {
    /// Its rows.
    pub rows: Vec<ImportedRow>,
    /// The plans that were made.
    pub plans: Vec<PlanId>,
}

/// A line of a file: a row, or why it is none, with its reference if it has one.
pub type ImportLine = (u64, Result<ImportRow, (Option<String>, String)>);

/// What is to be done with a row.
enum Verdict {
    Create(ImportRow),
    Change(Box<Post>, ImportRow, Vec<FieldChange>),
    Unchanged(String, PostId),
    Refused(Option<String>, Option<PostId>, String),
}

/// What rows name.
struct Named {
    accounts: BTreeMap<AccountId, Postable>,
    uploads: BTreeMap<UploadId, Upload>,
    posts: HashMap<String, Post>,
    days: Days,
}

fn text_of(row: &ImportRow) -> [(&'static str, String); 5] {
    [
        ("upload_id", row.draft.upload.uuid().to_string()),
        ("planned_at", row.planned_at.to_rfc3339()),
        ("caption", row.draft.caption.clone()),
        ("cover_at_ms", row.draft.cover_at_ms.map(|ms| ms.to_string()).unwrap_or_default()),
        ("visibility", row.draft.visibility.as_str().to_owned()),
    ]
}

fn changes(post: &Post, row: &ImportRow) -> Vec<FieldChange> {
    let as_row = ImportRow { draft: post.draft.clone(), planned_at: post.planned_at, ..row.clone() };
    let pairs = text_of(&as_row).into_iter().zip(text_of(row));
    let change = |((field, before), (_, after))| FieldChange { field, before, after };
    pairs.filter(|(before, after)| before != after).map(change).collect()
}

impl ImportRow {
    fn check(&self, now: Timestamp) -> Result<(), String> {
        let is_text = |text: &str, most: usize| {
            !text.trim().is_empty() && text.chars().count() <= most && !text.contains('\0')
        };
        if !is_text(&self.reference, REFERENCE_MAX_CHARS) {
            return Err(format!("has a reference that is not 1 to {REFERENCE_MAX_CHARS} characters"));
        }
        if !is_text(&self.plan, NAME_MAX_CHARS) {
            return Err(format!("has a plan that is not 1 to {NAME_MAX_CHARS} characters"));
        }
        if self.draft.caption.contains('\0') {
            return Err("has a caption with a character that no text has".to_owned());
        }
        if self.draft.caption.chars().count() > CAPTION_MAX_CHARS {
            return Err(format!("has a caption of more than {CAPTION_MAX_CHARS} characters"));
        }
        in_range(self.planned_at, now)
    }
}

impl Publishing {
    /// What would come of a file, if it came in now. Nothing is changed.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Port`.
    pub async fn preview_import(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        lines: Vec<ImportLine>,
    ) -> Result<ImportEnd, PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let (judged, _) = self.judge(tx, actor, lines, false).await?;
        let rows = judged.into_iter().map(|(line, verdict)| told(line, &verdict, None)).collect();
        Ok(ImportEnd { rows, plans: Vec::new() })
    }

    /// Takes a file in: all of its rows, or none when any is refused and they are not to be passed over. What is planned or
    /// changed waits for somebody to agree.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotPostable`, `Port`.
    pub async fn import_posts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        lines: Vec<ImportLine>,
        skip_refused: bool,
    ) -> Result<ImportEnd, PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let (judged, uploads) = self.judge(tx, actor, lines, true).await?;
        let refused = |(line, verdict): &(u64, Verdict)| match verdict {
            Verdict::Refused(_, _, why) => Some((*line, why.clone())),
            Verdict::Create(_) | Verdict::Change(..) | Verdict::Unchanged(..) => None,
        };
        let count = judged.iter().filter_map(refused).count();
        if let Some((line, why)) = judged.iter().find_map(refused)
            && !skip_refused
        {
            let problem = format!(
                "has {count} rows that can't be taken, the first at line {line}, which {why}; importPreview tells them all, \
                 and skipRefused passes them over"
            );
            return Err(PublishingError::NotPostable { field: "text", problem });
        }
        self.take_in(tx, actor, judged, &uploads).await
    }

    /// What is to be done with each row, and the files that rows name.
    async fn judge(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        lines: Vec<ImportLine>,
        lock: bool,
    ) -> Result<(Vec<(u64, Verdict)>, BTreeMap<UploadId, Upload>), PublishingError> {
        if lines.is_empty() || lines.len() > ITEMS_MAX {
            let problem = format!("must have 1 to {ITEMS_MAX} rows; split the file");
            return Err(PublishingError::Invalid { field: "text", problem });
        }
        let rows = || lines.iter().filter_map(|(_, row)| row.as_ref().ok());
        let references: Vec<_> = rows().map(|row| row.reference.clone()).collect();
        let accounts = self.accounts_by_id(tx, actor, rows().map(|row| row.account)).await?;
        let uploads = self.uploads_by_id(tx, actor, rows().map(|row| row.draft.upload)).await?;
        if lock {
            // Turns before posts, and all of them in one order.
            let found = tx.posts_by_reference(&references, false).await?;
            tx.wake_accounts(&found.iter().map(|post| (post.account, None)).collect()).await?;
        }
        let posts = tx.posts_by_reference(&references, lock).await?;
        let posts: HashMap<_, _> = posts.into_iter().map(|post| (post.file_reference(), post)).collect();
        let times = || rows().map(|row| row.planned_at);
        let now = self.0.clock.now();
        let span = (times().min().unwrap_or(now), times().max().unwrap_or(now));
        let all: Vec<_> = accounts.values().cloned().collect();
        let days = self.days(tx, &all, span).await?;
        let mut named = Named { accounts, uploads, posts, days };
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut judged = Vec::with_capacity(lines.len());
        for (line, row) in lines {
            let verdict = match row {
                Err((reference, why)) => Verdict::Refused(reference, None, why),
                Ok(row) => match seen.insert(row.reference.clone(), line) {
                    Some(other) => {
                        let why = format!("has the reference of line {other}; give each row its own");
                        Verdict::Refused(Some(row.reference), None, why)
                    }
                    None => self.verdict(&mut named, row),
                },
            };
            judged.push((line, verdict));
        }
        Ok((judged, named.uploads))
    }

    fn verdict(&self, named: &mut Named, row: ImportRow) -> Verdict {
        let refused = |row: ImportRow, post, why: String| Verdict::Refused(Some(row.reference), post, why);
        let now = self.0.clock.now();
        let there = named.posts.get(&row.reference).cloned();
        let id = there.as_ref().map(|post| post.id);
        if let Err(why) = row.check(now) {
            return refused(row, id, why);
        }
        let Some(account) = named.accounts.get(&row.account) else {
            return refused(row, None, "has an account_id that names nothing there is".to_owned());
        };
        let Some(upload) = named.uploads.get(&row.draft.upload) else {
            return refused(row, id, "has an upload_id that names nothing there is".to_owned());
        };
        if let Some(post) = &there {
            if post.account != row.account {
                let why = "is of another account than its post; give it another reference";
                return refused(row, None, why.to_owned());
            }
            if post.draft == row.draft && post.planned_at == row.planned_at {
                return Verdict::Unchanged(row.reference, post.id);
            }
            if !post.allows(PostOp::Change) {
                let why =
                    format!("is of a post that is {} and can't be changed", post.state.status().as_str());
                return refused(row, id, why);
            }
            named.days.remove(post.account, post.planned_at);
        }
        let fits = self.check(row.planned_at, &row.draft, account, upload);
        if let Err(why) = fits.and_then(|()| named.days.add(row.account, row.planned_at)) {
            return refused(row, id, why);
        }
        match there {
            None => Verdict::Create(row),
            Some(post) => {
                let changes = changes(&post, &row);
                Verdict::Change(Box::new(post), row, changes)
            }
        }
    }

    async fn take_in(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        judged: Vec<(u64, Verdict)>,
        uploads: &BTreeMap<UploadId, Upload>,
    ) -> Result<ImportEnd, PublishingError> {
        let mut end = ImportEnd::default();
        let mut changed = Vec::new();
        // A plan for each name and file.
        let mut new: BTreeMap<(String, UploadId), Vec<Post>> = BTreeMap::new();
        let now = self.0.clock.now();
        let digest = |id: &UploadId| uploads.get(id).and_then(|upload| upload.digest);
        for (line, verdict) in judged {
            let mut made = None;
            match &verdict {
                Verdict::Create(row) => {
                    let id = PostId::new(&*self.0.ids);
                    made = Some(id);
                    let posts = new.entry((row.plan.trim().to_owned(), row.draft.upload)).or_default();
                    let plan = posts.first().map_or_else(|| PlanId::new(&*self.0.ids), |post| post.plan);
                    let mut post = Post::new(id, (plan, row.account), row.draft.clone(), row.planned_at, now);
                    post.reference = Some(row.reference.clone());
                    post.file = digest(&row.draft.upload);
                    post.occurrence =
                        1 + u32::try_from(posts.iter().filter(|other| other.account == row.account).count())
                            .unwrap_or(u32::MAX - 1);
                    posts.push(post);
                }
                Verdict::Change(post, row, _) => {
                    let mut post = (**post).clone();
                    post.change(row.draft.clone(), row.planned_at)?;
                    post.file = digest(&row.draft.upload);
                    changed.push((post, NoteKind::Changed, Some("by an import".to_owned())));
                }
                Verdict::Unchanged(..) | Verdict::Refused(..) => {}
            }
            end.rows.push(told(line, &verdict, made));
        }
        for ((name, upload), posts) in new {
            let (Some(upload), Some(first)) = (uploads.get(&upload), posts.first()) else { continue };
            let plan = Plan { id: first.plan, ..self.new_plan(actor, &name, upload) };
            self.keep_plan(tx, &plan, posts).await?;
            end.plans.push(plan.id);
        }
        self.keep_all(tx, &changed).await?;
        let target = end.plans.first().map(|plan| plan.uuid());
        tx.record(Record::success(actions::IMPORT_POSTS, Party { kind: "plan", id: target })).await?;
        Ok(end)
    }
}

fn told(line: u64, verdict: &Verdict, made: Option<PostId>) -> ImportedRow {
    let (reference, post, end) = match verdict {
        Verdict::Create(row) => (Some(row.reference.clone()), made, ImportRowEnd::Created),
        Verdict::Change(post, row, changes) => {
            (Some(row.reference.clone()), Some(post.id), ImportRowEnd::Changed(changes.clone()))
        }
        Verdict::Unchanged(reference, post) => {
            (Some(reference.clone()), Some(*post), ImportRowEnd::Unchanged)
        }
        Verdict::Refused(reference, post, why) => {
            (reference.clone(), *post, ImportRowEnd::Refused(why.clone()))
        }
    };
    ImportedRow { line, reference, post, end }
}
