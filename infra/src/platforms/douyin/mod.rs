//! Douyin's open platform. README.md says what was read where, and what is inferred.
//!
//! Invariants
//! - An answer is a yes only with code 0 and all that must be in it; a code that no table has, a gateway's page or half
//!   an answer is neither yes nor no ([`PlatformError::Unknown`](domain::accounts::ports::PlatformError)).
//! - Tokens and secrets are in form bodies alone, never in an address; nothing the platform writes is kept in an error.
//!
//! Absent on purpose: the tokens of apps and of mini-app businesses, which nothing here uses yet, and PKCE, which the
//! platform does not document.

mod auth;
mod client;
mod config;
mod error;
mod facts;
mod media;
mod publisher;
mod quotas;
mod tokens;
mod webhook;
mod wire;

use std::sync::Arc;

use domain::{accounts::ports::Authorizer, publishing::ports::Publisher};
use serde_json::Value;

pub use auth::DouyinAuthorizer;
pub use config::DouyinSettings;
pub(super) use media::MEDIA_RULES;
pub use publisher::DouyinPublisher;
pub(super) use quotas::QUOTAS;

use super::SettingFault;
use crate::outbound::Transport;

/// What the platform is called here.
pub const KEY: &str = "douyin";

/// The platform's adapter, of its table.
///
/// # Errors
/// What is wrong with the table.
pub fn register(table: &Value, transport: Arc<dyn Transport>) -> Result<Arc<dyn Authorizer>, SettingFault> {
    let settings = DouyinSettings::read(table)?;
    let authorizer = DouyinAuthorizer::new(transport, settings)
        .map_err(|fault| SettingFault { setting: KEY.to_owned(), problem: fault.to_string() })?;
    Ok(Arc::new(authorizer))
}

/// What posts on the platform, of its table.
///
/// # Errors
/// What is wrong with the table.
pub fn publisher(table: &Value, transport: Arc<dyn Transport>) -> Result<Arc<dyn Publisher>, SettingFault> {
    Ok(Arc::new(DouyinPublisher::new(transport, DouyinSettings::read(table)?)))
}
