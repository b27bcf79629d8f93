//! Serves the toy schema on the port given as first argument (4000 by default), for audits from outside.

#![expect(clippy::unwrap_used, clippy::unused_async, reason = "the toy is test code and fails by panicking")]
#![expect(dead_code, reason = "the toy holds what tests need and this server does not")]

#[path = "../tests/toy/mod.rs"]
mod toy;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(4000), |text| text.parse())?;
    let server = toy::server::Server::start_with(transport::Config::default(), port)?;
    tokio::signal::ctrl_c().await?;
    server.drain.begin();
    Ok(())
}
