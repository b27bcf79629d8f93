//! Faults that are armed to happen to calls.

use serde::{Deserialize, Serialize};

use super::chance::Chance;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Harm {
    /// 28001005, 2100004: the platform is busy.
    Busy,
    /// 28001006: a network error inside the platform.
    Network,
    /// The answer is late by `delay_ms`, on the wall clock.
    Slow,
    /// The connection is cut instead of an answer.
    Reset,
    /// The answer ends in its middle, though its length is right.
    Truncated,
    /// A gateway's page, status 502.
    Html502,
    /// A gateway's page, status 413.
    Html413,
    /// 28001052: risk control.
    Risk,
    /// 28001056: the ability is retired.
    Retired,
    /// 28001016, 2190016: the app is banned.
    Banned,
    /// 28003018: too many calls.
    Rate,
    /// The code given as `code`.
    Code,
}

impl Harm {
    /// Whether the call does its work all the same, unless said otherwise.
    const fn after_commit(self) -> bool {
        matches!(self, Self::Slow | Self::Reset | Self::Truncated)
    }
}

/// How a fault is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultDraft {
    /// The path, or its beginning and `*`.
    pub(crate) path: String,
    pub(crate) harm: Harm,
    /// How often; without end when left out.
    #[serde(default)]
    pub(crate) count: Option<i64>,
    /// Calls to let through first.
    #[serde(default)]
    pub(crate) skip: i64,
    /// How likely, in thousandths, by the seed.
    #[serde(default = "always")]
    pub(crate) permille: i64,
    #[serde(default)]
    pub(crate) after_commit: Option<bool>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    pub(crate) code: i64,
}

const fn always() -> i64 {
    1_000
}

/// One armed fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) number: i64,
    pub(crate) draft: FaultDraft,
    pub(crate) seen: i64,
    pub(crate) struck: i64,
}

/// What is to happen to this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) fault: i64,
    pub(crate) harm: Harm,
    pub(crate) after_commit: bool,
    pub(crate) delay_ms: u64,
    pub(crate) code: i64,
}

/// All that are armed, in the order of arming.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) armed: Vec<Fault>,
    last: i64,
}

impl Faults {
    pub(crate) fn arm(&mut self, draft: FaultDraft) -> i64 {
        self.last += 1;
        self.armed.push(Fault { number: self.last, draft, seen: 0, struck: 0 });
        self.last
    }

    /// The first fault that strikes this call.
    pub(crate) fn strike(&mut self, path: &str, chance: &Chance) -> Option<Strike> {
        for fault in &mut self.armed {
            let matches = match fault.draft.path.strip_suffix('*') {
                Some(beginning) => path.starts_with(beginning),
                None => path == fault.draft.path,
            };
            if !matches || fault.draft.count.is_some_and(|count| fault.struck >= count) {
                continue;
            }
            fault.seen += 1;
            let parts = [fault.number.to_string(), fault.seen.to_string()];
            let happens =
                chance.happens("fault", &parts.each_ref().map(String::as_str), fault.draft.permille);
            if fault.seen <= fault.draft.skip || !happens {
                continue;
            }
            fault.struck += 1;
            return Some(Strike {
                fault: fault.number,
                harm: fault.draft.harm,
                after_commit: fault.draft.after_commit.unwrap_or(fault.draft.harm.after_commit()),
                delay_ms: fault.draft.delay_ms,
                code: fault.draft.code,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(path: &str) -> FaultDraft {
        serde_json::from_value(serde_json::json!({ "path": path, "harm": "reset" })).expect("a draft")
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says_and_after_what_it_skips() {
        let (mut faults, chance) = (Faults::default(), Chance::new(1));
        faults.arm(FaultDraft { count: Some(2), skip: 1, ..draft("/a/*") });
        let struck: Vec<_> =
            ["/a/x", "/b", "/a/x", "/a/y", "/a/z"].map(|path| faults.strike(path, &chance).is_some()).into();
        assert_eq!(struck, [false, false, true, true, false]);
        assert_eq!(faults.armed[0].struck, 2);
    }

    #[test]
    fn likelihood_is_the_seeds() {
        let strikes = |seed| {
            let (mut faults, chance) = (Faults::default(), Chance::new(seed));
            faults.arm(FaultDraft { permille: 500, ..draft("*") });
            (0..64).map(|_| faults.strike("/x", &chance).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
        let often = strikes(7).iter().filter(|struck| **struck).count();
        assert!((10..55).contains(&often), "{often} of 64");
    }
}
