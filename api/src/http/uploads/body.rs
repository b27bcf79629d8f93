//! The bytes of a request, kept while they arrive.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use domain::content::{ContentError, StagedPart, model::Upload};
use futures_util::StreamExt as _;

use super::{Asked, bad, headers::Checksum, marked, refusal, refused};
use crate::{app::App, host::still_good, http::auth::unavailable};

/// Bytes of one object. As many are in memory for each request that sends some.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// So long a client is listened to for at least [`LEAST_BYTES`], and taken for gone when fewer come.
const LISTENED_TO: Duration = Duration::from_secs(30);

/// Bytes that must come in that time: who sends less holds a place that others need.
const LEAST_BYTES: usize = 64 * 1024;

/// Status of a chunk whose checksum is another (tus 1.0.0, "Checksum").
pub(super) const CHECKSUM_MISMATCH: u16 = 460;

/// How a body ended.
enum End {
    Whole,
    /// The connection broke, or too little came for too long.
    Broken,
    TooLong,
    /// Who sends may not any more.
    SignedOut,
}

/// Keeps what a request sends and counts it from where the upload stands on; the upload as it is then.
pub(super) async fn receive(
    app: &App,
    request: &HttpRequest,
    body: web::Payload,
    asked: &Asked,
    upload: &Upload,
) -> Result<Upload, HttpResponse> {
    // What is in memory is bounded; who comes at a bad time comes again.
    let tenant = asked.caller.signed_in().actor.tenant;
    let Some(_place) = app.upload_places.take(tenant) else { return Err(marked(unavailable(request))) };
    let checksum = Checksum::of(request).map_err(|problem| bad(request, problem))?;
    let upload = upload.clone();
    let mut receiving = Receiving { app, asked, upload, checksum, staged: Vec::new(), ahead: 0 };
    let ended = receiving.all(body).await;
    let holds = match &ended {
        Ok(End::Whole) => receiving.checksum.take().is_none_or(Checksum::holds),
        Ok(End::Broken | End::TooLong | End::SignedOut) | Err(_) => false,
    };
    if holds {
        receiving.count().await.map_err(|error| refused(request, &error))?;
        return Ok(receiving.upload);
    }
    receiving.discard().await;
    Err(match ended {
        Err(error) => refused(request, &error),
        Ok(End::Broken) => bad(request, "the body broke off, or came too slowly; ask where to go on"),
        Ok(End::TooLong) => {
            refused(request, &ContentError::TooLong { size_bytes: receiving.upload.draft.size_bytes })
        }
        Ok(End::SignedOut) => {
            let message = "the token is not valid any more; refresh the session or sign in again, then go on";
            refusal(request, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
        }
        Ok(End::Whole) => {
            let mismatch = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST);
            let message = "the checksum is another; send the chunk again";
            refusal(request, mismatch, "BAD_USER_INPUT", message)
        }
    })
}

struct Receiving<'a> {
    app: &'a App,
    asked: &'a Asked,
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
        let room = usize::try_from(self.missing()).unwrap_or(PART_BYTES).min(PART_BYTES);
        let mut buffer = Vec::with_capacity(room);
        let (mut since, mut heard) = (Instant::now(), 0);
        let end = loop {
            let left = LISTENED_TO.saturating_sub(since.elapsed());
            let chunk = match tokio::time::timeout(left, body.next()).await {
                Err(_) if heard < LEAST_BYTES => break End::Broken,
                Err(_) => {
                    (since, heard) = (Instant::now(), 0);
                    continue;
                }
                Ok(None) => break End::Whole,
                Ok(Some(Err(_))) => break End::Broken,
                Ok(Some(Ok(chunk))) => chunk,
            };
            heard += chunk.len();
            if self.ahead + length(buffer.len() + chunk.len()) > self.missing() {
                break End::TooLong;
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            let mut rest = chunk.as_ref();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(PART_BYTES - buffer.len()));
                buffer.extend_from_slice(now);
                rest = later;
                if buffer.len() == PART_BYTES {
                    if !still_good(self.app, self.asked.caller.signed_in()).await {
                        return Ok(End::SignedOut);
                    }
                    self.keep(std::mem::replace(&mut buffer, Vec::with_capacity(PART_BYTES))).await?;
                    // How long that took is not the client's doing.
                    (since, heard) = (Instant::now(), 0);
                }
            }
        };
        if matches!(end, End::Whole) || (matches!(end, End::Broken) && self.checksum.is_none()) {
            self.keep(buffer).await?;
        }
        Ok(end)
    }

    /// Bytes not yet counted.
    const fn missing(&self) -> u64 {
        self.upload.draft.size_bytes - self.upload.received_bytes
    }

    /// Keeps bytes, and counts them at once unless a checksum is to hold first.
    async fn keep(&mut self, bytes: Vec<u8>) -> Result<(), ContentError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.ahead += length(bytes.len());
        let actor = &self.asked.caller.signed_in().actor;
        self.staged.push(self.app.content.stage_part(actor, self.upload.id, bytes).await?);
        if self.checksum.is_none() { self.count().await } else { Ok(()) }
    }

    /// Counts what is kept.
    async fn count(&mut self) -> Result<(), ContentError> {
        let staged = std::mem::take(&mut self.staged);
        if staged.is_empty() {
            return Ok(());
        }
        let (id, offset) = (self.upload.id, self.upload.received_bytes);
        let (content, actor) = (&self.app.content, &self.asked.caller.signed_in().actor);
        self.upload = content.receive_parts(&self.asked.origin, actor, id, offset, staged).await?;
        self.ahead = 0;
        Ok(())
    }

    /// Throws away what is kept and not to be counted.
    async fn discard(&mut self) {
        self.app.content.discard_parts(std::mem::take(&mut self.staged)).await;
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
