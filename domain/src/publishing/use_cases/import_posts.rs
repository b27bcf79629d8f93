//! Posts come in as rows of somebody's file: what is new is planned, what is there already is changed, and a row that says
//! what is there changes nothing, however often the file comes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{
            CAPTION_MAX_CHARS, ITEMS_MAX, NAME_MAX_CHARS, Plan, Post, PostDraft, PostOp, PostStatus,
            Visibility, in_range,
        },
        ports::{Foreseen, Prospect, PublishingTx},
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

/// Most plans and files of one import.
const PLANS_MAX: usize = 50;

/// A row that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// Its name in the file, which it keeps from one import to the next.
    pub reference: String,
    /// What people call the plan it becomes part of, when it is new.
    pub plan: Option<String>,
    /// The account.
    pub account: AccountId,
    /// When it is to be there.
    pub planned_at: Timestamp,
    /// The file.
    pub upload: UploadId,
    /// The text beside it; `None` leaves it as it is.
    pub caption: Option<String>,
    /// Its cover, in milliseconds, or that it is left to the platform; `None` leaves it as it is.
    pub cover_at_ms: Option<Option<u64>>,
    /// Who may see it; `None` leaves it as it is.
    pub visibility: Option<Visibility>,
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
    /// How that stood before.
    pub status: Option<PostStatus>,
    /// What comes of it.
    pub end: ImportRowEnd,
    /// What would speak against its post, and does not stop it. Told before it is done; afterwards the post says it itself.
    pub warnings: Vec<Foreseen>,
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
    Create(ImportRow, PostDraft),
    Change(Box<Post>, Timestamp, PostDraft),
    Unchanged(Box<Post>),
    Refused(Option<String>, Option<Box<Post>>, String),
}

/// What rows name.
struct Named {
    accounts: BTreeMap<AccountId, Postable>,
    uploads: BTreeMap<UploadId, Upload>,
    posts: HashMap<String, Post>,
    /// References of posts that the actor does not reach.
    foreign: HashSet<String>,
    days: Days,
}

