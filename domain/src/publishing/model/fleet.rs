//! Where and when many items are best posted on many accounts.
//!
//! The answer is optimal in this sense: as many items as can be are placed, and of all ways to place so many the last post is
//! as early as can be. Why: the places of one account, taken as early as spacing and quota allow, are at any instant as many
//! as any other choice has by then (by induction over them: were another ahead, it would have had more places before the day
//! in which it got ahead). So an account is but a number of places that grows with time; whose items go where is a flow from
//! contents to accounts, and growing it by one place at a time, earliest first, with an augmenting path each (Ford and
//! Fulkerson, 1956), keeps it the largest there is at every instant.

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;

use crate::kernel::clock::Timestamp;

/// Most items at a time.
pub const FLEET_ITEMS_MAX: usize = 500;

/// Most accounts at a time.
pub const FLEET_ACCOUNTS_MAX: usize = 500;

/// An account that may be posted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetAccount {
    /// Nothing is posted on it from then on: its consent ends.
    pub until: Timestamp,
    /// Posts of one day, at most.
    pub per_day: u32,
    /// How far the day that is counted by is ahead of UTC's.
    pub day_ahead: TimeDelta,
    /// Posts there are or will be, whatever is planned here.
    pub taken: Vec<Timestamp>,
    /// Posts that count against today and whose time nobody knows: made by hand.
    pub more_today: u32,
}

/// What is to be placed, and what holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// For each item, its content: two of one content never meet on one account.
    pub items: Vec<usize>,
    /// For each content, the accounts it may be posted on, by their places in `accounts`.
    pub contents: Vec<Vec<usize>>,
    /// The accounts.
    pub accounts: Vec<FleetAccount>,
    /// What today is.
    pub now: Timestamp,
    /// Nothing is posted before.
    pub from: Timestamp,
    /// Nothing is posted from then on.
    pub until: Timestamp,
    /// Least time between two posts of one account.
    pub spacing: TimeDelta,
}

/// Where an item is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The account, by its place.
    pub account: usize,
    /// When.
    pub at: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetPlan {
    /// Where each item is put; `None` for those that there is no place for.
    pub placements: Vec<Option<Placement>>,
    /// For each account, how many places it has in the window.
    pub places: Vec<usize>,
}

impl Fleet {
    /// The places of an account, earliest first, at most `most`.
    fn places(&self, account: &FleetAccount, most: usize) -> Vec<Timestamp> {
        let until = self.until.min(account.until);
        let day = |at: Timestamp| (at + account.day_ahead).date_naive();
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        counts.insert(day(self.now), account.more_today);
        let mut taken = account.taken.clone();
        taken.sort_unstable();
        for at in &taken {
            *counts.entry(day(*at)).or_default() += 1;
        }
        let mut places = Vec::new();
        let mut at = self.from;
        while at < until && places.len() < most {
            // Those that are taken stand where they are; one that is too near is passed by.
            if let Some(near) = taken.iter().find(|near| (at - **near).abs() < self.spacing) {
                at = *near + self.spacing.max(TimeDelta::seconds(1));
                continue;
            }
            let count = counts.entry(day(at)).or_default();
            if *count >= account.per_day {
                let Some(next) = day(at).succ_opt() else { break };
                at = next.and_time(chrono::NaiveTime::MIN).and_utc() - account.day_ahead;
                continue;
            }
            *count += 1;
            places.push(at);
            at += self.spacing.max(TimeDelta::seconds(1));
        }
        places
    }

    /// Places the items.
    pub fn place(&self) -> FleetPlan {
        let places: Vec<_> =
            self.accounts.iter().map(|account| self.places(account, self.items.len())).collect();
        let mut flow = Flow::new(self);
        let mut all: Vec<_> = places
            .iter()
            .enumerate()
            .flat_map(|(account, at)| at.iter().map(move |at| (*at, account)))
            .collect();
        all.sort_unstable();
        for (_, account) in all {
            if flow.is_done() {
                break;
            }
            flow.grow(account);
        }
        // Items of one content are alike: the first takes the first account.
        let mut of_content: Vec<VecDeque<usize>> = vec![VecDeque::new(); self.contents.len()];
        for (content, account) in flow.carried() {
            of_content[content].push_back(account);
        }
        let accounts: Vec<_> = self.items.iter().map(|content| of_content[*content].pop_front()).collect();
        let mut used = vec![0; self.accounts.len()];
        let placements = accounts
            .into_iter()
            .map(|account| {
                let account = account?;
                let at = *places[account].get(used[account])?;
                used[account] += 1;
                Some(Placement { account, at })
            })
            .collect();
        FleetPlan { placements, places: places.iter().map(Vec::len).collect() }
    }
}

