//! Asking a time-stamping authority over HTTP (RFC 3161 section 3.4).

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{TimeZone as _, Utc};
use domain::{
    compliance::{
        bundle::tsp,
        log::merkle::Hash,
        ports::{Attester, Progress, Settled},
    },
    kernel::{fault::PortError, ids::Entropy as _},
};
use reqwest::{Client, header::CONTENT_TYPE, redirect};

use crate::system::System;

const PORT: &str = "time_stamping";

/// Longest an authority is waited for: a report without a timestamp is better than none.
const PATIENCE: Duration = Duration::from_secs(10);

/// An authority.
#[derive(Clone, Debug)]
pub struct TimeStampingAuthority {
    client: Client,
    url: String,
}

impl TimeStampingAuthority {
    /// The authority at an address. Opens no connection yet.
    ///
    /// # Errors
    /// This machine trusts no certificates.
    pub fn new(url: String) -> Result<Self, PortError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(PATIENCE)
            .user_agent(concat!("matricula/", env!("CARGO_PKG_VERSION")));
        Ok(Self { client: client.build().map_err(|e| PortError::lasting(PORT, e))?, url })
    }

    /// What is kept of a timestamp over `data` ([`tsp::keep`]). `nonce` is a random number.
    ///
    /// # Errors
    /// No answer, one that does not grant, or one over something else.
    pub async fn stamp(&self, data: &[u8], nonce: u64) -> Result<Vec<u8>, PortError> {
        let request = tsp::request(data, nonce).map_err(|e| PortError::lasting(PORT, e))?;
        let sent =
            self.client.post(&self.url).header(CONTENT_TYPE, "application/timestamp-query").body(request);
        let mut answer = sent.send().await.map_err(|e| PortError::passing(PORT, e.without_url()))?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Err(PortError::passing(PORT, format!("the authority answers {status}")));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|e| PortError::passing(PORT, e.without_url()))? {
            body.extend_from_slice(&piece);
            if body.len() > tsp::RESPONSE_MAX_BYTES {
                return Err(PortError::passing(PORT, "the answer is too long"));
            }
        }
        tsp::keep(&body, data, nonce).map_err(|e| PortError::passing(PORT, e))
    }
}

/// What is prepared is the nonce; what is stamped are the 32 bytes of the digest.
#[async_trait]
impl Attester for TimeStampingAuthority {
    fn name(&self) -> &'static str {
        "rfc3161"
    }

    async fn prepare(&self, _: Hash) -> Result<Vec<u8>, PortError> {
        Ok(System.bytes32()[..8].to_vec())
    }

    async fn advance(&self, digest: Hash, prepared: &[u8]) -> Result<Progress, PortError> {
        let nonce = prepared.try_into().map_err(|_| PortError::lasting(PORT, "a nonce is not 8 bytes"))?;
        let kept = self.stamp(&digest.0, u64::from_be_bytes(nonce)).await?;
        let token = tsp::parse(&kept).map_err(|e| PortError::lasting(PORT, e))?;
        let at = Utc.timestamp_micros(token.says.at.micros()).single();
        let at = at.ok_or_else(|| PortError::lasting(PORT, "the authority's time is none"))?;
        Ok(Progress::Settled(Settled { proof: STANDARD.encode(kept), at }))
    }
}
