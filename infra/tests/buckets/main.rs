//! Objects in a bucket, against a service that speaks S3.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code fails by panicking")]

#[path = "../moto/bucket.rs"]
mod bucket;
#[path = "../moto/mod.rs"]
mod moto;

use std::time::Duration;

use domain::{
    content::{ports::ObjectStore as _, testkit::object_store_contract},
    kernel::fault::Retry,
};
use infra::object_store::{BucketCredentials, BucketSettings, Objects};

use crate::moto::Moto;

fn settings(port: u16) -> BucketSettings {
    BucketSettings {
        bucket: "files".to_owned(),
        region: "eu-central-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        credentials: Some(BucketCredentials {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned().into(),
        }),
    }
}

#[tokio::test]
async fn a_bucket_keeps_objects_and_says_when_it_is_away() {
    let mut moto = Moto::start();
    bucket::make(&mut moto, "files", "eu-central-1").await;
    let objects = Objects::in_bucket(&settings(moto.port)).unwrap();
    object_store_contract(&objects, "uploads/test").await;
    // More than a page of a list (1,000).
    for number in 0..1_005 {
        objects.put(&format!("many/{number}"), vec![1]).await.unwrap();
    }
    assert_eq!(objects.below("many").await.unwrap().len(), 1_005);

    let absent = Objects::in_bucket(&BucketSettings { bucket: "others".to_owned(), ..settings(moto.port) });
    let absent = absent.unwrap().put("a", vec![1]).await.unwrap_err();
    assert_eq!(absent.retry, Retry::Useless, "{absent:?}");
    moto.kill();
    let away = tokio::time::timeout(Duration::from_secs(40), objects.put("a", vec![1])).await;
    let away = away.expect("it is given up on").unwrap_err();
    assert_eq!(away.retry, Retry::MayHelp, "{away:?}");
}
