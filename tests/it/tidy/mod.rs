//! The house rules, checked by code. A failure names the place, the rule, the reason and the way out.
//!
//! Each rule is a pure function from a [`tree::Tree`] to findings, so that every rule is also tried on a small tree that
//! breaks it: a rule that can't fail is no rule. Files are read as text; only what a word means in Rust (code, comment
//! or string) is told apart, by [`rust`].
//!
//! Absent on purpose: what the compiler, clippy or rustfmt say already, and taste. A rule that is wrong for a case is
//! changed here, in the open, not stepped around.

mod arrows;
mod deny;
mod dependencies;
mod documents;
mod folders;
mod graphql;
mod layout;
mod migrations;
mod rust;
mod sql;
mod tree;
mod verbs;
mod words;

/// One place where a rule does not hold.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The file, with the line where there is one.
    place: String,
    /// What is there.
    saw: String,
}

impl Finding {
    fn new(place: impl Into<String>, saw: impl Into<String>) -> Self {
        Self { place: place.into(), saw: saw.into() }
    }

    fn at(path: &str, line: usize, saw: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), saw)
    }
}

/// A rule as it is told to who broke it.
struct Rule {
    says: &'static str,
    because: &'static str,
    instead: &'static str,
}

impl Rule {
    fn tell(&self, findings: &[Finding]) -> String {
        let places = findings.iter().map(|finding| format!("  {}: {}\n", finding.place, finding.saw));
        let Self { says, because, instead } = self;
        format!("\n{}rule:    {says}\nbecause: {because}\ninstead: {instead}\n", places.collect::<String>())
    }

    /// Fails the test unless there is nothing to tell.
    #[track_caller]
    fn holds(&self, findings: &[Finding]) {
        assert!(findings.is_empty(), "{}", self.tell(findings));
    }
}

#[test]
fn a_failure_tells_place_rule_reason_and_way_out() {
    let rule = Rule { says: "no x", because: "y", instead: "z" };
    let told = rule.tell(&[Finding::at("a/b.rs", 3, "`x`")]);
    assert_eq!(told, "\n  a/b.rs:3: `x`\nrule:    no x\nbecause: y\ninstead: z\n");
    rule.holds(&[]);
}
