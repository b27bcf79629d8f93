//! `dev.json`: where everything is and how to get in, for scripts and tests.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::Serialize;

use super::DemoTenant;
use crate::{migrate::Logins, serve::Service, stores::Stores};

/// What `dev.json` says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DevReport {
    /// Where GraphQL answers by POST.
    pub graphql: String,
    /// Where it answers by WebSocket.
    pub websocket: String,
    /// Where figures are.
    pub metrics: String,
    /// Where platforms are rehearsed.
    pub sandbox: String,
    /// The database as the application sees it.
    pub database_url: String,
    /// The database as its administrator sees it.
    pub owner_database_url: String,
    /// Redis.
    pub redis_url: String,
    /// Process ids by name.
    pub pids: BTreeMap<&'static str, u32>,
    /// The demo tenants.
    pub tenants: Vec<DemoTenant>,
}

impl DevReport {
    pub(super) fn new(
        service: &Service,
        sandbox: SocketAddr,
        stores: &Stores,
        logins: &Logins,
        tenants: Vec<DemoTenant>,
    ) -> Self {
        let mut pids: BTreeMap<_, _> = stores.pids().into_iter().collect();
        pids.insert("matricula", std::process::id());
        Self {
            graphql: format!("http://{}/graphql", service.address),
            websocket: format!("ws://{}/graphql", service.address),
            metrics: format!("http://{}/metrics", service.operators),
            sandbox: format!("http://{sandbox}"),
            database_url: logins.app.clone(),
            owner_database_url: stores.database_url().to_string(),
            redis_url: stores.redis_url().to_string(),
            pids,
            tenants,
        }
    }

    /// The base address of the service.
    pub fn base(&self) -> &str {
        self.graphql.trim_end_matches("/graphql")
    }

    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        write_private(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Writes a file only its owner can read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let half = path.with_extension("json.new");
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(half, path)
}
