//! How much may be asked of Douyin. README.md says what was read where.
//!
//! The quota of calls a day is a scope's, and what a scope opens shares it; its number is published for lists of videos
//! alone. Apps that were never promoted have less, which nobody can tell from here: what the platform refuses is noted.

use chrono::TimeDelta;
use domain::{
    accounts::model::{QuotaCounts, QuotaOwner, QuotaPeriod, QuotaRule},
    kernel::platform::RefusalKind,
};

/// Posts of one user by one app on one day.
pub(super) const POSTS_PER_DAY: u32 = 75;

/// How far the day that posts are counted by, Beijing's, is ahead of UTC's.
pub(super) const DAY_AHEAD: TimeDelta = TimeDelta::hours(8);

/// Calls of a day, which begins at 08:00 in Beijing: at midnight in UTC.
const CALLS: QuotaRule = QuotaRule {
    name: "calls",
    endpoints: &[],
    owner: QuotaOwner::App,
    period: QuotaPeriod::Day { ahead: TimeDelta::zero() },
    counts: QuotaCounts::Answered,
    limit: None,
    used_up_by: Some(RefusalKind::QuotaUsedUp),
    source: "free-quota page, by scope and day from 08:00 in Beijing: no number is published for this scope",
};

/// All of them.
pub(in crate::platforms) const QUOTAS: &[QuotaRule] = &[
    QuotaRule {
        name: "posts",
        endpoints: &["create_video"],
        owner: QuotaOwner::Account,
        period: QuotaPeriod::Day { ahead: DAY_AHEAD },
        counts: QuotaCounts::Done,
        limit: Some(POSTS_PER_DAY),
        used_up_by: Some(RefusalKind::PostsUsedUp),
        source: "publishing page: 75 posts of a user by an app on a day of Beijing",
    },
    QuotaRule {
        name: "calls_video_create",
        endpoints: &[
            "upload_video",
            "init_video_part_upload",
            "upload_video_part",
            "complete_video_part_upload",
            "create_video",
        ],
        ..CALLS
    },
    QuotaRule {
        name: "calls_video_list",
        endpoints: &["video_list"],
        limit: Some(1_000),
        source: "free-quota page: about 1,000 calls of a list of videos on a day from 08:00 in Beijing",
        ..CALLS
    },
    QuotaRule { name: "calls_video_data", endpoints: &["video_data"], ..CALLS },
    QuotaRule {
        name: "calls_per_second",
        endpoints: &[
            "upload_video",
            "init_video_part_upload",
            "upload_video_part",
            "complete_video_part_upload",
            "create_video",
            "video_list",
            "video_data",
        ],
        period: QuotaPeriod::Second,
        used_up_by: None,
        source: "code 28003018 says that there is one: no number is published for what is called here",
        ..CALLS
    },
];

#[cfg(test)]
mod tests {
    use super::{
        super::publisher::{BEGIN_PARTS, CREATE, DATA, FINISH_PARTS, LIST, PUT_PART, UPLOAD},
        *,
    };

    #[test]
    fn names_differ_and_every_call_in_an_accounts_name_is_counted_somewhere() {
        let mut names: Vec<_> = QUOTAS.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUOTAS.len());
        let words =
            [UPLOAD, BEGIN_PARTS, PUT_PART, FINISH_PARTS, CREATE, LIST, DATA].map(|endpoint| endpoint.word);
        for word in words {
            let daily = QUOTAS.iter().filter(|rule| matches!(rule.period, QuotaPeriod::Day { .. }));
            assert!(daily.into_iter().any(|rule| rule.endpoints.contains(&word)), "{word}");
        }
        let listed = QUOTAS.iter().flat_map(|rule| rule.endpoints);
        assert!(listed.into_iter().all(|word| words.contains(word)), "no word that nothing has");
    }
}
