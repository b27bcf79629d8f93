//! Posts: one piece of content on one account, from the plan to what became of it on the platform.
//!
//! Vocabulary: a *plan* puts one piece of content on many accounts; a *post* is one piece of content meant for one account
//! at one time; a *timetable* is local times, each of which is a *slot*; a post's *medium* is the file as the platform has it
//! once it was uploaded; to *create* is to ask the platform to post the medium, which it then *reviews*; a *turn* is the right
//! to work for one account for a while.
//!
//! Invariants:
//! - A creation is written down before it is asked for. One that has no answer is *unknown*: nothing more is asked for in
//!   the account's name until reading the platform has settled whether it was done. So nothing is ever posted twice.
//! - That a post is not on the platform is believed only when the account's list shows no post that might be it, read
//!   after a time in which it would have shown; texts prove nothing, for platforms rewrite them. What reading can't settle,
//!   somebody decides who looks.
//! - A post is never lost: what is neither done nor given up has a next step, and a time for it.
//! - Who works for an account has its turn; each turn has a number, and what is written under an older one is refused. A
//!   platform's yes alone is taken in whenever it comes.
//! - An unknown word of a platform is "pending", never "done".
//!
//! Absent on purpose: retries of a creation without evidence, however sure a time-out looks.

pub mod actions;
mod error;
pub mod events;
pub mod model;
pub mod ports;
mod use_cases;

pub use error::PublishingError;
pub use use_cases::{
    Publishing, PublishingPorts,
    change_plan::PlanChange,
    change_post::PostChange,
    change_timetable::TimetableChange,
    create_fleet::{FleetCreation, FleetTexts},
    import_posts::{FieldChange, ImportEnd, ImportLine, ImportRow, ImportRowEnd, ImportedRow},
    plan_fleet::{FleetAnswer, FleetDraft, FleetItem, FleetPlace, FleetRoom},
    publish_due::{TurnEnd, Yes},
    read_posts::{FigureFilter, PostFilter},
    read_timetables::SlotTime,
};
