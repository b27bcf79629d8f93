//! What was measured, as tables in Markdown.

use std::fmt::Write as _;

use crate::rounds::Series;

/// Between these the figures of a part stand in the document.
fn marks(part: &str) -> (String, String) {
    (
        format!("<!-- {part}: written by tests/bench/run.sh --write {part} -->"),
        format!("<!-- end of {part} -->"),
    )
}

/// A heading, a head and rows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heading: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// Of its own kind.
    pub(crate) const fn new(heading: &'static str, head: &'static [&'static str]) -> Self {
        Self { heading, head, rows: Vec::new(), notes: Vec::new() }
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// A row of a table of its own kind, as wide as its head.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
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

    /// Of items dealt with until none is left.
    pub(crate) const fn of_items(heading: &'static str) -> Self {
        let head = &["work", "items/s", "spread", "program us", "Postgres us", "others' cores", "reached"];
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

    /// A row of [`Self::of_events`] and of [`Self::of_items`].
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

    /// In Markdown, without its heading.
    fn body(&self) -> String {
        let mut text = String::new();
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

/// The tables of a part, under the first one's heading when and where they were measured, and below them the goals.
pub(crate) fn section(stamp: &str, tables: &[Table], goals: &str) -> String {
    let mut text = String::new();
    for (at, table) in tables.iter().enumerate() {
        let (before, stamp) = if at == 0 { ("", format!("{stamp}\n\n")) } else { ("\n", String::new()) };
        let _ = write!(text, "{before}### {}\n\n{stamp}{}", table.heading, table.body());
    }
    if !goals.is_empty() {
        let _ = write!(text, "\n{goals}");
    }
    text
}

/// The document with other figures of one part; `None` when it has no place for them.
pub(crate) fn with_figures(document: &str, part: &str, figures: &str) -> Option<String> {
    let (begin, end) = marks(part);
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{}\n\n{end}{after}", figures.trim()))
}

/// A share as hundredths.
pub(crate) fn percent(share: f64) -> String {
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
        let block = |part: &str, text: &str| {
            let (begin, end) = marks(part);
            format!("{begin}\n\n{text}\n\n{end}\n")
        };
        let document = format!("# A\n\n{}\n{}\nB\n", block("read", "old"), block("seal", "older"));
        let once = with_figures(&document, "read", "new\n").expect("a place");
        assert_eq!(once, format!("# A\n\n{}\n{}\nB\n", block("read", "new"), block("seal", "older")));
        assert_eq!(
            with_figures(&once, "read", "new").as_deref(),
            Some(once.as_str()),
            "again changes nothing"
        );
        let both = with_figures(&once, "seal", "newer").expect("a place");
        assert_eq!(both, format!("# A\n\n{}\n{}\nB\n", block("read", "new"), block("seal", "newer")));
        assert!(with_figures(&document, "claim", "new").is_none());
        let (begin, end) = marks("read");
        assert!(with_figures(&format!("{end} {begin}"), "read", "new").is_none());
    }

    #[test]
    fn every_row_has_the_width_of_its_head() {
        let mut table = Table::of_times("T");
        table.times("x", 80.0, 90.0, "floor");
        let text = table.body();
        let widths: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(widths, [5, 5, 5]);
    }

    #[test]
    fn a_section_says_when_it_was_measured_once() {
        let mut first = Table::new("One", &["a"]);
        first.row(vec!["1".to_owned()]);
        let mut second = Table::new("Two", &["b"]);
        second.note("Why.".to_owned());
        assert_eq!(
            section("Today.", &[first, second], "| goal |\n"),
            "### One\n\nToday.\n\n| a |\n|---|\n| 1 |\n\n### Two\n\n| b |\n|---|\n\nWhy.\n\n| goal |\n"
        );
    }
}
