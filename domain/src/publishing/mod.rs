//! Posts: one piece of content on one account, from the plan to what became of it on the platform.
//!
//! Vocabulary: a *post* is one piece of content meant for one account at one time; its *medium* is the file as the
//! platform has it once it was uploaded; to *create* is to ask the platform to post the medium, which it then *reviews*.
//!
//! Invariants:
//! - A creation is written down before it is asked for. One that has no answer is *unknown*: nothing more is asked for
//!   until reading the platform has settled whether it was done. So nothing is ever posted twice.
//! - That a post is not on the platform is believed only when the platform was asked after a time in which it would have
//!   shown, and a post is never lost: what is neither done nor given up has a next step.
//! - An unknown word of a platform is "pending", never "done".
//!
//! The second holds only as far as a platform writes captions back as they were sent and workers do not overlap: both have
//! to be put right before anything drives this.
//!
//! Absent on purpose: retries of a creation without evidence, however sure a time-out looks.

pub mod model;
pub mod ports;
