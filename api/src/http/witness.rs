//! The door of a witness (C2SP tlog-witness). It is of a process of its own, which has no database and no tenants.
//!
//! Absent on purpose: limits by rate. What is not signed by a log it knows costs a check of one signature and nothing else;
//! who faces the open network with it puts a proxy before it.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
    web::{self, ServiceConfig},
};
use domain::compliance::{
    NotCosigned, Witness,
    log::{
        note::NOTE_MAX_BYTES,
        witness::{Refusal, SIZE_CONTENT_TYPE},
    },
};

/// Mounts `POST /add-checkpoint`.
pub fn mount_witness(witness: &Arc<Witness>, config: &mut ServiceConfig) {
    config.app_data(web::Data::from(Arc::clone(witness))).service(
        web::resource("/add-checkpoint")
            .app_data(web::PayloadConfig::new(2 * NOTE_MAX_BYTES))
            .route(web::post().to(add_checkpoint)),
    );
}

fn text(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status).content_type(ContentType::plaintext()).body(body)
}

async fn add_checkpoint(
    witness: web::Data<Witness>,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let Ok(body) = body else { return text(413, "the request is too long\n".to_owned()) };
    match witness.add_checkpoint(&body).await {
        Ok(line) => text(200, line),
        Err(NotCosigned::Refused(Refusal::OtherSize(size))) => {
            HttpResponse::Conflict().content_type(SIZE_CONTENT_TYPE).body(format!("{size}\n"))
        }
        Err(NotCosigned::Refused(refusal)) => text(refusal.status(), format!("{refusal}\n")),
        Err(NotCosigned::Contradicted { note, evidence }) => {
            // Signed by the log, and another tree than the one that was seen: whoever runs the witness can show it to everybody.
            match evidence {
                Ok(place) => {
                    tracing::error!(note, "a log contradicts itself: both checkpoints are in {place}");
                }
                Err(fault) => {
                    tracing::error!(note, error = %fault.source, "a log contradicts itself, and this could not be kept");
                }
            }
            text(Refusal::Forked.status(), format!("{}\n", Refusal::Forked))
        }
        Err(NotCosigned::Port(fault)) => {
            tracing::error!(port = fault.port, error = %fault.source, "a checkpoint was not cosigned");
            text(500, "the witness can't remember\n".to_owned())
        }
    }
}
