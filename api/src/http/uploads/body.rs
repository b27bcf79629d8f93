//! The bytes of a request, kept while they arrive.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use domain::{
    content::{ContentError, StagedPart, model::Upload},
    kernel::{actor::Actor, outbox::Origin},
};
use futures_util::StreamExt as _;

use super::{bad, headers::Checksum, marked, refusal, refused};
use crate::{app::App, http::auth::unavailable};

/// Bytes of one object. As many are in memory for each request that sends some.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Longest silence of a client before it is taken for gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Status of a chunk whose checksum is another (tus 1.0.0, "Checksum").
const CHECKSUM_MISMATCH: u16 = 460;

/// How a body ended.
enum End {
    Whole,
    /// The connection broke, or nothing came for too long.
    Broken,
    TooLong,
}

/// Keeps what a request sends and counts it from where the upload stands on; the upload as it is then.
pub(super) async fn receive(
    app: &App,
    request: &HttpRequest,
    body: web::Payload,
    origin: &Origin,
    actor: &Actor,
    upload: &Upload,
) -> Result<Upload, HttpResponse> {
    // What is in memory is bounded; who comes at a bad time comes again.
    let Ok(_place) = app.uploads_at_once.try_acquire() else { return Err(marked(unavailable(request))) };
    let checksum = Checksum::of(request).map_err(|problem| bad(request, problem))?;
    let mut receiving =
        Receiving { app, origin, actor, upload: upload.clone(), checksum, staged: Vec::new(), ahead: 0 };
    let refuse = |error: ContentError| refused(request, &error);
    match receiving.all(body).await.map_err(refuse)? {
        End::Whole => {}
        End::Broken => return Err(bad(request, "the body broke off; ask where to go on")),
        End::TooLong => {
            return Err(refuse(ContentError::TooLong { size_bytes: upload.draft.size_bytes }));
        }
    }
    if receiving.checksum.take().is_some_and(|checksum| !checksum.holds()) {
        app.content.discard_parts(std::mem::take(&mut receiving.staged)).await;
        let mismatch = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(refusal(
            request,
            mismatch,
            "BAD_USER_INPUT",
            "the checksum is another; send the chunk again",
        ));
    }
    receiving.count().await.map_err(refuse)?;
    Ok(receiving.upload)
}

struct Receiving<'a> {
    app: &'a App,
    origin: &'a Origin,
    actor: &'a Actor,
    /// As it stands with all that was counted.
    upload: Upload,
    /// Nothing counts before it was found to hold.
    checksum: Option<Checksum>,
    /// Kept, not counted.
    staged: Vec<StagedPart>,
    /// Bytes of those.
    ahead: u64,
}

impl Receiving<'_> {
    /// Reads to the end, whichever it is. What arrived before a connection broke is kept, unless a checksum was to hold.
    async fn all(&mut self, mut body: web::Payload) -> Result<End, ContentError> {
        let mut buffer = Vec::new();
        let end = loop {
            let Ok(next) = tokio::time::timeout(SILENCE, body.next()).await else { break End::Broken };
            let Some(chunk) = next else { break End::Whole };
            let Ok(chunk) = chunk else { break End::Broken };
            let arrived = self.upload.received_bytes + self.ahead + length(buffer.len() + chunk.len());
            if arrived > self.upload.draft.size_bytes {
                break End::TooLong;
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            buffer.extend_from_slice(&chunk);
            if buffer.len() >= PART_BYTES {
                self.keep(std::mem::take(&mut buffer)).await?;
            }
        };
        match (&end, self.checksum.is_some()) {
            (End::Whole, _) | (End::Broken, false) => {
                self.keep(buffer).await?;
            }
            (End::TooLong, _) | (End::Broken, true) => {
                self.app.content.discard_parts(std::mem::take(&mut self.staged)).await;
            }
        }
        Ok(end)
    }

    /// Keeps bytes, and counts them at once unless a checksum is to hold first.
    async fn keep(&mut self, bytes: Vec<u8>) -> Result<(), ContentError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.ahead += length(bytes.len());
        let scope = self.actor.scope();
        self.staged.push(self.app.content.stage_part(&scope, self.upload.id, bytes).await?);
        if self.checksum.is_none() { self.count().await } else { Ok(()) }
    }

    /// Counts what is kept.
    async fn count(&mut self) -> Result<(), ContentError> {
        let staged = std::mem::take(&mut self.staged);
        if staged.is_empty() {
            return Ok(());
        }
        let (id, offset) = (self.upload.id, self.upload.received_bytes);
        let content = &self.app.content;
        self.upload = content.receive_parts(self.origin, self.actor, id, offset, staged).await?;
        self.ahead = 0;
        Ok(())
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
