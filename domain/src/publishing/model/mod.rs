//! Values and states of posts.

mod post;
mod reading;
mod state;
#[cfg(test)]
mod tests;

pub use post::{Post, RETRIES, SETTLE_S};
pub use reading::Reading;
pub use state::{
    Evidence, Fate, Found, Medium, PartMap, PostDraft, PostFailure, PostFault, PostOp, PostState, Standing,
    Visibility,
};
