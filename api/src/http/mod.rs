//! Plain HTTP: what comes before a session, the keys tokens are checked with, what platforms send, files that come in and
//! go out, and what operators ask.

mod auth;
mod caller;
mod exports;
mod health;
mod link;
mod reports;
mod uploads;
mod webhook;
mod witness;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};

use crate::app::App;

pub use health::{Dependency, Health};
pub(crate) use reports::REPORTS;
pub use uploads::{Places, UPLOADS};
pub use witness::mount_witness;

/// Mounts the doors before sign-in, the public keys, what platforms send owners and news to, and where files come in and
/// go out.
pub fn mount_public(app: &Arc<App>, config: &mut ServiceConfig) {
    config
        .app_data(web::Data::from(Arc::clone(app)))
        .configure(auth::mount)
        .configure(link::mount)
        .configure(exports::mount)
        .configure(reports::mount)
        .configure(uploads::mount)
        .configure(webhook::mount);
}

/// Mounts liveness, readiness and figures. They answer on the operators' port.
pub fn mount_operators(app: &Arc<App>, health: &Arc<Health>, config: &mut ServiceConfig) {
    config
        .app_data(web::Data::from(Arc::clone(app)))
        .app_data(web::Data::from(Arc::clone(health)))
        .configure(health::mount);
}
