//! Platforms: one folder each, and one line here. A vendor's address, number or spelling is in its folder and nowhere
//! else.
//!
//! A platform's settings are a table of its own name, which its `config.rs` reads by itself: whoever reads the
//! configuration passes the tables on as they are.
//!
//! Absent on purpose: retries, time-outs and limits, which [`crate::outbound`] has for all of them.

pub mod douyin;

use std::sync::Arc;

use domain::{
    accounts::model::QuotaRule,
    accounts::ports::{Authorizer, Platforms},
    content::model::MediaRules,
    kernel::platform::PlatformKey,
    publishing::ports::{Publisher, Publishers},
};
use serde_json::{Map, Value};

use crate::outbound::Transport;

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SettingFault {
    /// The setting, as `douyin.base_url`.
    pub setting: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Makes a platform's adapter of its table, over the transport its calls go by.
type Register = fn(&Value, Arc<dyn Transport>) -> Result<Arc<dyn Authorizer>, SettingFault>;

/// Makes what posts on a platform, of the same.
type RegisterPublisher = fn(&Value, Arc<dyn Transport>) -> Result<Arc<dyn Publisher>, SettingFault>;

/// A platform there is.
struct Platform {
    key: &'static str,
    register: Register,
    publisher: RegisterPublisher,
    /// What files it takes.
    media: MediaRules,
    /// How much may be asked of it.
    quotas: &'static [QuotaRule],
}

/// The platforms there are.
const ALL: &[Platform] = &[Platform {
    key: douyin::KEY,
    register: douyin::register,
    publisher: douyin::publisher,
    media: douyin::MEDIA_RULES,
    quotas: douyin::QUOTAS,
}];

/// Their names, which their tables have too.
pub fn keys() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|platform| platform.key)
}

/// What posts on each platform, with the table `tables` has under its name.
///
/// # Errors
/// The first thing that is wrong with the tables.
pub fn publishers(
    tables: &Map<String, Value>,
    transport: &Arc<dyn Transport>,
) -> Result<Publishers, SettingFault> {
    let none = Value::Object(Map::new());
    let mut publishers = Vec::new();
    for Platform { key, publisher, .. } in ALL {
        let name = PlatformKey::parse(key)
            .map_err(|fault| SettingFault { setting: (*key).to_owned(), problem: fault.to_string() })?;
        publishers.push((name, publisher(tables.get(*key).unwrap_or(&none), Arc::clone(transport))?));
    }
    Ok(Publishers::new(publishers))
}

/// What files each takes.
pub fn media_rules() -> Vec<(PlatformKey, MediaRules)> {
    let of = |platform: &Platform| Some((PlatformKey::parse(platform.key).ok()?, platform.media.clone()));
    ALL.iter().filter_map(of).collect()
}

/// How much may be asked of each.
pub fn quota_rules() -> Vec<(&'static str, &'static [QuotaRule])> {
    ALL.iter().map(|platform| (platform.key, platform.quotas)).collect()
}

/// All platforms, each with the table `tables` has under its name; a platform without one has its defaults.
///
/// # Errors
/// All that is wrong with the tables.
pub fn register(
    tables: &Map<String, Value>,
    transport: &Arc<dyn Transport>,
) -> Result<Platforms, Vec<SettingFault>> {
    let unknown = tables.keys().filter(|key| !keys().any(|known| known == *key));
    let mut faults: Vec<_> = unknown
        .map(|key| SettingFault { setting: key.clone(), problem: "there is no such platform".to_owned() })
        .collect();
    let none = Value::Object(Map::new());
    let mut platforms = Vec::new();
    for Platform { key, register, .. } in ALL {
        match register(tables.get(*key).unwrap_or(&none), Arc::clone(transport)) {
            Ok(platform) => platforms.push(platform),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(Platforms::new(platforms)) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outbound::script::Script;

    fn register_with(tables: &Value) -> Result<Vec<String>, Vec<String>> {
        let transport: Arc<dyn Transport> = Arc::new(Script::default());
        let told = |platforms: Platforms| platforms.all().map(|facts| facts.key.to_string()).collect();
        register(tables.as_object().unwrap(), &transport)
            .map(told)
            .map_err(|faults| faults.into_iter().map(|fault| fault.setting).collect())
    }

    #[test]
    fn platforms_are_there_without_settings_and_faults_are_told_together() {
        assert_eq!(register_with(&json!({})), Ok(vec!["douyin".to_owned()]));
        assert!(
            media_rules().iter().map(|(key, _)| key.as_str()).eq(keys()),
            "every platform says what files it takes"
        );
        assert_eq!(
            register_with(&json!({ "douyn": {}, "douyin": { "base_url": 7 } })),
            Err(vec!["douyn".to_owned(), "douyin".to_owned()])
        );
    }
}
