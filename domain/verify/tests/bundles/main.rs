//! Bundles made by the writer, checked by the verifier and by stock openssl; and bundles that somebody meddled with,
//! each with the step at which it is refused.

mod container_attacks;
mod corpus;
mod flips;
mod good;
mod kit;
mod log_attacks;
mod reach;
mod report_attacks;
mod seal_attacks;
mod stock;
