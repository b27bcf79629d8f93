//! The doors before a session: sign in, carry a session on, reset a password, accept an invitation. JSON in, JSON
//! out. They are limited by rate, for each address and for each account aimed at; no account is ever locked.

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, http::StatusCode, web};
use domain::{
    identity::{
        AcceptInvitation, IdentityError, ResetPassword, SecondFactor, SignIn, SignInOutcome, TokenPair,
        model::EmailAddress,
    },
    kernel::{
        ids::{ComplianceId, PLATFORM},
        limit::Quota,
        outbox::Origin,
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    app::App,
    origin::{ClientFacts, bucket_part, network_of, origin_of},
};

/// Most bytes of a body here.
const BODY_MAX: usize = 16 * 1024;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default().limit(BODY_MAX).error_handler(|error, request| {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "whatever else went wrong, the body could not be read"
        )]
        let answer = match &error {
            actix_web::error::JsonPayloadError::OverflowKnownLength { .. }
            | actix_web::error::JsonPayloadError::Overflow { .. } => problem(
                request,
                StatusCode::PAYLOAD_TOO_LARGE,
                "BAD_USER_INPUT",
                None,
                "the body is over 16 KiB",
            ),
            actix_web::error::JsonPayloadError::ContentType => problem(
                request,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "BAD_USER_INPUT",
                None,
                "send application/json",
            ),
            actix_web::error::JsonPayloadError::Deserialize(why) => {
                problem(request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", None, &shape_fault(why))
            }
            _ => problem(
                request,
                StatusCode::BAD_REQUEST,
                "BAD_USER_INPUT",
                None,
                "the body could not be read",
            ),
        };
        actix_web::error::InternalError::from_response(error, answer).into()
    });
    config.service(
        web::scope("/auth")
            .app_data(json)
            .service(web::resource("/sign-in").route(web::post().to(sign_in)))
            .service(web::resource("/refresh").route(web::post().to(refresh)))
            .service(web::resource("/password-reset/request").route(web::post().to(request_password_reset)))
            .service(web::resource("/password-reset/confirm").route(web::post().to(reset_password)))
            .service(web::resource("/invitations/accept").route(web::post().to(accept_invitation))),
    );
    config.service(web::resource("/.well-known/jwks.json").route(web::get().to(jwks)));
}

