//! What is the same for all accounts of Douyin.

use domain::{
    accounts::{
        model::{Ability, AbilityRule},
        ports::PlatformFacts,
    },
    kernel::platform::{PlatformKey, PlatformKeyFault},
};

use super::{KEY, quotas::QUOTAS};

/// Renewals of a refresh token in one consent.
const RENEWALS_MAX: u32 = 5;

/// What every owner is asked for: who they are.
const NEEDED: [&str; 1] = ["user_info"];

/// What owners are asked for, of what the app has.
const WANTED: [&str; 5] =
    ["user_info", "video.create.bind", "video.list.bind", "video.data.bind", "item.comment"];

/// Ability, scopes for our servers, scopes for the owner with a link of ours. Old scopes and those with `.bind` are
/// separate permissions for the same calls, the current one first.
const RULES: [(Ability, &[&str], &[&str]); 5] = [
    (Ability::PublishVideo, &["video.create.bind", "video.create"], &SHARING),
    (Ability::PublishImages, &["video.create.bind", "video.create"], &SHARING),
    // The list has the figures too; `video.data.bind` is for those of posts that are known already.
    (Ability::ReadPosts, &["video.list.bind", "video.list"], &[]),
    (Ability::Comments, &["item.comment"], &[]),
    (Ability::Statistics, &["data.external.item", "data.external.user"], &[]),
];

/// Sharing from the app or from a page, into the owner's own app.
const SHARING: [&str; 2] = ["aweme.share", "h5.share"];

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

pub(super) fn facts() -> Result<PlatformFacts, PlatformKeyFault> {
    Ok(PlatformFacts {
        key: PlatformKey::parse(KEY)?,
        name: "Douyin",
        renewals_max: RENEWALS_MAX,
        renewal_scope: Some("renew_refresh_token"),
        // No page and no library of the platform's speaks of one.
        takes_challenge: false,
        scopes_wanted: owned(&WANTED),
        scopes_needed: owned(&NEEDED),
        rules: RULES
            .into_iter()
            .map(|(ability, server, hand_off)| AbilityRule {
                ability,
                server: owned(server),
                hand_off: owned(hand_off),
            })
            .collect(),
        quotas: QUOTAS.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ability_has_its_rule_and_what_is_needed_is_wanted() {
        let facts = facts().unwrap();
        let ruled: Vec<_> = facts.rules.iter().map(|rule| rule.ability).collect();
        assert_eq!(ruled, Ability::ALL);
        assert!(facts.scopes_needed.iter().all(|scope| facts.scopes_wanted.contains(scope)));
    }
}
