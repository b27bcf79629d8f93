//! Which way calls go out: a tenant may have a proxy of its own.

use std::{collections::HashMap, fmt};

use domain::kernel::{ids::TenantId, scope::TenantScope};
use url::Url;

/// A proxy: `http://`, `https://` or `socks5://`, with a login where it wants one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy(Url);

/// Why a text is no proxy. The text is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be http://, https:// or socks5://, a host and no path, as http://user:password@proxy.internal:3128"
)]
pub struct ProxyFault;

impl Proxy {
    /// Checks. Names are looked up by a SOCKS5 proxy too, as HTTP proxies do: a name looked up here would leave another
    /// way than the call.
    ///
    /// # Errors
    /// [`ProxyFault`].
    pub fn parse(text: &str) -> Result<Self, ProxyFault> {
        let mut url = Url::parse(text).map_err(|_| ProxyFault)?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        if !bare || !named || !["http", "https", "socks5", "socks5h"].contains(&url.scheme()) {
            return Err(ProxyFault);
        }
        if url.scheme() == "socks5" {
            url.set_scheme("socks5h").map_err(|()| ProxyFault)?;
        }
        Ok(Self(url))
    }

    pub(super) const fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Who goes which way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRoutes {
    /// The way of those that have none of their own; `None` for straight out.
    pub default: Option<Proxy>,
    /// The proxies of tenants. Such a tenant goes that way or not at all.
    pub tenants: HashMap<TenantId, Proxy>,
}

impl EgressRoutes {
    /// The proxy of a tenant; `None` for straight out.
    pub(super) fn of(&self, scope: &TenantScope) -> Option<&Proxy> {
        self.tenants.get(&scope.tenant()).or(self.default.as_ref())
    }

    /// Every proxy there is; some more than once.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.tenants.values().chain(self.default.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn proxies_are_checked_and_told_without_their_login() {
        for (text, told) in [
            ("http://proxy.internal:3128", "http://proxy.internal:3128"),
            ("https://u:hunter2@proxy.internal", "https://proxy.internal"),
            ("socks5://u:hunter2@10.0.0.1:1080", "socks5h://10.0.0.1:1080"),
            ("socks5h://[::1]:1080/", "socks5h://[::1]:1080"),
        ] {
            assert_eq!(format!("{:?}", Proxy::parse(text).unwrap()), told);
        }
        for text in [
            "",
            "proxy:3128",
            "ftp://proxy",
            "http://",
            "http://proxy/path",
            "socks4://p",
            "http://p?x",
            "socks5://",
        ] {
            assert_eq!(Proxy::parse(text), Err(ProxyFault), "{text}");
        }
    }

    #[test]
    fn a_tenants_own_way_comes_first() {
        let scope = |n| TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)));
        let [own, all] = ["http://own", "http://all"].map(|text| Proxy::parse(text).unwrap());
        let mut routes = EgressRoutes { default: None, tenants: [(scope(1).tenant(), own.clone())].into() };
        assert_eq!((routes.of(&scope(1)), routes.of(&scope(2))), (Some(&own), None));
        routes.default = Some(all.clone());
        assert_eq!((routes.of(&scope(1)), routes.of(&scope(2))), (Some(&own), Some(&all)));
    }
}
