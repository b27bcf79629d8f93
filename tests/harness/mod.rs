//! Placeholder.

pub mod stores;
