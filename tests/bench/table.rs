//! What was measured, as tables in Markdown.

use std::fmt::Write as _;

use crate::rounds::Series;

/// Between these the document's figures stand.
const BEGIN: &str = "<!-- figures: written by tests/bench/run.sh --write -->";
const END: &str = "<!-- end of the figures -->";

/// A heading, a head and rows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heading: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    const fn new(heading: &'static str, head: &'static [&'static str]) -> Self {
        Self { heading, head, rows: Vec::new(), notes: Vec::new() }
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Of loads that ask again and again.
    pub(crate) const fn of_loads(heading: &'static str) -> Self {
        let head = &[
            "load",
            "a second",
            "spread",
            "p50 / p99 ms",
            "server us",
            "sequencer us",
            "Postgres us",
            "Redis us",
            "others' cores",
            "reached",
        ];
        Self::new(heading, head)
    }

    /// Of events dealt with until none is left.
    pub(crate) const fn of_events(heading: &'static str) -> Self {
        let head = &["work", "events/s", "spread", "program us", "Postgres us", "others' cores", "reached"];
        Self::new(heading, head)
    }

    /// Of things done one after another on one core.
    pub(crate) const fn of_times(heading: &'static str) -> Self {
        Self::new(heading, &["work", "seal ns", "open ns", "reached"])
    }

    /// A row of [`Self::of_loads`].
    pub(crate) fn load(&mut self, name: &str, series: &Series, reached: &str) {
        let told = |column: Option<f64>| column.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let (p50, p99) = (series.median_if_told(|s| s.p50_ms), series.median_if_told(|s| s.p99_ms));
        self.rows.push(vec![
            name.to_owned(),
            thousands(series.per_s()),
            percent(series.spread()),
            format!("{} / {}", told(p50), told(p99)),
            used(series.median(|s| s.server_us)),
            used(series.median(|s| s.worker_us)),
            used(series.median(|s| s.postgres_us)),
            used(series.median(|s| s.redis_us)),
            format!("{:.1}", series.foreign_cores()),
            reached.to_owned(),
        ]);
    }

    /// A row of [`Self::of_events`].
    pub(crate) fn events(&mut self, name: &str, series: &Series, reached: &str) {
        self.rows.push(vec![
            name.to_owned(),
            thousands(series.per_s()),
            percent(series.spread()),
            format!("{:.1}", series.median(|s| s.worker_us)),
            format!("{:.1}", series.median(|s| s.postgres_us)),
            format!("{:.1}", series.foreign_cores()),
            reached.to_owned(),
        ]);
    }

    /// A row of [`Self::of_times`].
    pub(crate) fn times(&mut self, name: &str, seal_ns: f64, open_ns: f64, reached: &str) {
        self.rows.push(vec![name.to_owned(), thousands(seal_ns), thousands(open_ns), reached.to_owned()]);
    }

    /// In Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.heading);
        let _ = writeln!(text, "| {} |\n|{}", self.head.join(" | "), "---|".repeat(self.head.len()));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

/// The document with other figures.
pub(crate) fn with_figures(document: &str, figures: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim()))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Microseconds; next to nothing is a dash.
fn used(us: f64) -> String {
    if us < 0.5 { "-".to_owned() } else { format!("{us:.0}") }
}

/// A whole number with commas.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        for (number, text) in [(7.4, "7"), (999.6, "1,000"), (1_234_567.0, "1,234,567"), (100.0, "100")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!((used(0.2).as_str(), used(12.6).as_str()), ("-", "13"));
    }

    #[test]
    fn figures_take_the_place_of_older_ones_and_nothing_else() {
        let document = format!("# A\n\n{BEGIN}\n\nold\n\n{END}\n\nB\n");
        let once = with_figures(&document, "new\n").expect("a place");
        assert_eq!(once, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nB\n"));
        assert_eq!(with_figures(&once, "new").as_deref(), Some(once.as_str()), "again changes nothing");
        assert!(with_figures("# A\n", "new").is_none());
        assert!(with_figures(&format!("{END} {BEGIN}"), "new").is_none());
    }

    #[test]
    fn every_row_has_the_width_of_its_head() {
        let mut table = Table::of_times("T");
        table.times("x", 80.0, 90.0, "floor");
        let text = table.markdown();
        let widths: Vec<usize> = text.lines().skip(2).map(|line| line.matches('|').count()).collect();
        assert_eq!(widths, [5, 5, 5]);
    }
}
