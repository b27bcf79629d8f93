//! Default, file, environment: one over the other.

use std::path::Path;

use toml::{Table, Value};

use super::{DEFAULT, Fault};

/// What our variables begin with.
const PREFIX: &str = "MATRICULA_";

/// Variables others set for us.
const ALIASES: [(&str, &str, &str); 2] = [("DATABASE_URL", "database", "url"), ("REDIS_URL", "redis", "url")];

/// Variables with our prefix that are no settings: the test harness's and the command line's.
const NOT_SETTINGS: [&str; 2] = ["MATRICULA_TEST_", "MATRICULA_CI"];

pub(super) fn merge(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    faults: &mut Vec<Fault>,
) -> Table {
    let mut table: Table = DEFAULT.parse().unwrap_or_default();
    if let Some(path) = file {
        overlay_file(&mut table, path, faults);
    }
    let mut variables: Vec<_> = environment.into_iter().collect();
    variables.sort();
    for (name, text) in &variables {
        for (alias, section, key) in ALIASES {
            if name == alias {
                overlay_text(&mut table, section, key, text, faults);
            }
        }
    }
    for (name, text) in &variables {
        if NOT_SETTINGS.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let rest = rest.to_lowercase();
        match rest.split_once('_') {
            Some((section, key)) if has(&table, section, key) => {
                overlay_text(&mut table, section, key, text, faults);
            }
            _ => faults.push(Fault { setting: name.clone(), problem: "is no setting".to_owned() }),
        }
    }
    table
}

fn has(table: &Table, section: &str, key: &str) -> bool {
    table.get(section).and_then(Value::as_table).is_some_and(|section| section.contains_key(key))
}

fn overlay_file(table: &mut Table, path: &Path, faults: &mut Vec<Fault>) {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(Fault { setting: name, problem: format!("can't be read: {error}") });
            return;
        }
    };
    let over: Table = match text.parse() {
        Ok(over) => over,
        Err(error) => {
            faults.push(Fault { setting: name, problem: format!("is no TOML: {}", toml_message(&error)) });
            return;
        }
    };
    for (section, keys) in over {
        let Value::Table(keys) = keys else {
            faults.push(Fault { setting: section, problem: "must be a [section]".to_owned() });
            continue;
        };
        for (key, value) in keys {
            let setting = format!("{section}.{key}");
            match table.get_mut(&section).and_then(Value::as_table_mut).and_then(|s| s.get_mut(&key)) {
                None => faults.push(Fault { setting, problem: "is no setting".to_owned() }),
                Some(slot) if slot.same_type(&value) => *slot = value,
                Some(slot) => {
                    faults.push(Fault { setting, problem: format!("must be a {}", slot.type_str()) });
                }
            }
        }
    }
}

/// What is wrong and where, without the line itself: it may hold a secret.
fn toml_message(error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => format!("{} (at byte {})", error.message(), span.start),
        None => error.message().to_owned(),
    }
}

fn overlay_text(table: &mut Table, section: &str, key: &str, text: &str, faults: &mut Vec<Fault>) {
    let Some(slot) = table.get_mut(section).and_then(Value::as_table_mut).and_then(|s| s.get_mut(key)) else {
        return;
    };
    let value = match slot {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    };
    match value {
        Some(value) => *slot = value,
        None => faults.push(Fault {
            setting: format!("{section}.{key}"),
            problem: format!("must be a {}", slot.type_str()),
        }),
    }
}
