//! Timetables in the schema.

use async_graphql::{Context, ID, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::{ids::TimetableId, page::Key},
    publishing::{SlotTime, TimetableChange, model},
};
use output::Output;

use crate::graphql::{
    command::app,
    connection::{Cursors, PageArgs, connection, connection_fields, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, global_id, parse_global_id},
};

/// Slots that are told of a timetable.
const SLOTS_MAX: usize = 20;

/// Local times for posts.
#[derive(InputObject)]
pub struct CreateTimetableInput {
    /// What people call it, at most 200 characters.
    name: String,
    /// Name of a zone of the IANA database, as `Asia/Shanghai`.
    zone: String,
    /// 1 to 50 cron rules: minute, hour, day of month, month, day of week, as `30 18 * * MON-FRI`; with seconds before them
    /// where there are six fields. Each instant of any of them is a slot.
    rules: Vec<String>,
}

/// What is changed of a timetable; what is left out stays. What is planned by it stays as it is.
#[derive(InputObject)]
pub struct ChangeTimetableInput {
    /// Its id.
    pub(super) id: ID,
    /// What people call it.
    name: Option<String>,
    /// Its zone.
    zone: Option<String>,
    /// All its rules.
    rules: Option<Vec<String>>,
}

/// Which timetable.
#[derive(InputObject)]
pub struct RemoveTimetableInput {
    /// Its id.
    pub(super) id: ID,
}

impl CreateTimetableInput {
    pub(super) fn draft(self) -> model::TimetableDraft {
        model::TimetableDraft { name: self.name, zone: self.zone, rules: self.rules }
    }
}

impl ChangeTimetableInput {
    pub(super) fn change(self) -> TimetableChange {
        TimetableChange { name: self.name, zone: self.zone, rules: self.rules }
    }
}

/// An instant of a timetable.
#[derive(SimpleObject, Output, Clone)]
pub struct Slot {
    /// The instant.
    at: DateTime<Utc>,
    /// The same as clocks show it in the timetable's zone, with the zone's offset then.
    local: String,
}

impl From<SlotTime> for Slot {
    fn from(slot: SlotTime) -> Self {
        Self { at: slot.at, local: slot.local }
    }
}

/// Local times for posts. Where clocks are set forward, what is skipped holds right after; where they are set back, a fixed
/// time holds once, the first time round.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Timetable {
    #[graphql(skip)]
    known: model::Timetable,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What people call it.
    name: String,
    /// Name of its zone in the IANA database.
    zone: String,
    /// Its cron rules.
    rules: Vec<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<model::Timetable> for Timetable {
    fn from(known: model::Timetable) -> Self {
        Self {
            id: global_id(Kind::Timetable, known.id.uuid()),
            name: known.draft.name.clone(),
            zone: known.draft.zone.clone(),
            rules: known.draft.rules.clone(),
            created_at: known.created_at,
            known,
        }
    }
}

#[expect(clippy::unused_async, reason = "what is asked for once a level is async, whatever it takes")]
#[output::fields]
impl Timetable {
    /// Its next slots, at most 20, whatever is planned for them.
    #[graphql(directive = transport::list_size::apply(20))]
    async fn next_slots(
        timetables: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<Slot>, ApiError>>>, ApiError> {
        let slots = |timetable: &&Self| {
            let slots = app(ctx).publishing.next_slots(&timetable.known, SLOTS_MAX);
            let slots = slots.map(|slots| slots.into_iter().map(Into::into).collect());
            Some(slots.map_err(Into::into))
        };
        Ok(timetables.iter().map(slots).collect())
    }
}

connection!(TimetableConnection, TimetableEdge, Timetable, "timetables");
connection_fields!(TimetableConnection, Timetable);

pub(super) async fn one_timetable(ctx: &Context<'_>, id: &ID) -> Result<Option<Timetable>, ApiError> {
    let (actor, mut work) = reading(ctx, "timetable").await?;
    let Some((Kind::Timetable, uuid)) = parse_global_id(id) else { return Ok(None) };
    let found = app(ctx).publishing.timetable(&mut *work, &actor, TimetableId::from_uuid(uuid)).await?;
    Ok(found.map(Into::into))
}

pub(super) async fn timetables(ctx: &Context<'_>, args: PageArgs) -> Result<TimetableConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "timetables").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "timetables", "");
    let request = cursors.request(&args)?;
    let page = app.publishing.timetables(&mut *work, &actor, request).await?;
    let key = |timetable: &model::Timetable| Key { at: timetable.created_at, id: timetable.id.uuid() };
    Ok(TimetableConnection::new(paged(page, &request, &cursors, key, Into::into)))
}
