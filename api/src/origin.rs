//! Where a request came from, as its events will say: nothing personal in the clear.

use std::net::IpAddr;

use chrono::Datelike as _;
use domain::{
    identity::SignedIn,
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, SessionId},
        outbox::{IpHash, Origin, Party},
        scope::TenantScope,
    },
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{app::App, hex::hex};

/// Addresses of proxies of ours: the only ones whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpAddr>);

impl Proxies {
    /// The client's address: the last one in `X-Forwarded-For` that is not a proxy of ours, if the connection
    /// itself is from a proxy of ours; else the connection's.
    pub fn client_of(&self, peer: Option<IpAddr>, forwarded_for: Option<&str>) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        if !self.0.contains(&peer) {
            return Some(peer);
        }
        forwarded_for
            .into_iter()
            .flat_map(|list| list.rsplit(','))
            .map_while(|text| text.trim().parse::<IpAddr>().ok())
            .map(|address| address.to_canonical())
            .find(|address| !self.0.contains(address))
            .or(Some(peer))
    }
}

/// What one customer of a provider has: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// What stands for somebody in the name of a bucket: names are kept where people look, and hashed they say nothing of
/// anybody.
pub(crate) fn bucket_part(text: &str) -> Uuid {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    Uuid::from_slice(&hash[..16]).unwrap_or_default()
}

/// What a client shows of itself beside its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its own name for its device.
    pub device: Option<String>,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
    /// Its `Accept-Language`.
    pub accept_language: Option<String>,
}

impl ClientFacts {
    /// One value for the device: its own name when it gives one, else what its headers look like.
    fn device_facts(&self) -> Option<Vec<u8>> {
        let mut hasher = Sha256::new();
        match (&self.device, &self.user_agent) {
            (Some(device), _) => {
                hasher.update(b"device\0");
                hasher.update(device.as_bytes());
            }
            (None, Some(agent)) => {
                hasher.update(b"headers\0");
                hasher.update(agent.as_bytes());
                hasher.update(b"\0");
                hasher.update(self.accept_language.as_deref().unwrap_or_default().as_bytes());
            }
            (None, None) => return None,
        }
        Some(hasher.finalize().to_vec())
    }
}

/// The origin of a request in `scope`.
pub(crate) async fn origin_of(
    app: &App,
    scope: TenantScope,
    answer: ComplianceId,
    operation: &str,
    facts: &ClientFacts,
    known: Option<&SignedIn>,
) -> Result<Origin, PortError> {
    let ip = match facts.ip {
        Some(address) => {
            let now = app.clock.now();
            let epoch = quarter(now);
            let label = format!("audit.ip.{epoch}");
            let hash =
                app.vault.keyed_hash(&scope, &label, address.to_canonical().to_string().as_bytes()).await?;
            Some(IpHash { key_epoch: epoch, value: hex(&hash) })
        }
        None => None,
    };
    let device = match facts.device_facts() {
        Some(facts) => Some(hex(&app.vault.keyed_hash(&scope, "audit.device", &facts).await?)),
        None => None,
    };
    Ok(Origin {
        compliance_id: answer,
        operation: operation.to_owned(),
        actor: known.map_or(Party::ANONYMOUS, |known| Party::from(&known.actor)),
        session: known.and_then(|known| known.actor.session()).map(SessionId::uuid),
        mfa: known.and_then(|known| known.mfa),
        device,
        geo: facts.ip.and_then(|address| app.geography.locate(address)),
        ip,
    })
}

/// The quarter in which addresses are hashed alike.
fn quarter(now: Timestamp) -> String {
    format!("{}Q{}", now.year(), now.month0() / 3 + 1)
}

/// The origin of a request when there are no keys to make hashes with: what failed for want of them is told of too.
pub(crate) fn bare_origin(answer: ComplianceId, operation: &str, known: Option<&SignedIn>) -> Origin {
    let mut origin = Origin::system(answer, operation);
    origin.actor = known.map_or(Party::ANONYMOUS, |known| Party::from(&known.actor));
    origin.session = known.and_then(|known| known.actor.session()).map(SessionId::uuid);
    origin.mfa = known.and_then(|known| known.mfa);
    origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hashed_anew_in_each_quarter() {
        let of = |text: &str| quarter(text.parse().expect("an instant"));
        for (instant, label) in [
            ("2025-12-31T23:59:59.999999Z", "2025Q4"),
            ("2026-01-01T00:00:00Z", "2026Q1"),
            ("2026-03-31T23:59:59.999999Z", "2026Q1"),
            ("2026-04-01T00:00:00Z", "2026Q2"),
            ("2026-09-30T23:59:59Z", "2026Q3"),
            ("2026-10-01T00:00:00Z", "2026Q4"),
        ] {
            assert_eq!(of(instant), label, "{instant}");
        }
    }

    #[test]
    fn forwarded_for_is_believed_from_proxies_only() {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let proxies = Proxies(ip("10.0.0.1").into_iter().collect());
        assert_eq!(proxies.client_of(ip("192.0.2.9"), Some("198.51.100.1")), ip("192.0.2.9"));
        assert_eq!(proxies.client_of(ip("10.0.0.1"), Some("198.51.100.1")), ip("198.51.100.1"));
        // What the client wrote itself stands further left, and is not believed.
        assert_eq!(proxies.client_of(ip("10.0.0.1"), Some("203.0.113.5, 198.51.100.1")), ip("198.51.100.1"));
        assert_eq!(proxies.client_of(ip("10.0.0.1"), Some("198.51.100.1, 10.0.0.1")), ip("198.51.100.1"));
        assert_eq!(proxies.client_of(ip("10.0.0.1"), Some("rubbish")), ip("10.0.0.1"));
        assert_eq!(proxies.client_of(ip("10.0.0.1"), None), ip("10.0.0.1"));
        assert_eq!(proxies.client_of(ip("::ffff:10.0.0.1"), Some("198.51.100.1")), ip("198.51.100.1"));
    }
}
