//! The table `[douyin]`.

use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use super::super::SettingFault;

/// Where the platform is.
const BASE_URL: &str = "https://open.douyin.com";

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DouyinSettings {
    /// Where the platform answers; its sandbox's address to rehearse.
    pub base_url: Url,
    /// Scopes that owners may untick on the consent page, of those asked for.
    pub optional_scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default = "base_url")]
    base_url: String,
    #[serde(default)]
    optional_scopes: Vec<String>,
}

fn base_url() -> String {
    BASE_URL.to_owned()
}

impl DouyinSettings {
    /// Reads the table.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(table: &Value) -> Result<Self, SettingFault> {
        if !table.is_object() {
            return Err(fault("douyin", "must be a [section]"));
        }
        let table = Table::deserialize(table).map_err(|error| fault("douyin", error.to_string()))?;
        Ok(Self { base_url: checked(&table.base_url)?, optional_scopes: table.optional_scopes })
    }
}

fn fault(setting: &str, problem: impl Into<String>) -> SettingFault {
    SettingFault { setting: setting.to_owned(), problem: problem.into() }
}

fn checked(text: &str) -> Result<Url, SettingFault> {
    let wrong = |problem: &str| fault("douyin.base_url", problem);
    let url = Url::parse(text).map_err(|_| wrong("must be an address, as https://open.douyin.com"))?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(wrong("must be scheme, host and port alone"));
    }
    // App secrets and tokens go there.
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host().is_some_and(|host| is_near(&host)) => Ok(url),
        _ => Err(wrong(
            "must be https; http is for this machine and for neighbours without a dot in their name",
        )),
    }
}

/// This machine, or a neighbour of the same private network by its short name, as a sandbox in the next container is.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => !name.contains('.'),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_out_encrypted_or_not_far() {
        for good in [
            "https://open.douyin.com",
            "https://open-sandbox.douyin.com/",
            "http://127.0.0.1:8090",
            "http://[::1]:8090",
            "http://localhost:8090",
            "http://sandbox:8090",
        ] {
            assert!(DouyinSettings::read(&json!({ "base_url": good })).is_ok(), "{good}");
        }
        for bad in [
            "",
            "open.douyin.com",
            "http://open.douyin.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "https://open.douyin.com/x",
            "https://u:p@open.douyin.com",
            "https://open.douyin.com?x",
        ] {
            let fault = DouyinSettings::read(&json!({ "base_url": bad })).unwrap_err();
            assert_eq!(fault.setting, "douyin.base_url", "{bad}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_a_fault() {
        let settings = DouyinSettings::read(&json!({})).unwrap();
        assert_eq!(settings.base_url.as_str(), "https://open.douyin.com/");
        assert!(settings.optional_scopes.is_empty());
        assert!(DouyinSettings::read(&json!({ "base_ulr": "x" })).is_err());
        assert!(DouyinSettings::read(&json!([])).is_err());
    }
}
