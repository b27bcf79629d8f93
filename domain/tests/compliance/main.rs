//! Sequencing, reading and checking the audit log on memory adapters.

mod attesting;
mod events;
mod notarising;
mod reading;
mod sequencing;
mod site;
mod verifying;
mod witnessing;
