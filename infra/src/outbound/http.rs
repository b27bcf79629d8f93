//! Calls over HTTP, each out the way its tenant goes.

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use domain::kernel::{scope::TenantScope, secret::Secret};
use reqwest::{
    Client, ClientBuilder, Request,
    header::{HeaderName, HeaderValue},
    redirect, retry,
};
use zeroize::Zeroizing;

use super::{
    call::{Call, Lost, Method, NotMade, Reply, SendFault, Transport},
    egress::{EgressRoutes, Proxy},
};

/// Longest answer that is read.
pub const ANSWER_MAX_BYTES: usize = 1 << 20;

/// Longest an idle connection is kept. Whoever is at the other end closes theirs unseen, mostly after more than this.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// The client can't be made: most likely this machine trusts no certificates, which are a package of their own.
#[derive(Debug, thiserror::Error)]
#[error("calls to platforms can't be made; does this machine have CA certificates?")]
pub struct OutboundFault(#[source] reqwest::Error);

/// [`Transport`] over sockets.
pub struct HttpTransport {
    routes: EgressRoutes,
    straight: Way,
    proxied: HashMap<Proxy, Way>,
}

/// The clients would print their proxies with their logins.
impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// The clients of one way out.
struct Way {
    /// Keeps connections for the next call.
    kept: Client,
    /// Opens one for each call. A kept connection may have been closed at the other end as a call is written into it,
    /// and then nobody knows whether that call was heard: calls that must not be made twice do without.
    fresh: Client,
}

impl Way {
    fn open(connect_timeout: Duration, proxy: Option<&Proxy>) -> Result<Self, OutboundFault> {
        let made = || -> reqwest::Result<Self> {
            Ok(Self {
                kept: builder(connect_timeout, proxy)?.pool_idle_timeout(IDLE_MAX).build()?,
                fresh: builder(connect_timeout, proxy)?.pool_max_idle_per_host(0).build()?,
            })
        };
        made().map_err(|error| OutboundFault(error.without_url()))
    }
}

fn builder(connect_timeout: Duration, proxy: Option<&Proxy>) -> reqwest::Result<ClientBuilder> {
    let builder = Client::builder()
        // What the environment says of proxies is not asked.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        .user_agent(concat!("matricula/", env!("CARGO_PKG_VERSION")));
    Ok(match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.url().as_str())?),
        None => builder,
    })
}

impl HttpTransport {
    /// Opens no connection yet. Certificates are checked against the roots that this machine trusts.
    ///
    /// # Errors
    /// [`OutboundFault`].
    pub fn new(connect_timeout: Duration, routes: EgressRoutes) -> Result<Self, OutboundFault> {
        let mut proxied = HashMap::new();
        for proxy in routes.proxies() {
            if !proxied.contains_key(proxy) {
                proxied.insert(proxy.clone(), Way::open(connect_timeout, Some(proxy))?);
            }
        }
        Ok(Self { straight: Way::open(connect_timeout, None)?, proxied, routes })
    }

    /// The way of a tenant; `None` when it has a proxy and that has no client, which never is so.
    fn way(&self, scope: &TenantScope) -> Option<&Way> {
        match self.routes.of(scope) {
            Some(proxy) => self.proxied.get(proxy),
            None => Some(&self.straight),
        }
    }
}

fn request(client: &Client, call: &Call) -> Result<Request, SendFault> {
    let unbuildable = || SendFault::not_done(NotMade::Unbuildable);
    let method = match call.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let mut request = client.request(method, call.url.clone());
    for (name, value) in &call.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unbuildable())?;
        let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| unbuildable())?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    if let Some(body) = &call.body {
        request = request.body(body.expose().to_vec());
    }
    request.build().map_err(fault)
}

/// What a failure means for the call.
fn fault(error: reqwest::Error) -> SendFault {
    // The address has ids and, with some platforms, a token in it.
    let error = error.without_url();
    if error.is_builder() {
        return SendFault::NotDone { why: NotMade::Unbuildable, cause: Some(error.into()) };
    }
    // A connection that was never made, to the platform or to the proxy: names, sockets, tunnels, TLS.
    if error.is_connect() {
        return SendFault::NotDone { why: NotMade::Unreachable, cause: Some(error.into()) };
    }
    let why = if error.is_timeout() { Lost::TimedOut } else { Lost::Cut };
    SendFault::Unknown { why, cause: Some(error.into()) }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let way = self.way(&call.scope).ok_or(SendFault::not_done(NotMade::Unreachable))?;
        let client = if call.repeatable { &way.kept } else { &way.fresh };
        let mut response = client.execute(request(client, call)?).await.map_err(fault)?;
        let status = response.status().as_u16();
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let told =
            response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let mut body = Zeroizing::new(Vec::with_capacity(told.min(ANSWER_MAX_BYTES)));
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(SendFault::unknown(Lost::TooLong));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: Secret::new(std::mem::take(&mut *body)) })
    }
}
