//! The product as tests see it: [`app::TestApp`] is one running service with a database, a key prefix and ports of its
//! own; [`stores`] is where it gets them.

pub mod app;
pub mod client;
pub mod platform;
pub mod stores;