/// A flow from contents, each as large as it has items, to accounts, each as large as it has places so far.
struct Flow<'a> {
    contents: &'a [Vec<usize>],
    /// For each account, the contents that may go on it.
    takers: Vec<Vec<usize>>,
    /// For each content, the accounts it goes on.
    carried: Vec<Vec<bool>>,
    /// Items of each content that have no place yet.
    left: Vec<usize>,
    /// Accounts that no more can be brought to: once there is no path to any of them there never will be one, for none
    /// leads out of those that were reached.
    closed: Vec<bool>,
}

impl<'a> Flow<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        let accounts = fleet.accounts.len();
        let mut takers = vec![Vec::new(); accounts];
        for (content, on) in fleet.contents.iter().enumerate() {
            for account in on {
                takers[*account].push(content);
            }
        }
        let mut left = vec![0; fleet.contents.len()];
        for content in &fleet.items {
            left[*content] += 1;
        }
        let carried = vec![vec![false; accounts]; fleet.contents.len()];
        Self { contents: &fleet.contents, takers, carried, left, closed: vec![false; accounts] }
    }

    fn is_done(&self) -> bool {
        self.left.iter().all(|left| *left == 0)
    }

    /// One more place on an account: a content that has items left goes there, or one that goes elsewhere comes over and
    /// makes room for it.
    fn grow(&mut self, account: usize) {
        if self.closed[account] {
            return;
        }
        // Each content reached, and the account it would come over to; each account reached, and who would leave it.
        let mut comes_to: Vec<Option<usize>> = vec![None; self.contents.len()];
        let mut leaves: Vec<Option<usize>> = vec![None; self.takers.len()];
        let mut reached = VecDeque::from([account]);
        let mut seen = vec![false; self.takers.len()];
        seen[account] = true;
        while let Some(to) = reached.pop_front() {
            for content in &self.takers[to] {
                if comes_to[*content].is_some() || self.carried[*content][to] {
                    continue;
                }
                comes_to[*content] = Some(to);
                if self.left[*content] > 0 {
                    self.shift(*content, &comes_to, &leaves);
                    return;
                }
                for from in &self.contents[*content] {
                    if self.carried[*content][*from] && !seen[*from] {
                        seen[*from] = true;
                        leaves[*from] = Some(*content);
                        reached.push_back(*from);
                    }
                }
            }
        }
        for (closed, seen) in self.closed.iter_mut().zip(seen) {
            *closed |= seen;
        }
    }

    /// Goes back along the path that was found.
    fn shift(&mut self, content: usize, comes_to: &[Option<usize>], leaves: &[Option<usize>]) {
        self.left[content] -= 1;
        let mut content = content;
        while let Some(to) = comes_to[content] {
            self.carried[content][to] = true;
            let Some(other) = leaves[to] else { return };
            self.carried[other][to] = false;
            content = other;
        }
    }

    /// What goes where.
    fn carried(&self) -> impl Iterator<Item = (usize, usize)> {
        self.carried.iter().enumerate().flat_map(|(content, on)| {
            on.iter().enumerate().filter(|(_, carried)| **carried).map(move |(account, _)| (content, account))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
    }

    fn account(per_day: u32, taken: &[i64], until: i64) -> FleetAccount {
        FleetAccount {
            until: at(until),
            per_day,
            day_ahead: TimeDelta::hours(8),
            taken: taken.iter().map(|second| at(*second)).collect(),
            more_today: 0,
        }
    }

    fn fleet(items: Vec<usize>, contents: Vec<Vec<usize>>, accounts: Vec<FleetAccount>) -> Fleet {
        let until = at(100 * HOUR);
        Fleet { items, contents, accounts, now: at(0), from: at(0), until, spacing: TimeDelta::hours(1) }
    }

    /// What must hold of every plan.
    fn holds(fleet: &Fleet, plan: &FleetPlan) {
        let mut met = HashSet::new();
        let mut by_account: Vec<Vec<Timestamp>> =
            fleet.accounts.iter().map(|account| account.taken.clone()).collect();
        for (content, placement) in fleet.items.iter().zip(&plan.placements) {
            let Some(placement) = placement else { continue };
            assert!(fleet.contents[*content].contains(&placement.account), "it may not go there");
            assert!(met.insert((*content, placement.account)), "twice on one account");
            let until = fleet.until.min(fleet.accounts[placement.account].until);
            assert!(placement.at >= fleet.from && placement.at < until, "outside of the window");
            for other in &by_account[placement.account] {
                assert!((*other - placement.at).abs() >= fleet.spacing, "too near to another");
            }
            by_account[placement.account].push(placement.at);
        }
        for (account, times) in fleet.accounts.iter().zip(by_account) {
            let mut days: BTreeMap<_, u32> = BTreeMap::new();
            for time in &times {
                *days.entry((*time + account.day_ahead).date_naive()).or_default() += 1;
            }
            let before: BTreeMap<_, u32> = account.taken.iter().fold(BTreeMap::new(), |mut days, time| {
                *days.entry((*time + account.day_ahead).date_naive()).or_default() += 1;
                days
            });
            for (day, count) in days {
                let most = account.per_day.max(before.get(&day).copied().unwrap_or_default());
                assert!(count <= most, "more than a day's quota");
            }
        }
    }

    fn end(plan: &FleetPlan) -> (usize, Option<Timestamp>) {
        let placed: Vec<_> = plan.placements.iter().flatten().map(|placement| placement.at).collect();
        (placed.len(), placed.iter().max().copied())
    }

    #[test]
    fn what_was_posted_by_hand_takes_places_of_today_alone() {
        let of = |more_today: u32| {
            let by_hand = FleetAccount { more_today, ..account(3, &[], 100 * HOUR) };
            fleet((0..4).collect(), vec![vec![0]; 4], vec![by_hand]).place()
        };
        let today = |plan: &FleetPlan| {
            let ends =
                (at(8 * HOUR).date_naive() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN).and_utc();
            let ends = ends - TimeDelta::hours(8);
            plan.placements.iter().flatten().filter(|placement| placement.at < ends).count()
        };
        let counts: Vec<_> = (0..5).map(|more| today(&of(more))).collect();
        assert_eq!(counts, [3, 2, 1, 0, 0]);
        for more in 0..5 {
            assert_eq!(end(&of(more)).0, 4, "tomorrow has as many as ever");
        }
    }

    #[test]
    fn contents_are_spread_and_never_meet_twice() {
        let fleet = fleet(
            vec![0, 0, 0, 1],
            vec![vec![0, 1, 2], vec![0, 1, 2]],
            vec![account(75, &[], 90 * HOUR), account(75, &[1_800], 90 * HOUR), account(75, &[], 90 * HOUR)],
        );
        let plan = fleet.place();
        holds(&fleet, &plan);
        // The second account has a post half an hour in: its first place is an hour after that.
        assert_eq!(end(&plan), (4, Some(at(1_800 + HOUR))));
        assert_eq!(plan, fleet.place(), "the same again");
    }

    #[test]
    fn who_can_go_elsewhere_makes_room() {
        // The first content may go anywhere, the second only where the first went.
        let fleet = fleet(
            vec![0, 1],
            vec![vec![0, 1], vec![0]],
            vec![account(1, &[], HOUR / 2), account(1, &[], 90 * HOUR)],
        );
        let plan = fleet.place();
        holds(&fleet, &plan);
        assert_eq!(plan.placements[0].map(|placement| placement.account), Some(1));
        assert_eq!(plan.placements[1].map(|placement| placement.account), Some(0));
    }

    #[test]
    fn what_has_no_place_is_told() {
        let fleet = fleet(vec![0, 0, 1], vec![vec![0], vec![]], vec![account(75, &[], 90 * HOUR)]);
        let plan = fleet.place();
        holds(&fleet, &plan);
        assert_eq!(plan.placements.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
        let none = Fleet { until: at(0), ..fleet };
        assert_eq!(end(&none.place()), (0, None));
    }

    /// The best there is, by trying everything: the most that can be placed by each instant.
    fn best(fleet: &Fleet) -> (usize, Option<Timestamp>) {
        fn go(
            fleet: &Fleet,
            item: usize,
            used: &mut Vec<Vec<usize>>,
            count: usize,
            best: &mut Vec<(usize, Option<Timestamp>)>,
        ) {
            if item == fleet.items.len() {
                let mut last = None;
                for (account, contents) in fleet.accounts.iter().zip(used.iter()) {
                    let places = fleet.places(account, contents.len());
                    if places.len() < contents.len() {
                        return;
                    }
                    last = last.max(places.last().copied());
                }
                best.push((count, last));
                return;
            }
            go(fleet, item + 1, used, count, best);
            let content = fleet.items[item];
            for account in &fleet.contents[content] {
                if !used[*account].contains(&content) {
                    used[*account].push(content);
                    go(fleet, item + 1, used, count + 1, best);
                    used[*account].pop();
                }
            }
        }
        let mut all = Vec::new();
        go(fleet, 0, &mut vec![Vec::new(); fleet.accounts.len()], 0, &mut all);
        let most = all.iter().map(|(count, _)| *count).max().unwrap_or_default();
        let end = all.iter().filter(|(count, _)| *count == most).map(|(_, end)| *end).min().flatten();
        (most, end)
    }

    fn small() -> impl Strategy<Value = Fleet> {
        let account = (1_u32..3, prop::collection::vec(0_i64..40, 0..4), 0_i64..60).prop_map(
            |(per_day, taken, until)| {
                let taken: Vec<_> = taken.into_iter().map(|half| half * HOUR / 2).collect();
                account(per_day, &taken, until * HOUR / 2)
            },
        );
        (
            prop::collection::vec(account, 1..4),
            prop::collection::vec(prop::collection::vec(any::<bool>(), 3), 1..4),
        )
            .prop_flat_map(|(accounts, allowed)| {
                let contents: Vec<Vec<usize>> = allowed
                    .iter()
                    .map(|on| (0..accounts.len()).filter(|account| on[*account]).collect())
                    .collect();
                let items = prop::collection::vec(0..contents.len(), 0..6);
                items.prop_map(move |items| fleet(items, contents.clone(), accounts.clone()))
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn no_plan_places_more_or_ends_earlier(fleet in small()) {
            let plan = fleet.place();
            holds(&fleet, &plan);
            prop_assert_eq!(end(&plan), best(&fleet));
        }

        #[test]
        fn no_choice_of_places_is_ahead_of_the_earliest(fleet in small(), picks in prop::collection::vec(0_i64..80, 0..12)) {
            // Any places that are allowed, taken in order: the earliest are at any instant at least as many.
            let account = &fleet.accounts[0];
            let mut chosen: Vec<Timestamp> = Vec::new();
            let mut picks = picks;
            picks.sort_unstable();
            for pick in picks {
                let time = at(pick * HOUR / 2);
                let day = |time: Timestamp| (time + account.day_ahead).date_naive();
                let near = account.taken.iter().chain(&chosen).any(|other| (*other - time).abs() < fleet.spacing);
                let count = account.taken.iter().chain(&chosen).filter(|other| day(**other) == day(time)).count();
                let full = u32::try_from(count).unwrap_or(u32::MAX) >= account.per_day;
                if !near && !full && time < fleet.until.min(account.until) {
                    chosen.push(time);
                }
            }
            let earliest = fleet.places(account, usize::MAX);
            for (index, time) in chosen.iter().enumerate() {
                prop_assert!(earliest.get(index).is_some_and(|place| place <= time), "{chosen:?} {earliest:?}");
            }
        }
    }
}