fn texts_of(draft: &PostDraft, planned_at: Timestamp) -> [(&'static str, String); 5] {
    [
        ("upload_id", draft.upload.uuid().to_string()),
        ("planned_at", planned_at.to_rfc3339()),
        ("caption", draft.caption.clone()),
        ("cover_at_ms", draft.cover_at_ms.map(|ms| ms.to_string()).unwrap_or_default()),
        ("visibility", draft.visibility.as_str().to_owned()),
    ]
}

fn changes(post: &Post, planned_at: Timestamp, draft: &PostDraft) -> Vec<FieldChange> {
    let pairs = texts_of(&post.draft, post.planned_at).into_iter().zip(texts_of(draft, planned_at));
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
        if !is_text(self.plan(), NAME_MAX_CHARS) {
            return Err(format!("has a plan that is not 1 to {NAME_MAX_CHARS} characters"));
        }
        let caption = self.caption.as_deref().unwrap_or_default();
        if caption.contains('\0') {
            return Err("has a caption with a character that no text has".to_owned());
        }
        if caption.chars().count() > CAPTION_MAX_CHARS {
            return Err(format!("has a caption of more than {CAPTION_MAX_CHARS} characters"));
        }
        in_range(self.planned_at, now)
    }

    fn plan(&self) -> &str {
        self.plan.as_deref().map_or("Import", str::trim)
    }

    /// What is posted, as the row says, or as it is.
    fn draft(&self, there: Option<&PostDraft>) -> PostDraft {
        let caption = self.caption.clone().or_else(|| there.map(|draft| draft.caption.clone()));
        let visibility = self.visibility.or(there.map(|draft| draft.visibility));
        PostDraft {
            upload: self.upload,
            caption: caption.unwrap_or_default(),
            cover_at_ms: self.cover_at_ms.unwrap_or_else(|| there.and_then(|draft| draft.cover_at_ms)),
            visibility: visibility.unwrap_or(Visibility::Public),
        }
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
        let (judged, uploads) = self.judge(tx, actor, lines, false).await?;
        let mut rows: Vec<_> = judged.iter().map(|(line, verdict)| told(*line, verdict, None)).collect();
        let digest = |id: &UploadId| uploads.get(id).and_then(|upload| upload.digest);
        let (of, prospects): (Vec<_>, Vec<_>) = judged
            .iter()
            .enumerate()
            .filter_map(|(at, (_, verdict))| {
                let (post, account, planned_at, draft) = match verdict {
                    Verdict::Create(row, draft) => (None, row.account, row.planned_at, draft),
                    Verdict::Change(post, planned_at, draft) => {
                        (Some(post.id), post.account, *planned_at, draft)
                    }
                    Verdict::Unchanged(_) | Verdict::Refused(..) => return None,
                };
                let (file, caption) = (digest(&draft.upload), Some(draft.caption.clone()));
                Some((at, Prospect { post, account, file, caption, planned_at }))
            })
            .unzip();
        for (place, warnings) in self.foresee(tx, actor, &prospects).await? {
            if let Some(row) = of.get(place).and_then(|at| rows.get_mut(*at)) {
                row.warnings = warnings;
            }
        }
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
            Verdict::Create(..) | Verdict::Change(..) | Verdict::Unchanged(_) => None,
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
        let now = self.0.clock.now();
        let rows = || lines.iter().filter_map(|(_, row)| row.as_ref().ok());
        let references: Vec<_> = rows().map(|row| row.reference.clone()).collect();
        let mut plans: Vec<_> = rows().map(|row| (row.plan(), row.upload)).collect();
        plans.sort_unstable();
        plans.dedup();
        if plans.len() > PLANS_MAX {
            let problem =
                format!("names {} plans and files; {PLANS_MAX} go into one file, so split it", plans.len());
            return Err(PublishingError::Invalid { field: "text", problem });
        }
        let accounts = self.accounts_by_id(tx, actor, rows().map(|row| row.account)).await?;
        let uploads = self.uploads_by_id(tx, actor, rows().map(|row| row.upload)).await?;
        let reached = self.0.accounts.reached(tx, actor, None).await?;
        let is_reached = |post: &Post| reached.as_ref().is_none_or(|all| all.contains(&post.account));
        if lock {
            // Nobody else makes a post of one of these references; then turns before posts, and all of them in one order.
            tx.hold_imports().await?;
            let found = tx.posts_by_reference(&references).await?;
            let found = found.iter().filter(|post| is_reached(post)).map(|post| post.account);
            tx.wake_accounts(&found.chain(accounts.keys().copied()).map(|id| (id, None)).collect()).await?;
        }
        let (mut posts, mut foreign) = (HashMap::new(), HashSet::new());
        for post in tx.posts_by_reference(&references).await? {
            let reference = post.file_reference();
            if !is_reached(&post) {
                foreign.insert(reference);
            } else if let Some(post) = if lock { tx.lock_post(post.id).await? } else { Some(post) } {
                posts.insert(reference, post);
            }
        }
        let times = || rows().map(|row| row.planned_at).filter(|at| in_range(*at, now).is_ok());
        let span = (times().min().unwrap_or(now), times().max().unwrap_or(now));
        let all: Vec<_> = accounts.values().cloned().collect();
        // Their turns are locked already, where they are to be.
        let mut days = self.days(tx, &all, span, false).await?;
        // What moves is in no other's way, whichever row comes first.
        for row in rows() {
            if let Some(post) = posts.get(&row.reference).filter(|post| moves(post, row)) {
                days.remove(post.account, post.planned_at);
            }
        }
        let mut named = Named { accounts, uploads, posts, foreign, days };
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
        let there = named.posts.get(&row.reference).cloned();
        let planned_at = there.as_ref().map(|post| (post.account, post.planned_at));
        let was_moved = there.as_ref().is_some_and(|post| moves(post, &row));
        match self.fit(named, &row, there.as_ref()) {
            Err(why) => {
                if let Some((account, planned_at)) = planned_at.filter(|_| was_moved) {
                    named.days.keep(account, planned_at);
                }
                let there = there.filter(|post| post.account == row.account);
                Verdict::Refused(Some(row.reference), there.map(Box::new), why)
            }
            Ok(draft) => match there {
                None => Verdict::Create(row, draft),
                Some(post) if !was_moved => Verdict::Unchanged(Box::new(post)),
                Some(post) => Verdict::Change(Box::new(post), row.planned_at, draft),
            },
        }
    }

    /// What is posted by a row, counted in on its day; why it can't be.
    fn fit(&self, named: &mut Named, row: &ImportRow, there: Option<&Post>) -> Result<PostDraft, String> {
        row.check(self.0.clock.now())?;
        if named.foreign.contains(&row.reference) {
            return Err("has a reference that is taken; give it another".to_owned());
        }
        let account = named.accounts.get(&row.account);
        let account = account.ok_or("has an account_id that names nothing there is")?;
        let upload = named.uploads.get(&row.upload).ok_or("has an upload_id that names nothing there is")?;
        let draft = row.draft(there.map(|post| &post.draft));
        if let Some(post) = there {
            if post.account != row.account {
                return Err("is of another account than its post; give it another reference".to_owned());
            }
            if !is_other(post, row) {
                return Ok(draft);
            }
            if !post.allows(PostOp::Change) {
                let status = post.state.status().as_str();
                return Err(format!("is of a post that is {status} and can't be changed"));
            }
        }
        self.check(row.planned_at, &draft, account, upload)?;
        if there.is_some_and(|post| post.planned_at == row.planned_at) {
            named.days.keep(row.account, row.planned_at);
        } else {
            named.days.add(row.account, row.planned_at)?;
        }
        Ok(draft)
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
                Verdict::Create(row, draft) => {
                    let id = PostId::new(&*self.0.ids);
                    made = Some(id);
                    let posts = new.entry((row.plan().to_owned(), row.upload)).or_default();
                    let plan = posts.first().map_or_else(|| PlanId::new(&*self.0.ids), |post| post.plan);
                    let mut post = Post::new(id, (plan, row.account), draft.clone(), row.planned_at, now);
                    post.reference = Some(row.reference.clone());
                    post.file = digest(&row.upload);
                    let before = posts.iter().filter(|other| other.account == row.account).count();
                    post.occurrence = u32::try_from(before + 1).unwrap_or(u32::MAX);
                    posts.push(post);
                }
                Verdict::Change(post, planned_at, draft) => {
                    let mut post = (**post).clone();
                    post.change(draft.clone(), *planned_at)?;
                    post.file = digest(&draft.upload);
                    changed.push((post, NoteKind::Changed, Some("by an import".to_owned())));
                }
                Verdict::Unchanged(_) | Verdict::Refused(..) => {}
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
        // One event for each plan that there is, or that has other posts than before.
        let touched: BTreeSet<_> =
            end.plans.iter().copied().chain(changed.iter().map(|(post, ..)| post.plan)).collect();
        for plan in &touched {
            let target = Party::new("plan", plan.uuid());
            tx.record(Record::success(actions::IMPORT_POSTS, target)).await?;
        }
        if touched.is_empty() {
            tx.record(Record::success(actions::IMPORT_POSTS, Party { kind: "plan", id: None })).await?;
        }
        Ok(end)
    }
}

