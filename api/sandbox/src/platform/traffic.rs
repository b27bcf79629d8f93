//! How many people watch: a model driven by the seed, whose totals only grow.
//!
//! A post's plays are the sum of what each full day since it became public brings, and the share of the running day that
//! has passed; the time during which it was its author's alone is no part of its days. Likes and the like are fixed shares of plays, rounded down. So every total is a function of time that
//! never falls, and what lies between two instants is the difference of two totals.

use super::{
    Platform,
    calendar::{DAY_MS, day_start_ms, figures_ready_ms},
    posts::{Post, Stage},
};

/// What each day since publication brings, in thousandths of a post's reach; later days bring one.
const DAYS: [i64; 16] = [400, 210, 120, 75, 48, 32, 24, 18, 14, 11, 9, 8, 7, 6, 5, 4];

/// Nobody watches longer than this many days.
const DAYS_MAX: i64 = 3_650;

/// Totals of one post at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) play: i64,
    pub(crate) digg: i64,
    pub(crate) comment: i64,
    pub(crate) share: i64,
    pub(crate) forward: i64,
    pub(crate) download: i64,
}

impl Platform {
    /// The figures of a post up to an instant; what happens at the instant itself comes after it.
    pub(crate) fn figures(&self, post: &Post, at_ms: i64) -> Figures {
        let play = self.plays(post, at_ms);
        let label = post.number.to_string();
        let rate = |name, low, high| play * self.chance.between(name, &[&label], low, high) / 1_000;
        let share = rate("share", 2, 20);
        Figures {
            play,
            digg: rate("digg", 20, 120),
            comment: self.comments_on(post.number, at_ms),
            share,
            forward: share / 2,
            download: rate("download", 1, 8),
        }
    }

    /// The figures as the author is shown them now, with the comments made this very instant.
    pub(crate) fn shown_figures(&self, post: &Post) -> Figures {
        let comment = self.comments_on(post.number, self.now_ms() + 1);
        let figures = Figures { comment, ..self.figures(post, self.now_ms()) };
        match post.stage(self.now_ms()) {
            Stage::Reviewing | Stage::Refused => Figures::default(),
            Stage::Private => Figures { play: 0, ..figures },
            Stage::Public | Stage::TakenDown | Stage::Deleted => figures,
        }
    }

    fn plays(&self, post: &Post, at_ms: i64) -> i64 {
        let ends = [post.taken_down_ms, post.deleted_ms].into_iter().flatten().min().unwrap_or(i64::MAX);
        let watched_until_ms = at_ms.min(ends);
        if watched_until_ms <= post.reviewed_ms || !post.passes {
            return 0;
        }
        let age_ms = watched_until_ms - post.reviewed_ms - post.hidden_ms(post.reviewed_ms, watched_until_ms);
        let label = post.number.to_string();
        let author = self.users.get(&post.user).map_or(1_000, |user| user.reach_permille);
        let base = self.switches.reach * author / 1_000;
        let reach = base * self.chance.between("post reach", &[&label], 200, 5_000) / 1_000;
        let of_day = |day: i64| {
            let share = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or(1);
            let mood = self.chance.between("mood", &[&label, &day.to_string()], 700, 1_300);
            reach * share * mood / 1_000_000
        };
        let days = (age_ms / DAY_MS).min(DAYS_MAX);
        (0..days).map(of_day).sum::<i64>() + of_day(days) * (age_ms % DAY_MS) / DAY_MS
    }

    /// What a Beijing day brought a post, as the daily statistics have it.
    pub(crate) fn figures_of_day(&self, post: &Post, day: i64) -> Figures {
        let (from, to) = (self.figures(post, day_start_ms(day)), self.figures(post, day_start_ms(day + 1)));
        Figures {
            play: to.play - from.play,
            digg: to.digg - from.digg,
            comment: to.comment - from.comment,
            share: to.share - from.share,
            forward: to.forward - from.forward,
            download: to.download - from.download,
        }
    }

    /// Whether a day's figures are out, for a user whose grant began on `first_day`.
    pub(crate) fn is_out(&self, day: i64, first_day: Option<i64>) -> bool {
        first_day.is_some_and(|first| day >= first) && self.now_ms() >= figures_ready_ms(day)
    }

    /// How many follow the user at the end of a day; only grows.
    pub(crate) fn fans_at(&self, user: &str, day: i64) -> i64 {
        let daily = |day: i64| self.chance.between("fans", &[user, &day.to_string()], 0, 20);
        let real = self.users.values().filter(|other| other.follows.contains_key(user)).count();
        let start = day - day.rem_euclid(365);
        let years = day.div_euclid(365) * self.chance.between("fans a year", &[user], 7_300, 9_000);
        years + (start..=day).map(daily).sum::<i64>() + i64::try_from(real).unwrap_or_default()
    }
}
