//! What the documents leave open, as switches with the recommended choice as default, and limits as knobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which error codes an endpoint answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Codes {
    /// New codes below `/api/`, old ones elsewhere.
    ByPath,
    Old,
    New,
}

/// How the redirect address is compared with those registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RedirectMatch {
    Exact,
    /// Up to `#` and `?`.
    BeforeQuery,
    Host,
}

/// When a quirk of the envelopes shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quirk {
    Never,
    /// By the seed, for about half of the answers.
    Sometimes,
    Always,
}

/// All switches; README.md of the crate says what each does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches are on or off, each for itself")]
pub(crate) struct Switches {
    pub(crate) codes: Codes,
    pub(crate) redirect_match: RedirectMatch,
    pub(crate) string_numbers: Quirk,
    pub(crate) omit_data_code: Quirk,
    pub(crate) legacy_refresh: bool,
    pub(crate) union_id_in_token: bool,
    pub(crate) init_part_needs_open_id: bool,
    pub(crate) create_video_event: bool,
    pub(crate) create_video_needs_forward: bool,
    pub(crate) comment_reply_risk_params: bool,
    pub(crate) open_restricted: bool,
    pub(crate) upload_id_life_s: i64,
    pub(crate) whole_limit_bytes: u64,
    pub(crate) gateway_limit_bytes: u64,
    pub(crate) total_limit_bytes: u64,
    pub(crate) part_min_bytes: u64,
    pub(crate) part_max_bytes: u64,
    pub(crate) image_limit_bytes: u64,
    pub(crate) duration_max_s: i64,
    pub(crate) default_width: i64,
    pub(crate) default_height: i64,
    pub(crate) default_duration_s: i64,
    pub(crate) text_max_chars: usize,
    pub(crate) sensitive_words: Vec<String>,
    pub(crate) publish_per_day: i64,
    pub(crate) review_delay_s: i64,
    pub(crate) review_pass_permille: i64,
    pub(crate) late_takedown_permille: i64,
    pub(crate) late_takedown_after_s: i64,
    pub(crate) pin_review_s: i64,
    pub(crate) comment_count_max: i64,
    /// Calls a day, by scope; what is not named has no end.
    pub(crate) call_quota: BTreeMap<String, i64>,
    /// Calls a second of one app; 0 has no end.
    pub(crate) calls_per_s: i64,
    pub(crate) client_tokens_per_5_min: i64,
    pub(crate) task_checks_per_s: i64,
    pub(crate) webhook_tries: usize,
    pub(crate) webhook_backoff_s: Vec<i64>,
    pub(crate) webhook_timeout_ms: u64,
    pub(crate) webhook_disable_after: i64,
    pub(crate) webhook_duplicate_permille: i64,
    pub(crate) webhook_shuffle: bool,
    pub(crate) webhook_string_content: Vec<String>,
    pub(crate) reach: i64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            codes: Codes::ByPath,
            redirect_match: RedirectMatch::Exact,
            string_numbers: Quirk::Never,
            omit_data_code: Quirk::Never,
            legacy_refresh: false,
            union_id_in_token: false,
            init_part_needs_open_id: true,
            create_video_event: false,
            create_video_needs_forward: true,
            comment_reply_risk_params: false,
            open_restricted: false,
            upload_id_life_s: 7_200,
            whole_limit_bytes: 300_000_000,
            gateway_limit_bytes: 2_000_000_000,
            total_limit_bytes: 4_000_000_000,
            part_min_bytes: 5 * 1_024 * 1_024,
            part_max_bytes: 100_000_000,
            image_limit_bytes: 100_000_000,
            duration_max_s: 900,
            default_width: 720,
            default_height: 1_280,
            default_duration_s: 15,
            text_max_chars: 1_000,
            sensitive_words: vec!["sbx-forbidden".to_owned(), "违禁".to_owned()],
            publish_per_day: 75,
            review_delay_s: 60,
            review_pass_permille: 1_000,
            late_takedown_permille: 0,
            late_takedown_after_s: 86_400,
            pin_review_s: 0,
            comment_count_max: 20,
            call_quota: [("video.list.bind", 1_000), ("video.list", 1_000)]
                .map(|(scope, calls)| (scope.to_owned(), calls))
                .into(),
            calls_per_s: 0,
            client_tokens_per_5_min: 500,
            task_checks_per_s: 100,
            webhook_tries: 4,
            webhook_backoff_s: vec![10, 60, 300],
            webhook_timeout_ms: 5_000,
            webhook_disable_after: 20,
            webhook_duplicate_permille: 0,
            webhook_shuffle: false,
            webhook_string_content: ["new_video_digg", "new_follow_action"].map(str::to_owned).into(),
            reach: 1_000,
        }
    }
}
