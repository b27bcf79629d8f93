//! Values and states of posts and plans.

mod fleet;
mod plan;
mod post;
mod reading;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod timetable;
mod waits;

pub use fleet::{FLEET_ACCOUNTS_MAX, FLEET_ITEMS_MAX, Fleet, FleetAccount, FleetPlan, Placement};
pub use plan::{
    AHEAD_MAX_DAYS, CAPTION_MAX_CHARS, ITEMS_MAX, ItemDraft, NAME_MAX_CHARS, Plan, PlanDraft, filled,
    in_range,
};
pub use post::{CREATE_WITHIN_S, Hindrance, Post, Progress};
pub use reading::Reading;
pub use state::{
    Candidate, Creation, CreationEnd, Fate, Medium, PartMap, PostDraft, PostFailure, PostFault, PostOp,
    PostState, PostStatus, Resolution, Settled, Standing, Step, Visibility,
};
pub use steps::{PATIENCE_S, RETRIES_S};
pub use timetable::{
    SlotDraft, SlotList, SlotRoom, Slots, Timetable, TimetableDraft, Zone, instant_of, zone,
};
pub use waits::Overdue;
