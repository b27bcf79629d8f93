//! What was to be reached, and what was.

use std::fmt::Write as _;

use crate::rounds::{Rounds, Sample, Series};

/// One goal and what was measured against it.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    work: &'static str,
    unit: &'static str,
    wanted: Wanted,
    measured: Rounds,
}

/// A value to accept and a value to aim at.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast { accept: f64, aim: f64 },
    AtMost { accept: f64, aim: f64 },
}

impl Goal {
    /// More is better.
    pub(crate) fn at_least(
        work: &'static str,
        unit: &'static str,
        [accept, aim]: [f64; 2],
        measured: Rounds,
    ) -> Self {
        Self { work, unit, wanted: Wanted::AtLeast { accept, aim }, measured }
    }

    /// Less is better.
    pub(crate) fn at_most(
        work: &'static str,
        unit: &'static str,
        [accept, aim]: [f64; 2],
        measured: Rounds,
    ) -> Self {
        Self { work, unit, wanted: Wanted::AtMost { accept, aim }, measured }
    }

    fn verdict(&self) -> &'static str {
        let middle = self.measured.middle();
        let (accepted, aimed) = match self.wanted {
            Wanted::AtLeast { accept, aim } => (middle >= accept, middle >= aim),
            Wanted::AtMost { accept, aim } => (middle <= accept, middle <= aim),
        };
        match (accepted, aimed) {
            (_, true) => "aim reached",
            (true, false) => "accepted",
            (false, false) => "**missed**",
        }
    }

    fn row(&self) -> String {
        let (sign, accept, aim) = match self.wanted {
            Wanted::AtLeast { accept, aim } => (">=", accept, aim),
            Wanted::AtMost { accept, aim } => ("<=", accept, aim),
        };
        let [least, middle, most] = self.measured.of_three();
        let number = |value: f64| number(value, self.unit);
        format!(
            "| {} | {sign} {} | {sign} {} | **{}** | {} to {} | {} |",
            self.work,
            number(accept),
            number(aim),
            number(middle),
            number(least),
            number(most),
            self.verdict()
        )
    }
}

/// All goals in Markdown; nothing when there are none.
pub(crate) fn markdown(goals: &[Goal]) -> String {
    let mut text = String::new();
    if !goals.is_empty() {
        text.push_str("| goal | accept | aim | measured | rounds | verdict |\n|---|---|---|---|---|---|\n");
    }
    for goal in goals {
        let _ = writeln!(text, "{}", goal.row());
    }
    text
}

/// A value with its unit, as exact as is worth reading.
pub(crate) fn number(value: f64, unit: &str) -> String {
    let text = match value.abs() {
        small if small < 1.0 => format!("{value:.2}"),
        small if small < 20.0 => format!("{value:.1}"),
        _ => crate::table::thousands(value),
    };
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text)).trim_end().to_owned()
}

impl Series {
    /// How much of `column` there is for each of another's, round by round.
    pub(crate) fn beside(&self, other: &Self, column: impl Fn(&Sample) -> f64) -> Rounds {
        Rounds(self.0.iter().zip(&other.0).map(|(ours, theirs)| column(ours) / column(theirs)).collect())
    }

    /// One column, round by round.
    pub(crate) fn rounds(&self, column: impl Fn(&Sample) -> f64) -> Rounds {
        Rounds(self.0.iter().map(column).collect())
    }
}

/// How many a second.
pub(crate) const fn rate(sample: &Sample) -> f64 {
    sample.per_s
}

/// The slowest in a hundred, in milliseconds; not a number where the tool does not tell.
pub(crate) fn slowest(sample: &Sample) -> f64 {
    sample.p99_ms.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_by_the_middle() {
        let verdict = |goal: Goal| goal.verdict();
        let rounds = |middle| Rounds(vec![0.0, middle, 1_000.0]);
        let more = |middle| verdict(Goal::at_least("w", "x", [3.5, 5.0], rounds(middle)));
        assert_eq!((more(3.4), more(3.5), more(5.0)), ("**missed**", "accepted", "aim reached"));
        let less = |middle| verdict(Goal::at_most("w", "us", [100.0, 60.0], rounds(middle)));
        assert_eq!((less(101.0), less(61.0), less(60.0)), ("**missed**", "accepted", "aim reached"));
    }

    #[test]
    fn a_goal_is_told_with_its_rounds() {
        let goal = Goal::at_least("the page", "%", [55.0, 70.0], Rounds(vec![61.2, 58.0, 60.4]));
        assert_eq!(goal.row(), "| the page | >= 55 % | >= 70 % | **60 %** | 58 % to 61 % | accepted |");
        assert_eq!(number(0.333, "x"), "0.33 x");
        assert_eq!(number(100_000.0, "events/s"), "100,000 events/s");
        assert_eq!(number(5.0, "x"), "5 x");
    }
}
