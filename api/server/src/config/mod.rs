//! Configuration: the embedded default file, overridden by a file, then by the environment. All faults are reported
//! together, before anything is opened.

mod layers;
#[macro_use]
mod sections;
mod audit;
mod notary;
mod privacy;
mod records;
mod reports;

use std::{fmt, path::Path};

pub use audit::Audit;
pub use notary::{NotarySettings, Signer};
pub use privacy::Privacy;
pub use records::Records;
pub use reports::{ReportSigner, Reports};
pub use sections::{Bucket, Config, Files, Keys, LogFormat};

/// The default file, which is the manual.
pub const DEFAULT: &str = include_str!("../../../../deploy/config.default.toml");

/// One thing wrong, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting, as `http.listen`, or the file.
    pub setting: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Everything wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} fault(s):", self.0.len())?;
        for fault in &self.0 {
            writeln!(f, "  {}: {}", fault.setting, fault.problem)?;
        }
        f.write_str("every setting is described in deploy/config.default.toml")
    }
}

impl std::error::Error for Faults {}

/// What a verb needs of the configuration; the rest may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: only what is written must be right.
    Nothing,
    /// To serve callers.
    Serving,
    /// To work, and serve callers or not.
    Working,
    /// To migrate.
    Migrating,
    /// To check logs.
    Checking,
}

/// Reads the configuration.
///
/// # Errors
/// Everything wrong with it.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    need: Need,
) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let table = layers::merge(file, environment, &mut faults);
    let config = sections::read(&table, need, &mut faults);
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(Faults(faults)),
    }
}

/// The process's environment. Its only reader.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_default_file_is_whole() {
        assert_eq!(
            load(None, [], Need::Nothing).map(|c| c.http.listen.to_string()),
            Ok("127.0.0.1:8080".to_owned())
        );
    }

    #[test]
    fn the_environment_overrides_and_knows_types() {
        let config = load(
            None,
            env(&[
                ("MATRICULA_HTTP_LISTEN", "0.0.0.0:1"),
                ("MATRICULA_LIMITS_REQUESTS_PER_MINUTE", "7"),
                ("MATRICULA_HTTP_ORIGINS", "https://a.example, https://b.example"),
                ("DATABASE_URL", "postgres://u:p@h/d"),
                ("UNRELATED", "x"),
            ]),
            Need::Nothing,
        )
        .expect("good");
        assert_eq!(config.http.listen.to_string(), "0.0.0.0:1");
        assert_eq!(config.limits.requests_per_minute, 7);
        assert_eq!(config.http.origins, ["https://a.example", "https://b.example"]);
        assert_eq!(config.database.url, "postgres://u:p@h/d");
    }

    #[test]
    fn all_faults_are_told_together() {
        let faults = load(
            None,
            env(&[
                ("MATRICULA_HTTP_LISTEN", "nowhere"),
                ("MATRICULA_LIMITS_REQUESTS_PER_MINUTE", "many"),
                ("MATRICULA_HTTP_LISTN", "x"),
                ("MATRICULA_LOG_FORMAT", "xml"),
            ]),
            Need::Serving,
        )
        .expect_err("faults");
        let settings: Vec<_> = faults.0.iter().map(|fault| fault.setting.as_str()).collect();
        for setting in [
            "MATRICULA_HTTP_LISTN",
            "limits.requests_per_minute",
            "http.listen",
            "log.format",
            "database.url",
            "redis.url",
        ] {
            assert!(settings.contains(&setting), "{setting} in {settings:?}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let config = load(
            None,
            env(&[
                ("DATABASE_URL", "postgres://app:hunter2@db/m"),
                ("MATRICULA_KEYS_CURSOR_KEY", &"ab".repeat(32)),
                ("MATRICULA_NOTARY_CHAIN_URL", "https://node.example/v3/opensesame"),
            ]),
            Need::Nothing,
        )
        .expect("good");
        let shown = config.masked();
        assert!(!shown.contains("hunter2") && !shown.contains("abab"), "{shown}");
        assert!(
            !shown.contains("opensesame") && !format!("{:?}", config.notary).contains("opensesame"),
            "{shown}"
        );
        assert!(shown.contains("postgres://app:***@db/m"), "{shown}");
    }
}
