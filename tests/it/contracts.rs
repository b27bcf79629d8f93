//! What the domain's ports promise, of the adapters that are kept in Postgres. Their twins in memory are held to the same
//! in `domain/tests/`.

use std::sync::Arc;

use domain::{
    identity::{model::Slug, testkit::stores_keep_their_promises},
    kernel::ids::IdSource as _,
};
use harness::app::TestApp;
use infra::{
    postgres::{Db, LogWatch, LogWatchSettings, PgUnits, PoolSettings},
    system::System,
};

#[tokio::test(flavor = "multi_thread")]
async fn identitys_stores_keep_their_promises() {
    let app = TestApp::start().await.unwrap();
    let parts = &app.service.parts.app;
    let db = |url: &str| Db::connect(url, PoolSettings::default()).unwrap();
    let logs = LogWatch::start(db(app.recorder_url()), LogWatchSettings::default());
    let system = Arc::new(System);
    let units = PgUnits::new(
        db(app.app_url()),
        parts.vault.clone(),
        parts.feed.clone(),
        system.clone(),
        system,
        logs,
    );
    let unique = System.next_uuid().simple().to_string();
    let slug = Slug::parse(&format!("c-{}", &unique[16..])).unwrap();
    stores_keep_their_promises(&units, &System, slug, parts.clock.now()).await.unwrap();
    app.stop().await.unwrap();
}
