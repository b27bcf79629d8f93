//! Calls to the platform's endpoints.

use std::sync::Arc;

use domain::{
    accounts::{
        model::AppCredentials,
        ports::{PlatformError, RefusalKind},
    },
    kernel::{scope::TenantScope, secret::Secret},
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
        let call = Call {
            scope: *scope,
            line: Line { platform: KEY, app: app.app, endpoint: endpoint.word },
            method: Method::Post,
            url: self.url(endpoint.path),
            headers: vec![
                ("content-type", Secret::from("application/x-www-form-urlencoded".to_owned())),
                ("accept", Secret::from("application/json".to_owned())),
            ],
            body: Some(form(fields)),
            repeatable: endpoint.repeatable,
        };
        let reply = self.transport.send(&call).await.map_err(|fault| error::unsent(endpoint, fault))?;
        match read(reply.status, reply.body.expose()) {
            Ok(Said::Done(data)) => Ok(data),
            Ok(Said::Code(code)) => Err(error::refused(endpoint, code)),
            Err(why) => Err(error::unread(endpoint, why)),
        }
    }
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
