//! What happens without a caller.

mod attest;
mod changes;
mod erasures;
mod notarise;
mod posts;
mod records;
mod reports;
mod retention;
mod segments;
mod sequence;
mod token_pool;
mod transcodes;
mod turns;
mod uploads;
mod verify;

pub use attest::attest_heads;
pub use changes::tell_changes;
pub use erasures::{end_tenants, keep_erasures};
pub use notarise::notarise;
pub use posts::publish_posts;
pub use records::make_records;
pub use reports::make_reports;
pub use retention::prune_logs;
pub use segments::cut_segments;
pub use sequence::sequence;
pub use token_pool::tend_tokens;
pub use transcodes::make_transcodes;
pub use uploads::tend_uploads;
pub use verify::verify_logs;
