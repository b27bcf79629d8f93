//! Where an address is, as far as a local database in the MaxMind DB format (version 2.0) knows.
//!
//! Invariants: an address never leaves the process and is never written down; the answer is a country and a
//! region, nothing finer; a database that can't be read to the end stops the start, not a request.
//!
//! Absent on purpose: cities and coordinates (nothing here needs to know), a download (licences differ, and
//! deployments have their own way of bringing files), and reloading: a new file wants a new process.

mod geography;
#[cfg(test)]
mod mmdb;

pub use geography::{GeographyError, MaxMindGeography, NoGeography};
