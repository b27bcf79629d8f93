//! Where files come in: tus 1.0.0 (<https://tus.io/protocols/resumable-upload>, read 2026-11-26), the core protocol with
//! the extensions creation, creation-with-upload, checksum, expiration, termination and concatenation.
//!
//! The same token, limits and identifier on every answer as elsewhere. An upload of another tenant is as absent as one
//! that never was. Bytes are kept as they arrive, so a connection that breaks loses what was not yet kept and nothing
//! else; a chunk with a checksum counts wholly or not at all.
//!
//! Absent on purpose: uploads of unknown length (room is made for what is announced), and pieces joined before all of
//! them are there.

mod body;
mod headers;
mod places;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION},
    },
    web,
};
use domain::{
    content::{
        BeginUpload, ContentError, actions,
        model::{Piece, UPLOAD_BYTES_MAX, Upload, UploadState},
    },
    kernel::{action::Action, actor::Permission, ids::UploadId, outbox::Outcome},
    work::Work,
};
use uuid::Uuid;

use self::headers::{Checksum, Concat, Wanted};
pub use self::places::Places;
use super::{
    auth::{header, problem, unavailable},
    caller::{self, Asked, Counted},
};
use crate::app::App;

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,expiration,termination,concatenation";
const CHECKSUMS: &str = "sha1,sha256";
const OCTETS: &str = "application/offset+octet-stream";

/// Where uploads are, with the id behind it.
pub const UPLOADS: &str = "/uploads";

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config
        .service(web::resource(UPLOADS).route(web::to(at_all)))
        .service(web::resource(format!("{UPLOADS}/{{id}}")).route(web::to(at_one)));
}

/// What a request asks for: a client that can't send some methods says so in a header.
fn method(request: &HttpRequest) -> Method {
    let other = header(request, "x-http-method-override");
    other
        .and_then(|name| Method::from_bytes(name.as_bytes()).ok())
        .unwrap_or_else(|| request.method().clone())
}

/// An answer of this protocol.
fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header(("tus-resumable", VERSION)).insert_header((CACHE_CONTROL, "no-store"));
    answer
}

/// A refusal of this protocol.
fn refusal(request: &HttpRequest, status: StatusCode, code: &str, message: &str) -> HttpResponse {
    marked(problem(request, status, code, None, message))
}

fn marked(mut answer: HttpResponse) -> HttpResponse {
    say_version(&mut answer, "tus-resumable");
    answer
}

fn say_version(answer: &mut HttpResponse, name: &'static str) {
    answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(VERSION));
}

fn bad(request: &HttpRequest, message: &str) -> HttpResponse {
    refusal(request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message)
}

