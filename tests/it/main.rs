//! The product seen from outside: GraphQL and HTTP against a real Postgres and a real Redis.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod accounts_stores;
mod alerts;
mod attacks;
mod audit;
mod auditors;
mod buckets;
mod catalogue;
mod contracts;
mod coverage;
mod demo;
mod doors;
mod faults;
mod fsck;
mod identity;
mod isolation;
mod keys;
mod lists;
mod lists_of_posts;
mod members;
mod plans;
mod platform_log;
mod pool;
mod posts;
mod posts_soak;
mod quotas;
mod reports;
mod schema;
mod sequencing;
mod subscriptions;
mod tidy;
mod transcodes;
mod turns;
mod uploads;
mod witnesses;
