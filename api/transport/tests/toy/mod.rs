//! A small schema and host, shared by the tests and the example server.

pub(crate) mod host;
pub(crate) mod schema;
pub(crate) mod server;