/// The one table of content's errors at this door.
fn refused(request: &HttpRequest, error: &ContentError) -> HttpResponse {
    let message = error.to_string();
    let no = |status, code| refusal(request, status, code, &message);
    match error {
        ContentError::Port(fault) => {
            tracing::warn!(port = fault.port, error = %fault.source, "a port did not answer");
            marked(unavailable(request))
        }
        ContentError::Denied(_) => no(StatusCode::FORBIDDEN, "FORBIDDEN"),
        ContentError::Invalid { .. } => no(StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
        ContentError::NotFound { .. } => no(StatusCode::NOT_FOUND, "BAD_USER_INPUT"),
        ContentError::UploadsFull { .. } | ContentError::TranscodesFull { .. } => {
            no(StatusCode::TOO_MANY_REQUESTS, "THROTTLED")
        }
        ContentError::UploadClosed => no(StatusCode::GONE, "BAD_USER_INPUT"),
        ContentError::StorageFull { .. } => no(StatusCode::INSUFFICIENT_STORAGE, "BAD_USER_INPUT"),
        // None of these comes of sending bytes.
        ContentError::PlatformUnknown { .. }
        | ContentError::UploadNotReady
        | ContentError::NothingToMend
        | ContentError::NotMendable { .. } => no(StatusCode::CONFLICT, "BAD_USER_INPUT"),
        ContentError::OffsetWrong { .. } | ContentError::NotJoinable => {
            no(StatusCode::CONFLICT, "BAD_USER_INPUT")
        }
        ContentError::TooLong { .. } | ContentError::TooManyParts { .. } => {
            no(StatusCode::PAYLOAD_TOO_LARGE, "BAD_USER_INPUT")
        }
    }
}

/// Finds out who asks, and counts it.
async fn asked(app: &App, request: &HttpRequest, operation: &'static str) -> Result<Asked, HttpResponse> {
    if header(request, "tus-resumable").as_deref() != Some(VERSION) {
        let message = "send Tus-Resumable: 1.0.0; this service speaks no other version";
        let mut answer = refusal(request, StatusCode::PRECONDITION_FAILED, "BAD_USER_INPUT", message);
        say_version(&mut answer, "tus-version");
        return Err(answer);
    }
    let counted = Counted {
        bucket: "uploads",
        quota: app.quotas.uploads,
        too_many: "too many requests; wait as long as Retry-After says, and send larger chunks",
    };
    caller::asked(app, request, operation, &counted).await.map_err(marked)
}

/// Does something in a transaction, and leaves an event of it whatever comes of it.
async fn command(
    app: &App,
    asked: &Asked,
    action: Action,
    steps: impl AsyncFnOnce(&mut dyn Work) -> Result<Upload, ContentError>,
) -> Result<Upload, ContentError> {
    let scope = asked.caller.signed_in().actor.scope();
    let mut work = app.units.begin(scope, &asked.origin).await?;
    match steps(&mut *work).await {
        Ok(upload) => {
            work.commit().await?;
            Ok(upload)
        }
        Err(error) => {
            work.roll_back().await;
            record_refusal(app, asked, action, &error).await?;
            Err(error)
        }
    }
}

/// What was refused leaves its event too.
async fn record_refusal(
    app: &App,
    asked: &Asked,
    action: Action,
    error: &ContentError,
) -> Result<(), ContentError> {
    let is_ours = matches!(error, ContentError::Port(_));
    let outcome = if is_ours { Outcome::Failure } else { Outcome::Refused };
    let scope = asked.caller.signed_in().actor.scope();
    Ok(app.record_refusal(scope, &asked.origin, action, outcome, error.reason()).await?)
}

/// What can be asked of all uploads: what this service speaks, and room for another.
async fn at_all(app: web::Data<App>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let method = method(&request);
    if method == Method::OPTIONS {
        return answer(StatusCode::NO_CONTENT)
            .insert_header(("tus-version", VERSION))
            .insert_header(("tus-extension", EXTENSIONS))
            .insert_header(("tus-max-size", UPLOAD_BYTES_MAX.to_string()))
            .insert_header(("tus-checksum-algorithm", CHECKSUMS))
            .finish();
    }
    if method != Method::POST {
        return not_allowed(&request, "OPTIONS, POST");
    }
    create(&app, &request, body).await.unwrap_or_else(|answer| answer)
}

fn not_allowed(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    let message = "this can't be done here";
    let mut answer = refusal(request, StatusCode::METHOD_NOT_ALLOWED, "BAD_USER_INPUT", message);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

async fn create(app: &App, request: &HttpRequest, body: web::Payload) -> Result<HttpResponse, HttpResponse> {
    let refuse = |error: ContentError| refused(request, &error);
    let is_joining = header(request, "upload-concat").is_some_and(|text| text.starts_with("final"));
    let action = if is_joining { actions::JOIN_UPLOADS } else { actions::BEGIN_UPLOAD };
    let asked = asked(app, request, action.name).await?;
    let actor = &asked.caller.signed_in().actor;
    let Wanted { draft, concat } = headers::wanted(request).map_err(|problem| bad(request, &problem))?;
    if draft.size_bytes > UPLOAD_BYTES_MAX {
        let message = "the file is larger than Tus-Max-Size";
        return Err(refusal(request, StatusCode::PAYLOAD_TOO_LARGE, "BAD_USER_INPUT", message));
    }
    // Before room is made for what could not be checked.
    Checksum::of(request).map_err(|problem| bad(request, problem))?;
    let begun = command(app, &asked, action, async |work| match concat {
        Concat::Whole => app.content.begin_upload(work, actor, BeginUpload::Whole(draft)).await,
        Concat::Partial => app.content.begin_upload(work, actor, BeginUpload::Partial(draft)).await,
        Concat::Final(pieces) => app.content.join_uploads(work, actor, draft, &pieces).await,
    });
    let mut upload = begun.await.map_err(refuse)?;
    if header(request, "content-type").as_deref() == Some(OCTETS) && upload.piece != Piece::Joined {
        match body::receive(app, request, body, &asked, &upload).await {
            Ok(received) => upload = received,
            // Room was made; only that what came does not hold must be said.
            Err(answer) if answer.status().as_u16() == body::CHECKSUM_MISMATCH => {
                let mut answer = answer;
                if let Ok(url) = app.upload_url(upload.id).parse() {
                    answer.headers_mut().insert(LOCATION, url);
                }
                return Err(answer);
            }
            Err(_) => upload = find(app, request, &asked, upload.id).await?,
        }
    }
    let mut created = answer(StatusCode::CREATED);
    created
        .insert_header((LOCATION, app.upload_url(upload.id)))
        .insert_header(("upload-offset", upload.received_bytes.to_string()));
    expires(&mut created, &upload);
    Ok(created.finish())
}

/// Says when an upload is thrown away, as long as it will be (RFC 9110 section 5.6.7).
fn expires(answer: &mut HttpResponseBuilder, upload: &Upload) {
    if upload.state == UploadState::Receiving {
        let when = upload.expires_at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.insert_header(("upload-expires", when));
    }
}

/// What can be asked of one upload.
async fn at_one(
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let Ok(id) = Uuid::try_parse(&id) else {
        return refused(&request, &ContentError::NotFound { field: "id" });
    };
    let id = UploadId::from_uuid(id);
    let answered = match method(&request) {
        Method::HEAD => look(&app, &request, id).await,
        Method::PATCH => extend(&app, &request, id, body).await,
        Method::DELETE => end(&app, &request, id).await,
        _ => Ok(not_allowed(&request, "DELETE, HEAD, PATCH")),
    };
    answered.unwrap_or_else(|answer| answer)
}

/// The upload as the caller may see it.
async fn find(app: &App, request: &HttpRequest, asked: &Asked, id: UploadId) -> Result<Upload, HttpResponse> {
    let actor = &asked.caller.signed_in().actor;
    let found = async {
        let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
        app.content.upload(&mut *work, actor, id).await
    };
    let found = found.await.map_err(|error| refused(request, &error))?;
    let upload = found.ok_or_else(|| refused(request, &ContentError::NotFound { field: "id" }))?;
    if upload.state.is_gone() { Err(refused(request, &ContentError::UploadClosed)) } else { Ok(upload) }
}

async fn look(app: &App, request: &HttpRequest, id: UploadId) -> Result<HttpResponse, HttpResponse> {
    let asked = asked(app, request, "upload").await?;
    let upload = find(app, request, &asked, id).await?;
    let mut found = answer(StatusCode::OK);
    found
        .insert_header(("upload-offset", upload.received_bytes.to_string()))
        .insert_header(("upload-length", upload.draft.size_bytes.to_string()));
    let metadata = headers::metadata(&upload.draft);
    if !metadata.is_empty() {
        found.insert_header(("upload-metadata", metadata));
    }
    if let Some(concat) = headers::concat(&upload, |piece| app.upload_url(piece)) {
        found.insert_header(("upload-concat", concat));
    }
    expires(&mut found, &upload);
    Ok(found.finish())
}

async fn extend(
    app: &App,
    request: &HttpRequest,
    id: UploadId,
    body: web::Payload,
) -> Result<HttpResponse, HttpResponse> {
    let asked = asked(app, request, actions::RECEIVE_PARTS.name).await?;
    if header(request, CONTENT_TYPE.as_str()).as_deref() != Some(OCTETS) {
        let message = "send Content-Type: application/offset+octet-stream";
        return Err(refusal(request, StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_USER_INPUT", message));
    }
    let offset = headers::number(request, "upload-offset").map_err(|problem| bad(request, &problem))?;
    let upload = find(app, request, &asked, id).await?;
    let refuse = |error: ContentError| refused(request, &error);
    let actor = &asked.caller.signed_in().actor;
    // Before a byte is read: who may only look has found the upload too.
    if let Err(denied) = actor.require(Permission::ManageContent) {
        let error = ContentError::Denied(denied);
        record_refusal(app, &asked, actions::RECEIVE_PARTS, &error).await.map_err(refuse)?;
        return Err(refuse(error));
    }
    if upload.piece == Piece::Joined {
        let message = "a joined file takes no more bytes";
        return Err(refusal(request, StatusCode::FORBIDDEN, "BAD_USER_INPUT", message));
    }
    let wanted = upload.wanted(offset, app.clock.now()).map_err(refuse)?;
    let length = header(request, CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > wanted) {
        return Err(refuse(ContentError::TooLong { size_bytes: upload.draft.size_bytes }));
    }
    let upload = body::receive(app, request, body, &asked, &upload).await?;
    let mut extended = answer(StatusCode::NO_CONTENT);
    extended.insert_header(("upload-offset", upload.received_bytes.to_string()));
    expires(&mut extended, &upload);
    Ok(extended.finish())
}

async fn end(app: &App, request: &HttpRequest, id: UploadId) -> Result<HttpResponse, HttpResponse> {
    let asked = asked(app, request, actions::CANCEL_UPLOAD.name).await?;
    let actor = &asked.caller.signed_in().actor;
    let upload = find(app, request, &asked, id).await?;
    let ended = command(app, &asked, actions::CANCEL_UPLOAD, async |work| {
        app.content.cancel_upload(work, actor, id).await.map(|()| upload)
    });
    ended.await.map_err(|error| refused(request, &error))?;
    Ok(answer(StatusCode::NO_CONTENT).finish())
}
