//! Figures of posts in the schema.

use async_graphql::{Context, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::{
        actor::Actor,
        ids::{AccountId, GroupId, PlanId, PostId},
    },
    publishing::{
        FigureFilter,
        ports::{self, FigureReading},
    },
    work::Work,
};
use output::Output;

use crate::{
    app::App,
    graphql::{
        command::app,
        error::ApiError,
        reading::reading,
        scalars::{Kind, id_of},
    },
};

/// When each figure was last told by the platform; for a sum, the stalest of those that make it up. Null where none was.
#[derive(SimpleObject, Output, Clone)]
pub struct FigureTimes {
    /// Plays.
    plays: Option<DateTime<Utc>>,
    /// Likes.
    likes: Option<DateTime<Utc>>,
    /// Comments.
    comments: Option<DateTime<Utc>>,
    /// Shares.
    shares: Option<DateTime<Utc>>,
}

impl From<ports::FigureTimes> for FigureTimes {
    fn from(times: ports::FigureTimes) -> Self {
        Self { plays: times.plays, likes: times.likes, comments: times.comments, shares: times.shares }
    }
}

/// Figures of a post, as they were read on the platform. Null is not zero: the platform does not tell it.
#[derive(SimpleObject, Output, Clone)]
pub struct PostFigures {
    /// When they were read.
    read_at: DateTime<Utc>,
    /// Plays, in decimal digits.
    plays: Option<String>,
    /// Likes, in decimal digits.
    likes: Option<String>,
    /// Comments, in decimal digits.
    comments: Option<String>,
    /// Shares, in decimal digits.
    shares: Option<String>,
    /// How fresh each is.
    told_at: FigureTimes,
}

fn digits(figure: Option<u64>) -> Option<String> {
    figure.map(|figure| figure.to_string())
}

impl From<FigureReading> for PostFigures {
    fn from(reading: FigureReading) -> Self {
        let figures = reading.figures;
        Self {
            read_at: reading.read_at,
            plays: digits(figures.plays),
            likes: digits(figures.likes),
            comments: digits(figures.comments),
            shares: digits(figures.shares),
            told_at: reading.told_at.into(),
        }
    }
}

/// Figures of several posts together. Null is not zero: no platform tells it.
#[derive(SimpleObject, Output, Clone)]
pub struct FigureTotals {
    /// Opaque; another whenever any of the figures is. `figures(sinceSeq:)` resumes from it.
    seq: String,
    /// Posts that figures were read of.
    posts: String,
    /// When the stalest of them was read; null when there is none.
    read_at: Option<DateTime<Utc>>,
    /// Plays, in decimal digits.
    plays: Option<String>,
    /// Likes, in decimal digits.
    likes: Option<String>,
    /// Comments, in decimal digits.
    comments: Option<String>,
    /// Shares, in decimal digits.
    shares: Option<String>,
    /// How fresh each is.
    told_at: FigureTimes,
}

impl From<ports::FigureTotal> for FigureTotals {
    fn from(total: ports::FigureTotal) -> Self {
        let figures = total.figures;
        Self {
            seq: total.mark(),
            posts: total.posts.to_string(),
            read_at: total.read_at,
            plays: digits(figures.plays),
            likes: digits(figures.likes),
            comments: digits(figures.comments),
            shares: digits(figures.shares),
            told_at: total.told_at.into(),
        }
    }
}

/// How late the platform took posts, from when they were promised: their time, or when they were agreed to if that came
/// after.
#[derive(SimpleObject, Output, Clone)]
pub struct Lateness {
    /// Posts that the platform took.
    accepted: String,
    /// Milliseconds by which half of them were late, at most; null when there is none.
    p50_ms: Option<String>,
    /// Milliseconds by which all but one in a hundred were late, at most.
    p99_ms: Option<String>,
    /// Posts that are late and that the platform has not taken yet.
    overdue: String,
}

impl From<ports::Lateness> for Lateness {
    fn from(lateness: ports::Lateness) -> Self {
        let millis = |seconds: f64| format!("{:.0}", seconds * 1_000.0);
        Self {
            accepted: lateness.accepted.to_string(),
            p50_ms: lateness.p50_s.map(millis),
            p99_ms: lateness.p99_s.map(millis),
            overdue: lateness.overdue.to_string(),
        }
    }
}

/// Whose figures are asked for, in global ids.
pub(super) struct Asked {
    pub(super) group: Option<ID>,
    pub(super) account: Option<ID>,
    pub(super) plan: Option<ID>,
    pub(super) post: Option<ID>,
}

impl Asked {
    pub(super) fn filter(&self) -> Result<FigureFilter, ApiError> {
        let of = |kind, id: &Option<ID>| id.as_ref().map(|id| id_of(kind, id)).transpose();
        Ok(FigureFilter {
            group: of(Kind::Group, &self.group)?.map(GroupId::from_uuid),
            account: of(Kind::Account, &self.account)?.map(AccountId::from_uuid),
            plan: of(Kind::Plan, &self.plan)?.map(PlanId::from_uuid),
            post: of(Kind::Post, &self.post)?.map(PostId::from_uuid),
        })
    }
}

pub(super) async fn totals(ctx: &Context<'_>, asked: &Asked) -> Result<FigureTotals, ApiError> {
    let (actor, mut work) = reading(ctx, "figures").await?;
    Ok(total(app(ctx), &mut *work, &actor, asked.filter()?).await?.into())
}

pub(super) async fn total(
    app: &App,
    work: &mut dyn Work,
    actor: &Actor,
    filter: FigureFilter,
) -> Result<ports::FigureTotal, ApiError> {
    Ok(app.publishing.total_figures(work, actor, filter).await?)
}
