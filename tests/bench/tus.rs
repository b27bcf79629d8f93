//! A client of tus 1.0.0, as tus-js-client asks: an upload is made, then its bytes are sent in one request or in several.

use harness::stores::HarnessError;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

/// Sends files to one service.
#[derive(Clone)]
pub(crate) struct Tus {
    http: reqwest::Client,
    /// Where uploads are made.
    url: String,
    /// Whose they are; empty for nobody's.
    token: String,
}

impl Tus {
    /// Of the service whose uploads are made at `url`.
    ///
    /// # Errors
    /// The HTTP library can't be set up.
    pub(crate) fn new(url: String, token: &str) -> Result<Self, HarnessError> {
        Ok(Self { http: reqwest::Client::builder().build()?, url, token: token.to_owned() })
    }

    /// Sends a file, in requests of at most `part_bytes`; the upload's name. `metadata` says what it is.
    ///
    /// # Errors
    /// It was refused, or something else was counted than what was sent.
    pub(crate) async fn send(
        &self,
        file: &'static [u8],
        part_bytes: usize,
        metadata: &str,
    ) -> Result<String, HarnessError> {
        let made = self.ask(Method::POST, &self.url).header("upload-length", file.len());
        let made =
            expect(made.header("upload-metadata", metadata).send().await?, StatusCode::CREATED).await?;
        let address = word(&made, "location")?;
        let name = address.rsplit('/').next().unwrap_or_default().to_owned();
        let url = format!("{}/{name}", self.url);
        let mut sent = 0;
        for part in file.chunks(part_bytes) {
            let request = self.ask(Method::PATCH, &url).header("upload-offset", sent);
            let request = request.header("content-type", "application/offset+octet-stream").body(part);
            let answer = expect(request.send().await?, StatusCode::NO_CONTENT).await?;
            sent += part.len();
            if word(&answer, "upload-offset")? != sent.to_string() {
                return Err(format!("{sent} bytes were sent and others counted").into());
            }
        }
        Ok(name)
    }

    fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.http.request(method, url).header("tus-resumable", "1.0.0");
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }
}

async fn expect(answer: Response, status: StatusCode) -> Result<Response, HarnessError> {
    if answer.status() == status {
        return Ok(answer);
    }
    Err(format!("an upload was refused: {} {}", answer.status(), answer.text().await?).into())
}

fn word(answer: &Response, header: &str) -> Result<String, HarnessError> {
    let value = answer.headers().get(header).and_then(|value| value.to_str().ok());
    value.map(ToOwned::to_owned).ok_or_else(|| format!("an answer has no {header}").into())
}
