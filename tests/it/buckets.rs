//! Files that are sent to the service and kept in a bucket.

#[path = "../../infra/tests/moto/bucket.rs"]
mod bucket;
#[path = "../../infra/tests/moto/mod.rs"]
mod moto;

use harness::app::TestApp;
use server::serve::Duties;

use self::moto::Moto;
use crate::uploads::{Sender, begin, bytes, digest, objects, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_sent_in_chunks_to_two_replicas_is_kept_in_a_bucket_and_read_back() {
    let mut moto = Moto::start();
    bucket::make(&mut moto, "files", "eu-central-1").await;
    let secret = std::env::temp_dir().join(format!("matricula-bucket-{}", std::process::id()));
    std::fs::write(&secret, "test").unwrap();
    let (endpoint, file) = (format!("http://127.0.0.1:{}", moto.port), secret.to_string_lossy().into_owned());
    let settings = [
        ("MATRICULA_CONTENT_STORE", "bucket"),
        ("MATRICULA_CONTENT_BUCKET", "files"),
        ("MATRICULA_CONTENT_REGION", "eu-central-1"),
        ("MATRICULA_CONTENT_ENDPOINT", endpoint.as_str()),
        ("MATRICULA_CONTENT_ACCESS_KEY_ID", "test"),
        ("MATRICULA_CONTENT_SECRET_ACCESS_KEY_FILE", file.as_str()),
    ];
    let app = TestApp::start_for(&settings, &Duties::all()).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let file = bytes(12 * 1024 * 1024);
    let digest = digest(&file);
    let (id, url) = begin(&app, &tenant, file.len(), Some(&digest)).await;
    let (other, client) = app.serving_process().await.unwrap();
    let [here, there] = [&app.client, &client].map(|client| Sender { client, token: &tenant.owner.token });
    let path = url.strip_prefix(app.client.base()).unwrap();
    let (first, second) = (9 * 1024 * 1024, 10 * 1024 * 1024);
    assert_eq!(here.patch(&url, 0, &file[..first]).await.status, 204);
    assert_eq!(there.patch(path, first, &file[first..second]).await.status, 204);
    other.kill9().await.unwrap();
    assert_eq!(here.head(&url).await, (200, Some(second)));
    assert_eq!(here.patch(&url, second, &file[second..]).await.status, 204);
    assert_eq!(until(&app, &tenant, &id, "READY").await["sha256"], digest);
    assert_eq!(objects(&app), 0, "nothing of it is in a folder");
    // The bucket is away: what comes is refused for now, and goes on when it is back.
    moto.kill();
    let (_, url) = begin(&app, &tenant, file.len(), None).await;
    let refused = here.patch(&url, 0, &file[..first]).await;
    assert!(refused.status >= 500, "{}", refused.status);
    assert_eq!(here.head(&url).await, (200, Some(0)));
    app.stop().await.unwrap();
    std::fs::remove_file(secret).unwrap();
}