/// Whether a row says anything else than its post is.
fn moves(post: &Post, row: &ImportRow) -> bool {
    post.allows(PostOp::Change) && is_other(post, row)
}

/// Whether a row says another thing than the post does.
fn is_other(post: &Post, row: &ImportRow) -> bool {
    post.draft != row.draft(Some(&post.draft)) || post.planned_at != row.planned_at
}

fn told(line: u64, verdict: &Verdict, made: Option<PostId>) -> ImportedRow {
    let (reference, there, end) = match verdict {
        Verdict::Create(row, _) => (Some(row.reference.clone()), None, ImportRowEnd::Created),
        Verdict::Change(post, planned_at, draft) => {
            let changes = changes(post, *planned_at, draft);
            (Some(post.file_reference()), Some(post), ImportRowEnd::Changed(changes))
        }
        Verdict::Unchanged(post) => (Some(post.file_reference()), Some(post), ImportRowEnd::Unchanged),
        Verdict::Refused(reference, post, why) => {
            (reference.clone(), post.as_ref(), ImportRowEnd::Refused(why.clone()))
        }
    };
    ImportedRow {
        line,
        reference,
        post: there.map(|post| post.id).or(made),
        status: there.map(|post| post.state.status()),
        end,
        warnings: Vec::new(),
    }
}
