//! Key providers against what they are adapters of: a key service, a PKCS #11 module, a file.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code fails by panicking")]

mod contract;
mod key_service;
mod module;
#[path = "../moto/mod.rs"]
mod moto;
mod report_keys;

use std::sync::Arc;

use infra::{local_keyring::LocalKeyring, system::System};

#[tokio::test]
async fn the_local_keyring_keeps_the_contract() {
    contract::holds(Arc::new(LocalKeyring::ephemeral(&System))).await;
}
