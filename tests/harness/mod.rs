//! The product as tests see it: [`app::TestApp`] is one running service with a database, a key prefix and ports of its
//! own; [`stores`] is where it gets them, and
//! [`process`] is the program by itself.

pub mod app;
pub mod authority;
pub mod chain;
pub mod client;
pub mod logs;
pub mod platform;
pub mod posting;
pub mod process;
pub mod stores;
