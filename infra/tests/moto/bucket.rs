//! A bucket of the moto server.

use super::moto::Moto;

/// Makes one, once the service answers.
pub(crate) async fn make(moto: &mut Moto, name: &str, region: &str) {
    let url = format!("http://127.0.0.1:{}/{name}", moto.port);
    let location = format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    );
    // It says whose request it is by this header alone; it checks no signature here.
    let whose = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"
    );
    for _ in 0..600 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let put = client.put(&url).header("authorization", &whose).body(location.clone());
        if let Ok(answer) = put.send().await {
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
            return;
        }
        moto.lives();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the service did not come up");
}
