//! Sequencing and reading the audit log on memory adapters.

mod reading;
mod sequencing;
mod site;
