//! Sequencing, reading and checking the audit log on memory adapters.

mod reading;
mod sequencing;
mod site;
mod verifying;
