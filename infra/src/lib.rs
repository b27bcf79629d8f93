//! How the domain's ports are kept. One folder per technology, and only that folder names its crate.
//!
//! | port | adapters |
//! | --- | --- |
//! | `kernel::clock::Clock`, `kernel::ids::{IdSource, Entropy}` | [`system`] |
//! | `kernel::secret::Vault` | [`envelope`] over key providers: [`local_keyring`], [`aws_kms`], [`pkcs11`] |
//! | `kernel::limit::RateLimiter` | [`redis`], [`governor`]; [`layers`] falls back from the one to the other |
//! | `kernel::feed::NewsFeed` | [`redis`] |
//! | `work::UnitOfWork`, `identity::ports::IdentityUnits`, `accounts::ports::AccountsUnits`, `content::ports::ContentUnits`, `publishing::ports::PublishingUnits` | [`postgres`] |
//! | `identity::ports::TenantDirectory` | [`postgres`] |
//! | `identity::ports::PasswordHasher` | [`argon2`] |
//! | `identity::ports::OneTimeCodes` | [`totp`] |
//! | `identity::ports::AccessTokens` | [`jwt`] |
//! | `identity::ports::Courier` | [`spool`] |
//! | `identity::ports::Geography` | [`maxmind`] |
//! | `accounts::ports::TokenSchedule` | [`postgres`] |
//! | `accounts::ports::HealthBoard` | [`redis`] |
//! | `accounts::ports::TokenJournal` | [`journal`] |
//! | `accounts::ports::Authorizer`, `publishing::ports::Publisher` | [`platforms`], each over [`outbound`] |
//! | `content::ports::UploadSchedule`, `publishing::ports::TurnSchedule` | [`postgres`] |
//! | `content::ports::ObjectStore` | [`object_store`] |
//! | `content::ports::MediaProbe`, `content::ports::Transcoder` | [`ffmpeg`] |
//! | `compliance::ports::{SequencerStore, AccessRecorder, LogKeys, LogReader, PlatformStore}` | [`postgres`] |
//! | `compliance::ports::{ComplianceUnits, ReportSchedule}` | [`postgres`] |
//! | `compliance::ports::ReportBinder` | [`bundles`] over [`object_store`] |
//! | `compliance::ports::{ErasureSchedule, EndSchedule, DailySchedule}` | [`postgres`] |
//! | `compliance::ports::TenantRemains` | [`postgres`] and [`object_store`] |
//! | `compliance::ports::ErasureLedger` | [`erasure_ledger`] over [`object_store`] |
//! | `compliance::ports::{HighWater, LeafHashes}` | [`high_water`] |
//! | `compliance::ports::Evidence` | [`high_water`] |
//! | `compliance::ports::WitnessClient` | [`witness`] |
//! | `compliance::ports::AttestationStore` | [`postgres`] |
//! | `compliance::ports::Attester` | [`chain`]; the time-stamping authority of [`bundles`] |
//! | `compliance::ports::CheckpointSigner` | [`local_keyring`], [`pkcs11`] |

pub mod argon2;
pub mod aws_kms;
pub mod bundles;
pub mod chain;
pub mod envelope;
pub mod erasure_ledger;
pub mod ffmpeg;
pub mod governor;
pub mod high_water;
pub mod journal;
pub mod jwt;
pub mod layers;
pub mod local_keyring;
pub mod maxmind;
pub mod object_store;
pub mod outbound;
pub mod pkcs11;
pub mod platforms;
pub mod postgres;
mod private_dir;
pub mod redis;
pub mod spool;
pub mod system;
pub mod totp;
pub mod witness;
