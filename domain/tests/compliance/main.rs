//! Sequencing and reading the audit log on memory adapters.

mod events;
mod reading;
mod sequencing;
mod site;
