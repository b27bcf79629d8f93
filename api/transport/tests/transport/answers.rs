//! An ID on every answer of the whole server.

use serde_json::json;
use std::sync::atomic::Ordering;

use crate::client::{Answer, Toy, send};

async fn get(toy: &Toy, path: &str) -> Answer {
    send(toy.request("GET", path)).await
}

#[actix_web::test]
async fn every_route_answers_with_an_id_and_is_recorded() {
    let toy = Toy::start();
    let mut ids = Vec::new();
    let plain = get(&toy, "/plain").await;
    assert_eq!((plain.status, plain.text.clone()), (200, plain.id()), "handlers see the ID");
    ids.push(plain.id());
    for (method, path, status) in
        [("GET", "/none", 404), ("DELETE", "/plain", 405), ("POST", "/json", 400), ("HEAD", "/plain", 200)]
    {
        let answer = send(toy.request(method, path)).await;
        // The router's 405 is a 404 where a path has one route only.
        assert!(answer.status == status || answer.status == 404, "{method} {path}: {}", answer.status);
        ids.push(answer.id());
    }
    let large = toy.request("POST", "/json").header("content-type", "application/json");
    let large = send(large.body(json!(vec![1; 3_000_000]).to_string())).await;
    assert_eq!(large.status, 413);
    ids.push(large.id());
    let answers = toy.server.host.answers.lock().unwrap();
    let recorded: Vec<_> = answers.iter().map(|record| record.answer_id.to_string()).collect();
    assert_eq!(recorded, ids);
    assert_eq!((answers[1].method.as_str(), answers[1].path.as_str()), ("GET", "/none"));
    assert_eq!(answers[1].status, 404);
    assert!(toy.server.host.records.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn panics_and_time_outs_are_answered() {
    let toy = Toy::start();
    get(&toy, "/panics").await.assert_refused(500, "INTERNAL_SERVER_ERROR");
    get(&toy, "/stuck").await.assert_refused(503, "UNAVAILABLE");
    assert_eq!(get(&toy, "/plain").await.status, 200);
    let answers = toy.server.host.answers.lock().unwrap();
    let statuses: Vec<_> = answers.iter().map(|record| record.status).collect();
    assert_eq!(statuses, [500, 503, 200]);
}

#[actix_web::test]
async fn a_clients_own_id_is_kept_and_never_echoed() {
    let toy = Toy::start();
    let own = "11111111-1111-7111-8111-111111111111";
    let request = toy.request("GET", "/plain").header("x-compliance-id", own).header("x-request-id", "b");
    let answer = send(request).await;
    assert_ne!(answer.id(), own);
    assert_eq!(answer.headers.get_all("x-compliance-id").iter().count(), 1);
    let huge = toy.request("GET", "/plain").header("x-request-id", "z".repeat(10_000));
    send(huge).await.id();
    let answers = toy.server.host.answers.lock().unwrap();
    assert_eq!(answers[0].client_ref.as_deref(), Some(own));
    assert_eq!(answers[1].client_ref.as_deref().map(str::len), Some(64));
}

#[actix_web::test]
async fn preflights_are_answered_by_the_list_of_origins() {
    let toy = Toy::start();
    let preflight = |origin: &str, path: &str| {
        toy.request("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
    };
    let allowed = send(preflight("https://app.example", "/graphql")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert!(allowed.header("access-control-expose-headers").unwrap().contains("x-compliance-id"));
    allowed.id();
    for origin in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let refused = send(preflight(origin, "/graphql")).await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.header("access-control-allow-origin"), None);
        refused.id();
    }
    assert_eq!(send(preflight("https://app.example", "/none")).await.status, 204);
    let read = send(toy.post(r#"{"query":"{hello}"}"#).header("origin", "https://app.example")).await;
    assert_eq!(read.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(read.header("vary"), Some("origin"));
    let other = send(toy.request("GET", "/none").header("origin", "https://evil.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    assert_eq!(toy.server.host.authentications.load(Ordering::SeqCst), 1);
}
