//! Rounds of measurements, and the middle one of them.
//!
//! Everything that is compared is measured in each round, forwards and backwards in turn, so that a machine that gets
//! slower or busier does so for all.

use harness::stores::HarnessError;

use crate::{
    goals::number,
    load::{Target, Tool},
    machine::Spent,
};

/// Rounds of each benchmark.
pub(crate) const ROUNDS: usize = 3;

/// One measurement. Times are processor time for each request, transaction or event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) per_s: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) server_us: f64,
    pub(crate) worker_us: f64,
    pub(crate) postgres_us: f64,
    pub(crate) redis_us: f64,
    pub(crate) foreign_cores: f64,
}

impl Sample {
    /// What `count` items took that ended so long after they began, `spent` meanwhile.
    pub(crate) fn of_items(count: u32, seconds: f64, spent: &Spent) -> Self {
        let count = f64::from(count);
        let each_us = |seconds: f64| seconds * 1e6 / count;
        Self {
            per_s: count / seconds,
            p50_ms: None,
            p99_ms: None,
            server_us: each_us(spent.server),
            worker_us: each_us(spent.worker),
            postgres_us: each_us(spent.postgres),
            redis_us: each_us(spent.redis),
            foreign_cores: spent.foreign_cores,
        }
    }
}

/// All measurements of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Series(pub(crate) Vec<Sample>);

impl Series {
    /// The middle of one column.
    pub(crate) fn median(&self, column: impl Fn(&Sample) -> f64) -> f64 {
        median(self.0.iter().map(column).collect())
    }

    /// The middle of a column that not every tool tells.
    pub(crate) fn median_if_told(&self, column: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let told: Vec<f64> = self.0.iter().filter_map(column).collect();
        (!told.is_empty()).then(|| median(told))
    }

    /// How many a second, in the middle.
    pub(crate) fn per_s(&self) -> f64 {
        self.median(|sample| sample.per_s)
    }

    /// How far the rounds lie apart: the fastest less the slowest, as a share of the middle.
    pub(crate) fn spread(&self) -> f64 {
        let rates = || self.0.iter().map(|sample| sample.per_s);
        (rates().fold(f64::MIN, f64::max) - rates().fold(f64::MAX, f64::min)) / self.per_s()
    }

    /// The most of the machine that others had in any round, in cores.
    pub(crate) fn foreign_cores(&self) -> f64 {
        self.0.iter().map(|sample| sample.foreign_cores).fold(0.0, f64::max)
    }
}

/// One figure of each round.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(pub(crate) Vec<f64>);

impl Rounds {
    /// The middle one.
    pub(crate) fn middle(&self) -> f64 {
        median(self.0.clone())
    }

    /// The least, the middle and the most.
    pub(crate) fn of_three(&self) -> [f64; 3] {
        let of = |pick: fn(f64, f64) -> f64| self.0.iter().copied().fold(f64::NAN, pick);
        [of(f64::min), self.middle(), of(f64::max)]
    }

    /// Shares as hundredths.
    pub(crate) fn percent(&self) -> Self {
        Self(self.0.iter().map(|share| share * 100.0).collect())
    }

    /// As `5.1 x (4.9 to 5.3)`.
    pub(crate) fn told(&self, unit: &str) -> String {
        let [least, middle, most] = self.of_three();
        format!("{} ({} to {})", number(middle, unit), number(least, ""), number(most, ""))
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The order of round `round` over `count` things.
pub(crate) fn order(round: usize, count: usize) -> Vec<usize> {
    let forwards = 0..count;
    if round.is_multiple_of(2) { forwards.collect() } else { forwards.rev().collect() }
}

/// Measures every tool in every round. `between` runs after each measurement.
///
/// # Errors
/// A tool failed.
pub(crate) async fn measure<const N: usize>(
    tools: [Tool; N],
    target: &Target,
    between: impl AsyncFn() -> Result<(), HarnessError>,
) -> Result<[Series; N], HarnessError> {
    let mut series: [Series; N] = std::array::from_fn(|_| Series(Vec::new()));
    for round in 0..ROUNDS {
        for at in order(round, N) {
            series[at].0.push(tools[at].measure(target).await?);
            between().await?;
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_middle_is_in_the_middle() {
        assert!(close(median(vec![3.0, 100.0, 1.0]), 3.0));
        assert!(close(median(vec![4.0, 1.0]), 2.5));
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn rounds_are_told_with_their_ends() {
        let rounds = Rounds(vec![5.31, 4.9, 5.1]);
        assert_eq!(rounds.told("x"), "5.1 x (4.9 to 5.3)");
        assert!(close(rounds.percent().of_three()[0], 490.0));
    }

    #[test]
    fn rounds_turn_round() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [0, 1, 2]);
    }

    #[test]
    fn a_series_tells_its_spread_and_its_worst_neighbour() {
        let sample = |per_s, foreign_cores| Sample {
            per_s,
            p50_ms: None,
            p99_ms: None,
            server_us: 0.0,
            worker_us: 0.0,
            postgres_us: 0.0,
            redis_us: 0.0,
            foreign_cores,
        };
        let series = Series(vec![sample(90.0, 0.1), sample(110.0, 0.7), sample(100.0, 0.0)]);
        assert!(close(series.per_s(), 100.0) && close(series.spread(), 0.2));
        assert!(close(series.foreign_cores(), 0.7));
        assert_eq!(series.median_if_told(|sample| sample.p50_ms), None);
    }
}
