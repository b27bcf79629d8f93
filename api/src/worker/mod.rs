//! What happens without a caller.

mod sequence;

pub use sequence::sequence;
