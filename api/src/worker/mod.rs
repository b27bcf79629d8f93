//! What happens without a caller.

mod sequence;
mod token_pool;

pub use sequence::sequence;
pub use token_pool::tend_tokens;
