//! Asking witnesses for cosignatures over HTTP (C2SP tlog-witness).
//!
//! Invariants: an answer is read up to a bound and within a time; redirects are not followed and the environment's proxies
//! not asked; nothing but the checkpoint, which is made to be shown, leaves.
//!
//! Absent on purpose: trying again. Whoever asks does so with every head.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    compliance::{
        log::{
            note::parse_signature_lines,
            witness::{AddCheckpoint, SIZE_CONTENT_TYPE},
        },
        ports::{WitnessAnswer, WitnessClient},
    },
    kernel::fault::PortError,
};
use reqwest::{Client, Response, StatusCode, header::CONTENT_TYPE, redirect};

const PORT: &str = "witness";

/// Longest answer that is read: a handful of signature lines.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// A client of witnesses.
#[derive(Clone, Debug)]
pub struct HttpWitnesses {
    client: Client,
}

impl HttpWitnesses {
    /// Opens no connection yet. An answer may take as long as `timeout`.
    ///
    /// # Errors
    /// This machine trusts no certificates.
    pub fn new(timeout: Duration) -> Result<Self, PortError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(timeout)
            .connect_timeout(timeout)
            .user_agent(concat!("matricula/", env!("CARGO_PKG_VERSION")));
        Ok(Self { client: client.build().map_err(|e| PortError::lasting(PORT, e))? })
    }
}

async fn body(mut answer: Response) -> Result<Vec<u8>, PortError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| PortError::passing(PORT, e.without_url()))? {
        if body.len() + piece.len() > ANSWER_MAX_BYTES {
            return Err(PortError::passing(PORT, "the answer is too long"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[async_trait]
impl WitnessClient for HttpWitnesses {
    async fn add_checkpoint(&self, url: &str, request: &AddCheckpoint) -> Result<WitnessAnswer, PortError> {
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let sent = self.client.post(url).body(request.to_text()).send().await;
        let answer = sent.map_err(|e| PortError::passing(PORT, e.without_url()))?;
        let status = answer.status();
        let tells_size = answer.headers().get(CONTENT_TYPE).is_some_and(|value| value == SIZE_CONTENT_TYPE);
        let body = body(answer).await?;
        if status == StatusCode::OK {
            let lines = parse_signature_lines(&body).map_err(|e| PortError::passing(PORT, e))?;
            return Ok(WitnessAnswer::Cosigned(lines));
        }
        if status.is_server_error() {
            return Err(PortError::passing(PORT, format!("the witness answers {}", status.as_u16())));
        }
        if status == StatusCode::CONFLICT && tells_size {
            let size = str::from_utf8(&body).ok().and_then(|text| text.strip_suffix('\n'));
            let size = size.and_then(|text| text.parse::<u64>().ok().filter(|size| size.to_string() == text));
            return size
                .map(WitnessAnswer::OtherSize)
                .ok_or_else(|| PortError::passing(PORT, "the answer tells no size"));
        }
        Ok(WitnessAnswer::Refused(status.as_u16()))
    }
}
