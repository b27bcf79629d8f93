//! What Matricula is: its contexts, their rules and use cases. No I/O happens here.
//!
//! Contexts and the arrows between them: `kernel <- identity <- accounts`, `kernel <- content`, `accounts <- publishing`,
//! `content <- publishing`, `kernel <- compliance`. A context holds another's facade, never its model internals or tables;
//! of its ports it names the transaction alone, to lend it its own.
//!
//! Invariants kept across all of them:
//! - Everything a tenant owns is reached through a [`kernel::scope::TenantScope`].
//! - A state change and its audit event are written in one transaction, the [`work::Work`] a use case is given.
//! - Time, identifiers and randomness are ports; nothing here reads a clock or rolls a die.

pub mod accounts;
pub mod compliance;
pub mod content;
pub mod identity;
pub mod kernel;
pub mod publishing;
pub mod work;