/// What serde says of a body, without what the body said.
fn shape_fault(why: &serde_json::Error) -> String {
    let text = why.to_string();
    // "missing field `email`" and "unknown field `x`, expected ..." name fields; "invalid type: string \"...\"" quotes.
    if text.starts_with("missing field") || text.starts_with("unknown field") {
        text
    } else {
        format!("the body is not the JSON that is wanted here (line {}, column {})", why.line(), why.column())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    compliance_id: Uuid,
}

pub(super) fn answer_of(request: &HttpRequest) -> Uuid {
    request.extensions().get::<transport::AnswerId>().map(|id| id.0).unwrap_or_default()
}

pub(super) fn problem(
    request: &HttpRequest,
    status: StatusCode,
    code: &str,
    field: Option<&str>,
    message: &str,
) -> HttpResponse {
    HttpResponse::build(status).json(Problem { code, message, field, compliance_id: answer_of(request) })
}

pub(super) fn unavailable(request: &HttpRequest) -> HttpResponse {
    let mut answer =
        problem(request, StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", None, "temporarily unavailable");
    answer
        .headers_mut()
        .insert(actix_web::http::header::RETRY_AFTER, actix_web::http::header::HeaderValue::from_static("1"));
    answer
}

/// The one table of identity's errors at these doors.
fn refused(request: &HttpRequest, error: &IdentityError) -> HttpResponse {
    let message = error.to_string();
    match error {
        IdentityError::Port(fault) => {
            tracing::warn!(port = fault.port, error = %fault.source, "a port did not answer");
            unavailable(request)
        }
        IdentityError::Invalid { field, .. } => {
            problem(request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", Some(field), &message)
        }
        IdentityError::TokenInvalid => {
            problem(request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", Some("token"), &message)
        }
        IdentityError::AlreadyMember
        | IdentityError::SlugTaken
        | IdentityError::MembersFull { .. }
        | IdentityError::LastOwner
        | IdentityError::InvitationClosed
        | IdentityError::TotpActive
        | IdentityError::TotpAbsent => {
            problem(request, StatusCode::CONFLICT, "BAD_USER_INPUT", None, &message)
        }
        IdentityError::Denied(_)
        | IdentityError::NeedsMember
        | IdentityError::MemberNotFound
        | IdentityError::InvitationNotFound
        | IdentityError::SessionNotFound
        | IdentityError::ApiKeyNotFound
        | IdentityError::PasswordWrong
        | IdentityError::CodeWrong => problem(request, StatusCode::FORBIDDEN, "FORBIDDEN", None, &message),
    }
}

pub(super) fn header(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// All lines of `X-Forwarded-For` as one list: a proxy may add a line of its own (RFC 9110 section 5.3).
fn forwarded_for(request: &HttpRequest) -> Option<String> {
    let lines: Vec<_> =
        request.headers().get_all("x-forwarded-for").filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

pub(super) fn facts_of(app: &App, request: &HttpRequest) -> ClientFacts {
    let peer = request.peer_addr().map(|address| address.ip());
    ClientFacts {
        ip: app.proxies.client_of(peer, forwarded_for(request).as_deref()),
        device: header(request, "x-device-id"),
        user_agent: header(request, "user-agent"),
        accept_language: header(request, "accept-language"),
    }
}

/// Where an attempt comes from; under the platform's keys while no tenant is known.
pub(super) async fn origin(
    app: &App,
    request: &HttpRequest,
    scope: Option<TenantScope>,
    operation: &str,
) -> Result<Origin, HttpResponse> {
    let scope = scope.unwrap_or(TenantScope::of(PLATFORM));
    let answer = ComplianceId::from_uuid(answer_of(request));
    origin_of(app, scope, answer, operation, &facts_of(app, request), None)
        .await
        .map_err(|fault| refused(request, &fault.into()))
}

/// Says whose answer this is, so that it is taken down in that tenant's log.
pub(super) fn is_of(request: &HttpRequest, scope: Option<TenantScope>) {
    if let Some(scope) = scope {
        request.extensions_mut().insert(transport::AnswerOwner(scope.tenant().uuid()));
    }
}

/// The tenant a token names, if it exists: keys are not made for tenants somebody made up.
pub(super) async fn known(
    app: &App,
    request: &HttpRequest,
    claimed: Option<TenantScope>,
    operation: &str,
) -> Result<Option<TenantScope>, HttpResponse> {
    let origin = Origin::system(ComplianceId::from_uuid(answer_of(request)), operation);
    let scope =
        app.identity.known_tenant(&origin, claimed).await.map_err(|error| refused(request, &error))?;
    is_of(request, scope);
    Ok(scope)
}

/// The account aimed at, in one spelling.
fn account_of(tenant: &str, email: &str) -> String {
    let folded = EmailAddress::parse(email);
    format!("{tenant}\0{}", folded.as_ref().map_or("no address", EmailAddress::expose))
}

/// One more attempt from this address, and one more at this account; or why not.
pub(super) async fn attempt(app: &App, request: &HttpRequest, account: &str) -> Result<(), HttpResponse> {
    if !app.access_log.has_room() {
        return Err(unavailable(request));
    }
    let address = facts_of(app, request).ip.map_or_else(|| "unknown".to_owned(), network_of);
    let quota = app.quotas.sign_in;
    let times = |factor: u32| Quota {
        per_minute: quota.per_minute.saturating_mul(factor),
        burst: quota.burst.saturating_mul(factor),
    };
    // Many share an address, so it may try more often than one account may be tried from it. An account as a whole
    // has a ceiling far above, so that strangers do not shut its owner out.
    for (key, quota) in [
        (format!("auth:address:{}", bucket_part(&address)), times(6)),
        (format!("auth:pair:{}", bucket_part(&format!("{address}\0{account}"))), quota),
        (format!("auth:account:{}", bucket_part(account)), times(30)),
    ] {
        within(app, request, &key, quota, "too many attempts; wait as long as Retry-After says").await?;
    }
    Ok(())
}

/// One more unit of a bucket, or the answer that says why not.
pub(super) async fn within(
    app: &App,
    request: &HttpRequest,
    bucket: &str,
    quota: Quota,
    message: &str,
) -> Result<(), HttpResponse> {
    match app.limiter.take(bucket, quota, 1).await {
        Ok(verdict) if verdict.allowed => Ok(()),
        Ok(verdict) => {
            let mut answer = problem(request, StatusCode::TOO_MANY_REQUESTS, "THROTTLED", None, message);
            let wait = verdict.retry_after_ms.div_ceil(1_000).max(1);
            answer.headers_mut().insert(
                actix_web::http::header::RETRY_AFTER,
                actix_web::http::header::HeaderValue::from(wait),
            );
            Err(answer)
        }
        Err(fault) => Err(refused(request, &fault.into())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInBody {
    tenant: String,
    email: String,
    password: String,
    totp_code: Option<String>,
    recovery_code: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokensBody<'a> {
    access_token: &'a str,
    access_token_expires_at: String,
    refresh_token: &'a str,
    token_type: &'a str,
    compliance_id: Uuid,
}

fn tokens(request: &HttpRequest, pair: &TokenPair) -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(TokensBody {
        access_token: pair.access_token.expose_str().unwrap_or_default(),
        access_token_expires_at: pair.access_expires_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        refresh_token: pair.refresh_token.expose_str().unwrap_or_default(),
        token_type: "Bearer",
        compliance_id: answer_of(request),
    })
}

async fn sign_in(app: web::Data<App>, request: HttpRequest, body: web::Json<SignInBody>) -> HttpResponse {
    let body = body.into_inner();
    let result = async {
        attempt(&app, &request, &account_of(&body.tenant, &body.email)).await?;
        let refuse = |error: IdentityError| refused(&request, &error);
        let scope = app.identity.find_tenant(&body.tenant).await.map_err(refuse)?;
        is_of(&request, scope);
        let origin = origin(&app, &request, scope, "sign_in").await?;
        let second_factor = match (body.totp_code, body.recovery_code) {
            (Some(code), _) => Some(SecondFactor::Totp(Secret::from(code))),
            (None, Some(code)) => Some(SecondFactor::RecoveryCode(Secret::from(code))),
            (None, None) => None,
        };
        let input = SignIn {
            tenant: body.tenant,
            email: body.email,
            password: Secret::from(body.password),
            second_factor,
        };
        app.identity.sign_in(scope, &origin, input).await.map_err(refuse)
    };
    match result.await {
        Ok(SignInOutcome::SignedIn(pair)) => tokens(&request, &pair),
        Ok(SignInOutcome::SecondFactorNeeded) => problem(
            &request,
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            Some("totpCode"),
            "a second factor is needed: send totpCode or recoveryCode",
        ),
        Ok(SignInOutcome::Refused) => problem(
            &request,
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            None,
            "tenant, e-mail address, password or second factor are wrong",
        ),
        Err(answer) => answer,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshBody {
    refresh_token: String,
}

async fn refresh(app: web::Data<App>, request: HttpRequest, body: web::Json<RefreshBody>) -> HttpResponse {
    let scope =
        Token::parse(TokenKind::Refresh, &body.refresh_token).map(|token| TenantScope::of(token.tenant));
    let token = Secret::from(body.into_inner().refresh_token);
    let result = async {
        attempt(&app, &request, token.expose_str().unwrap_or_default()).await?;
        let scope = known(&app, &request, scope, "refresh_session").await?;
        let origin = origin(&app, &request, scope, "refresh_session").await?;
        app.identity.refresh_session(&origin, &token).await.map_err(|error| refused(&request, &error))
    };
    match result.await {
        Ok(Some(pair)) => tokens(&request, &pair),
        Ok(None) => {
            if let Some(scope) = scope {
                app.callers.forget(scope.tenant());
            }
            problem(
                &request,
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                Some("refreshToken"),
                "the refresh token is not valid (any more): sign in again",
            )
        }
        Err(answer) => answer,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestResetBody {
    tenant: String,
    email: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoneBody {
    compliance_id: Uuid,
}

fn done(request: &HttpRequest, status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).json(DoneBody { compliance_id: answer_of(request) })
}

async fn request_password_reset(
    app: web::Data<App>,
    request: HttpRequest,
    body: web::Json<RequestResetBody>,
) -> HttpResponse {
    if let Err(answer) = attempt(&app, &request, &account_of(&body.tenant, &body.email)).await {
        return answer;
    }
    let (id, facts) = (ComplianceId::from_uuid(answer_of(&request)), facts_of(&app, &request));
    // Answered at once and alike, done behind it: neither words nor time tell whether there is such a member.
    tokio::spawn(async move {
        if let Err(error) = reset_for(&app, id, &facts, &body.into_inner()).await {
            tracing::warn!(error = %error, compliance.id = %id, "a password reset was asked for and not sent");
        }
    });
    done(&request, StatusCode::ACCEPTED)
}

async fn reset_for(
    app: &App,
    id: ComplianceId,
    facts: &ClientFacts,
    body: &RequestResetBody,
) -> Result<(), IdentityError> {
    let Some(scope) = app.identity.find_tenant(&body.tenant).await? else { return Ok(()) };
    let origin = origin_of(app, scope, id, "request_password_reset", facts, None).await?;
    app.identity.request_password_reset(scope, &origin, &body.email).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResetBody {
    token: String,
    password: String,
}

async fn reset_password(
    app: web::Data<App>,
    request: HttpRequest,
    body: web::Json<ResetBody>,
) -> HttpResponse {
    let body = body.into_inner();
    let scope =
        Token::parse(TokenKind::PasswordReset, &body.token).map(|token| TenantScope::of(token.tenant));
    let result = async {
        attempt(&app, &request, &body.token).await?;
        let scope = known(&app, &request, scope, "reset_password").await?;
        let origin = origin(&app, &request, scope, "reset_password").await?;
        let input = ResetPassword { token: Secret::from(body.token), password: Secret::from(body.password) };
        app.identity.reset_password(&origin, input).await.map_err(|error| refused(&request, &error))
    };
    match result.await {
        Ok(()) => {
            if let Some(scope) = scope {
                app.callers.forget(scope.tenant());
            }
            done(&request, StatusCode::OK)
        }
        Err(answer) => answer,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AcceptBody {
    token: String,
    name: String,
    password: String,
}

async fn accept_invitation(
    app: web::Data<App>,
    request: HttpRequest,
    body: web::Json<AcceptBody>,
) -> HttpResponse {
    let body = body.into_inner();
    let scope = Token::parse(TokenKind::Invitation, &body.token).map(|token| TenantScope::of(token.tenant));
    let result = async {
        attempt(&app, &request, &body.token).await?;
        let scope = known(&app, &request, scope, "accept_invitation").await?;
        let origin = origin(&app, &request, scope, "accept_invitation").await?;
        let input = AcceptInvitation {
            token: Secret::from(body.token),
            name: body.name,
            password: Secret::from(body.password),
        };
        app.identity.accept_invitation(&origin, input).await.map_err(|error| refused(&request, &error))
    };
    match result.await {
        Ok(_) => done(&request, StatusCode::CREATED),
        Err(answer) => answer,
    }
}

async fn jwks(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    match app.identity.jwks().await {
        Ok(keys) => HttpResponse::Ok()
            .content_type("application/jwk-set+json")
            .insert_header(("cache-control", "public, max-age=300"))
            .body(keys),
        Err(error) => refused(&request, &error),
    }
}
