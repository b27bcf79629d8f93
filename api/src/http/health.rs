//! `/livez`, `/readyz` and `/metrics`.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::{app::App, metrics::DependencyLabels};

/// Longest a dependency may take to give a sign of life.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something the service needs, and how to ask for a sign of life.
pub struct Dependency {
    /// `postgres`, `redis`.
    pub name: &'static str,
    /// Whether the service is of any use without it.
    pub required: bool,
    /// Asks; an error says why not, for people.
    #[expect(clippy::type_complexity, reason = "a closure that gives a future, said once")]
    pub ask: Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>,
}

/// What the service needs.
pub struct Health {
    /// All of it.
    pub dependencies: Vec<Dependency>,
    /// Turns true when the service is about to stop: it answers still, and should not be sent more.
    pub draining: std::sync::atomic::AtomicBool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    status: &'static str,
    dependencies: BTreeMap<&'static str, Sign>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sign {
    up: bool,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/livez").route(web::get().to(live)))
        .service(web::resource("/readyz").route(web::get().to(ready)))
        .service(web::resource("/metrics").route(web::get().to(metrics)));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

async fn ready(app: web::Data<App>, health: web::Data<Health>) -> HttpResponse {
    let mut dependencies = BTreeMap::new();
    let mut status = "ready";
    for dependency in &health.dependencies {
        let answer = tokio::time::timeout(PATIENCE, (dependency.ask)()).await;
        let reason = match answer {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("no answer in 1 s".to_owned()),
        };
        let up = reason.is_none();
        let labels = DependencyLabels { dependency: dependency.name };
        app.metrics.dependency_up.get_or_create(&labels).set(i64::from(up));
        if !up {
            status = match (dependency.required, status) {
                (true, _) | (_, "unavailable") => "unavailable",
                (false, _) => "degraded",
            };
        }
        dependencies.insert(dependency.name, Sign { up, required: dependency.required, reason });
    }
    if !app.access_log.has_room() {
        status = "unavailable";
    }
    if health.draining.load(std::sync::atomic::Ordering::Relaxed) {
        status = "draining";
    }
    let report = Report { status, dependencies };
    if matches!(status, "ready" | "degraded") {
        HttpResponse::Ok().json(report)
    } else {
        HttpResponse::ServiceUnavailable().json(report)
    }
}

async fn metrics(app: web::Data<App>) -> HttpResponse {
    app.metrics.access_log_waiting.set(i64::try_from(app.access_log.waiting()).unwrap_or(i64::MAX));
    match app.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
