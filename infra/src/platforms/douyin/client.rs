//! Calls to the platform's endpoints.

use std::{sync::Arc, time::Duration};

use domain::{
    accounts::{TokenLease, model::AppCredentials},
    kernel::{
        ids::{AccountId, AppId},
        platform::{PlatformError, RefusalKind},
        scope::TenantScope,
        secret::Secret,
    },
};
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded::byte_serialize};
use zeroize::Zeroizing;

use super::{
    KEY, error,
    wire::{Said, read},
};
use crate::outbound::{Call, Line, Method, Transport};

/// One endpoint of the platform.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// What failed when it did not answer.
    pub(super) port: &'static str,
    /// The word in figures and spans.
    pub(super) word: &'static str,
    /// Where it is.
    pub(super) path: &'static str,
    /// Whether the same call may be made again by itself when its answer was lost.
    pub(super) repeatable: bool,
    /// Whether a second call can at worst be refused, with nothing lost by it.
    pub(super) twice_is_harmless: bool,
    /// Codes that mean something else here than elsewhere.
    pub(super) meanings: &'static [(i64, RefusalKind)],
    /// How long it may take when it carries much.
    pub(super) patience: Option<Duration>,
    /// Whether it is asked by GET.
    pub(super) reads_by_get: bool,
}

impl Endpoint {
    /// What may be done once: a second call could do harm.
    pub(super) const fn once(port: &'static str, word: &'static str, path: &'static str) -> Self {
        Self {
            port,
            word,
            path,
            repeatable: false,
            twice_is_harmless: false,
            meanings: &[],
            patience: None,
            reads_by_get: false,
        }
    }

    /// What whoever needs it may ask for again when nobody knows whether it was done.
    pub(super) const fn harmless(port: &'static str, word: &'static str, path: &'static str) -> Self {
        Self { twice_is_harmless: true, ..Self::once(port, word, path) }
    }

    /// What is asked again by itself when its answer was lost.
    pub(super) const fn repeatable(port: &'static str, word: &'static str, path: &'static str) -> Self {
        Self { repeatable: true, ..Self::harmless(port, word, path) }
    }
}

/// Makes calls.
#[derive(Clone)]
pub(super) struct Client {
    transport: Arc<dyn Transport>,
    base_url: Url,
}

impl Client {
    pub(super) fn new(transport: Arc<dyn Transport>, base_url: Url) -> Self {
        Self { transport, base_url }
    }

    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(path);
        url
    }

    /// Posts a form and reads what came of it.
    pub(super) async fn post_form<T: DeserializeOwned>(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        endpoint: &Endpoint,
        fields: &[(&str, &[u8])],
    ) -> Result<T, PlatformError> {
        let body = (FORM, form(fields));
        let url = self.url(endpoint.path);
        self.send(
            scope,
            (app.app, None),
            endpoint,
            Ask { method: Method::Post, url, token: None, body: Some(body) },
        )
        .await
    }

    /// Makes a call in an account's name and reads what came of it. `query` names the account first.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        endpoint: &Endpoint,
        query: &[(&str, &str)],
        body: Option<(&'static str, Secret)>,
    ) -> Result<T, PlatformError> {
        let mut url = self.url(endpoint.path);
        url.query_pairs_mut().append_pair("open_id", &lease.open_id).extend_pairs(query);
        let method = if endpoint.reads_by_get { Method::Get } else { Method::Post };
        let ask = Ask { method, url, token: Some(lease.access.clone()), body };
        self.send(scope, (lease.credentials.app, Some(lease.account)), endpoint, ask).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        scope: &TenantScope,
        (app, account): (AppId, Option<AccountId>),
        endpoint: &Endpoint,
        ask: Ask,
    ) -> Result<T, PlatformError> {
        let mut headers = vec![("accept", Secret::from("application/json".to_owned()))];
        headers.extend(ask.token.map(|token| ("access-token", token)));
        let body = ask.body.map(|(content_type, body)| {
            headers.insert(0, ("content-type", Secret::from(content_type.to_owned())));
            body
        });
        let call = Call {
            scope: *scope,
            line: Line { platform: KEY, app, endpoint: endpoint.word },
            account,
            method: ask.method,
            url: ask.url,
            headers,
            body,
            repeatable: endpoint.repeatable,
            patience: endpoint.patience,
            judge: error::judge,
        };
        let reply = self.transport.send(&call).await.map_err(|fault| error::unsent(endpoint, fault))?;
        match read(reply.status, reply.body.expose()) {
            Ok(Said::Done(data)) => Ok(data),
            Ok(Said::Code(code)) => Err(error::refused(endpoint, code)),
            Err(why) => Err(error::unread(endpoint, why)),
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// One call, before it is known where it goes out.
struct Ask {
    method: Method,
    url: Url,
    token: Option<Secret>,
    body: Option<(&'static str, Secret)>,
}

/// Parts of a multipart form end so (RFC 7578). Nobody can put it into a file but by knowing it, and a file that has it is
/// only cut short.
const BOUNDARY: &str = "matricula-7b1f0c52-9b1d-4f6e-a3c8-5d2e8f4a6c90";

/// What a multipart form of [`multipart`] is called.
pub(super) const MULTIPART: &str =
    "multipart/form-data; boundary=matricula-7b1f0c52-9b1d-4f6e-a3c8-5d2e8f4a6c90";

/// A form with one file.
pub(super) fn multipart(field: &str, name: &str, media_type: &str, bytes: &[u8]) -> Secret {
    // Quotes and ends of lines would end the name (WHATWG HTML, "multipart form data").
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    let media_type = if plain(media_type) && !media_type.is_empty() { media_type } else { "video/mp4" };
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         content-type: {media_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let mut body = Vec::with_capacity(head.len() + bytes.len() + tail.len());
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(tail.as_bytes());
    Secret::new(body)
}

/// Fields as a form has them. Most of them are secrets, so there is room for all at once: a buffer that grows leaves
/// copies behind.
fn form(fields: &[(&str, &[u8])]) -> Secret {
    let room = fields.iter().map(|(name, value)| name.len() + 2 + 3 * value.len()).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        byte_serialize(value).for_each(|piece| body.extend_from_slice(piece.as_bytes()));
    }
    Secret::new(std::mem::take(&mut *body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_written_within_their_room() {
        let fields: [(&str, &[u8]); 3] = [("a", "é&=+ x".as_bytes()), ("b", b""), ("c", b"\xff\x00")];
        assert_eq!(form(&fields).expose_str(), Some("a=%C3%A9%26%3D%2B+x&b=&c=%FF%00"));
        assert_eq!(form(&[]).expose(), b"");
    }
}
