//! Alert rules name figures there are, and steps that posts take.

use std::collections::BTreeSet;

use domain::publishing::{events::NoteKind, ports::HeldBy};

const RULES: &str = include_str!("../../deploy/alerts.yaml");

/// Every run of letters and underscores that begins so.
fn words<'a>(text: &'a str, begin: &str) -> BTreeSet<&'a str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let all = text.split(|c| !is_word(c)).filter(|word| word.starts_with(begin));
    all.collect()
}

/// The values of a label.
fn labels<'a>(text: &'a str, name: &str) -> BTreeSet<&'a str> {
    let begin = format!("{name}=\"");
    text.split(&begin).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The figures there are, by what each is registered as.
fn figures() -> BTreeSet<String> {
    let source = include_str!("../../api/src/metrics/mod.rs");
    let names = source.split("r.register(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    names.map(|name| format!("matricula_{name}")).collect()
}

#[test]
fn alert_rules_name_figures_there_are() {
    let (figures, named) = (figures(), words(RULES, "matricula_"));
    assert!(named.len() >= 6 && figures.len() > 15, "not understood: {named:?}, {figures:?}");
    for name in named {
        let bare = name.trim_end_matches("_total").trim_end_matches("_bucket");
        assert!(figures.contains(bare), "{name} is no figure of {figures:?}");
    }
    for step in labels(RULES, "step").into_iter().filter(|step| *step != "fault") {
        assert!(NoteKind::parse(step).is_some(), "{step} is no step of a post");
    }
    let told = RULES.split("by=\"").chain(RULES.split("by=~\"")).skip(1);
    let told: Vec<_> =
        told.filter_map(|rest| rest.split('"').next()).flat_map(|told| told.split('|')).collect();
    assert!(
        HeldBy::ALL.into_iter().all(|by| by == HeldBy::Paused || told.contains(&by.as_str())),
        "{told:?}"
    );
    for alert in RULES.split("- alert:").skip(1) {
        assert!(alert.contains("summary:") && alert.contains("what_to_do:"), "{alert}");
    }
}
