//! Root keys in AWS KMS, or in what speaks its API: the key provider for installations whose keys belong to a key
//! service, and to its audit trail.
//!
//! Invariants
//! - The root key never leaves the service. Each wrap is one `Encrypt`, each unwrap one `Decrypt`, both with the
//!   tenant, purpose and version as encryption context: the service refuses a wrap that was moved, and its own log
//!   tells whose key was used.
//! - `Decrypt` names the key: a wrap made under somebody else's key is refused though this login may use that one too.
//!
//! The SDK hands plaintext out as an ordinary buffer, which is overwritten here at once; buffers below it (HTTP, TLS)
//! are the SDK's own and out of reach.
//!
//! Credentials are found by the SDK's default chain: environment, profile, container, instance.

mod report;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_kms::{
    Client,
    config::{Region, http::HttpResponse, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use domain::kernel::fault::PortError;
use zeroize::{Zeroize as _, Zeroizing};

pub use self::report::AwsKmsReportSigner;
use crate::envelope::{KeyContext, KeyProvider};

const PORT: &str = "aws_kms";

/// Codes that pass by themselves
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html> and those of `Encrypt` and `Decrypt`).
const PASSING: [&str; 8] = [
    "DependencyTimeoutException",
    "InternalFailure",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestExpired",
    "ServiceUnavailable",
    "ThrottlingException",
];

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKmsSettings {
    /// The key's ARN. Not an alias: what it names may change, and what was wrapped before would not open any more.
    pub key: String,
    /// The region; where it is left out, the SDK's own chain says.
    pub region: Option<String>,
    /// Another endpoint than AWS's own, as `https://kms.internal:8443`.
    pub endpoint: Option<String>,
}

/// A [`KeyProvider`] over one symmetric KMS key (`SYMMETRIC_DEFAULT`). Rotation of its material is the service's:
/// a wrap goes on opening.
#[derive(Clone, Debug)]
pub struct AwsKms {
    client: Client,
    key: String,
}

/// Why a wrap or unwrap failed. Never says more of the key than its name.
#[derive(Debug, thiserror::Error)]
enum AwsKmsFault {
    #[error("{0}")]
    Service(String),
    #[error("the service answered without {0}")]
    Incomplete(&'static str),
    #[error("the service gave a key of {0} bytes, not 32")]
    Length(usize),
}

impl AwsKms {
    /// Finds credentials and region as the SDK does, and asks nothing yet.
    pub async fn connect(settings: &AwsKmsSettings) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            // The envelope has a time-out of its own around each call, and remembers failures.
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Self::over(Client::new(&loader.load().await), settings.key.clone())
    }

    /// Over a client made elsewhere.
    pub const fn over(client: Client, key: String) -> Self {
        Self { client, key }
    }
}

/// The encryption context: bound into the wrap and written to the service's log in clear.
fn encryption_context(context: &KeyContext) -> [(&'static str, String); 3] {
    [
        ("matricula:tenant", context.tenant.uuid().hyphenated().to_string()),
        ("matricula:purpose", context.purpose.to_owned()),
        ("matricula:version", context.version.to_string()),
    ]
}

/// What went wrong, in words of ours: the SDK's own text quotes the answer, and an answer cut short may hold a key.
fn refused<E>(error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let service = error.as_service_error().map(ProvideErrorMetadata::meta);
    if let Some(code) = service.and_then(|meta| meta.code()) {
        let message = service.and_then(|meta| meta.message()).unwrap_or("no reason given");
        let fault = AwsKmsFault::Service(format!("{status} {code}: {message}"));
        return if status >= 500 || status == 429 || PASSING.contains(&code) {
            PortError::passing(PORT, fault)
        } else {
            PortError::lasting(PORT, fault)
        };
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else there is or will be is no answer either"
    )]
    let why = match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => {
            let connector = failure.as_connector_error();
            format!("not reached: {}", connector.map_or_else(|| "unknown".to_owned(), ToString::to_string))
        }
        SdkError::ConstructionFailure(_) => {
            "the request could not be made; are there credentials?".to_owned()
        }
        _ => format!("{status} and an answer that is not the service's"),
    };
    PortError::passing(PORT, AwsKmsFault::Service(why))
}

#[async_trait]
impl KeyProvider for AwsKms {
    fn describe(&self) -> &'static str {
        "aws-kms"
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        let mut call = self.client.encrypt().key_id(&self.key).plaintext(Blob::new(key.as_slice()));
        for (name, value) in encryption_context(context) {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|e| refused(&e))?;
        let wrapped = answer
            .ciphertext_blob
            .ok_or_else(|| PortError::passing(PORT, AwsKmsFault::Incomplete("a ciphertext")))?;
        Ok(wrapped.into_inner())
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        let mut call = self.client.decrypt().key_id(&self.key).ciphertext_blob(Blob::new(wrapped));
        for (name, value) in encryption_context(context) {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|e| refused(&e))?;
        let plaintext = answer
            .plaintext
            .ok_or_else(|| PortError::passing(PORT, AwsKmsFault::Incomplete("a plaintext")))?;
        let mut plaintext = plaintext.into_inner();
        let mut key = Zeroizing::new([0; 32]);
        let fits = plaintext.len() == key.len();
        if fits {
            key.copy_from_slice(&plaintext);
        }
        let length = plaintext.len();
        plaintext.zeroize();
        if fits { Ok(key) } else { Err(PortError::lasting(PORT, AwsKmsFault::Length(length))) }
    }
}
