//! The words all contexts share: who acts, for which tenant, when, under which identifier, and how a
//! port says that something outside failed.
//!
//! Nothing in here knows of a context. A type moves in only when two contexts need it.

pub mod action;
pub mod actor;
pub mod clock;
pub mod fault;
pub mod feed;
pub mod ids;
pub mod limit;
pub mod name;
pub mod outbox;
pub mod page;
pub mod platform;
pub mod scope;
pub mod secret;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod token;
