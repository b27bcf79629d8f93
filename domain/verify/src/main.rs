//! `matricula-verify`: checks an auditor's report offline.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use matricula_verify::{
    Anchors, Demands, INFLATED_MAX_BYTES, KeptHead, Refusal, Step, Verdict,
    container::{Container, Directory, Zip},
    verify,
};
use report_bundle::{manifest::is_uuid, time::Time};
use serde_json::json;

const USAGE: &str = "\
Usage: matricula-verify --root FILE --policy FILE [options] BUNDLE

Checks a report bundle (a zip, or a directory with its files). Nothing in the bundle is trusted: roots and policy
come from somewhere else. Nothing is fetched.

  --root FILE          certificates (PEM) that a report's signer must lead to
  --tsa-root FILE      certificates (PEM) that a timestamp must lead to; without, timestamps are not checked
  --policy FILE        the logs and witnesses to believe, and how many of them (C2SP tlog-policy)
  --tenant ID          whose report it must be
  --stream NAME        which of the tenant's logs it must be of
  --kind WORD          which report it must be, as sign_ins; custom for one that asks a question of its own
  --since TIME         when its period must begin
  --until TIME         the first moment behind its period
  --signer SUBJECT     who must have signed it (RFC 4514, as CN=reports,O=Example)
  --at TIME            check certificates as of then (2026-07-01T00:00:00.000000Z) when no timestamp tells;
                       without, as of now
  --require-timestamp  refuse a bundle without a timestamp that was checked
  --head FILE[@TIME]   a checkpoint of the log that you have kept, and when it was the log's newest; again for more.
                       The report must be of the same tree
  --lateness N         how many seconds after it happens an event may come into the log. What its keeper says is in the
                       notes; without, nothing is shown to be whole
  --allow-incomplete   exit with 0 also when nothing shows that the events reach over the whole period
  --max-bytes N        how much files may inflate to, all together (default 68719476736)
  --threads N          how many threads may work (default: as many as there are cores)
  --json               say everything as one JSON object
  --help               this

Exit status: 0 verified, 2 wrong arguments, 3 something given could not be read, 4 verified and not shown to reach
over the whole period, 10 and up the step that failed:
";

/// What the program exits with when a bundle is right and not shown to be whole.
const INCOMPLETE: u8 = 4;

/// What was typed.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is there or not")]
struct Typed {
    root: Option<PathBuf>,
    tsa_root: Option<PathBuf>,
    policy: Option<PathBuf>,
    bundle: Option<PathBuf>,
    tenant: Option<String>,
    stream: Option<String>,
    kind: Option<String>,
    since: Option<Time>,
    until: Option<Time>,
    signer: Option<String>,
    at: Option<Time>,
    require_timestamp: bool,
    heads: Vec<(PathBuf, Option<Time>)>,
    lateness_s: Option<u64>,
    allow_incomplete: bool,
    max_bytes: Option<u64>,
    threads: Option<usize>,
    json: bool,
    help: bool,
}

/// Why nothing was checked.
enum Fault {
    Arguments(String),
    Reading(String),
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let typed = match parse(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())) {
        Ok(typed) => typed,
        Err(why) => return complain(&Fault::Arguments(why)),
    };
    if typed.help {
        let codes = Step::ALL.map(|step| format!("  {} {step}\n", step.exit_code())).concat();
        // Who closed the pipe does not want to know.
        let _ = write!(out, "{USAGE}{codes}");
        return ExitCode::SUCCESS;
    }
    let mut steps = Vec::new();
    let json = typed.json;
    let checked = check(&typed, &mut |step, says| {
        if !json {
            let _ = writeln!(out, "ok    {step:<12} {}", visible(says));
        }
        steps.push((step, says.to_owned()));
    });
    match checked {
        Err(fault) => complain(&fault),
        Ok(outcome) => {
            let _ = if json {
                writeln!(out, "{}", as_json(&steps, &outcome))
            } else {
                write!(out, "{}", as_text(&outcome))
            };
            match outcome {
                Err(refusal) => ExitCode::from(refusal.step.exit_code()),
                Ok(verdict) if verdict.is_complete || typed.allow_incomplete => ExitCode::SUCCESS,
                Ok(_) => ExitCode::from(INCOMPLETE),
            }
        }
    }
}

fn complain(fault: &Fault) -> ExitCode {
    let mut err = std::io::stderr().lock();
    let (code, why) = match fault {
        Fault::Arguments(why) => (2, format!("{why}\nmatricula-verify --help tells more")),
        Fault::Reading(why) => (3, why.clone()),
    };
    let _ = writeln!(err, "matricula-verify: {}", visible(&why));
    ExitCode::from(code)
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Typed, String> {
    let mut typed = Typed::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--root" => typed.root = Some(value()?.into()),
            "--tsa-root" => typed.tsa_root = Some(value()?.into()),
            "--policy" => typed.policy = Some(value()?.into()),
            "--tenant" => typed.tenant = Some(value().and_then(tenant)?),
            "--at" => typed.at = Some(time(&word, &value()?)?),
            "--kind" => typed.kind = Some(value()?),
            "--since" => typed.since = Some(time(&word, &value()?)?),
            "--until" => typed.until = Some(time(&word, &value()?)?),
            "--stream" => typed.stream = Some(value()?),
            "--signer" => typed.signer = Some(value()?),
            "--head" => typed.heads.push(head(&value()?)),
            "--lateness" => typed.lateness_s = Some(number(&value()?)?),
            "--allow-incomplete" => typed.allow_incomplete = true,
            "--require-timestamp" => typed.require_timestamp = true,
            "--max-bytes" => typed.max_bytes = Some(number(&value()?)?),
            "--threads" => typed.threads = Some(number(&value()?)?),
            "--json" => typed.json = true,
            "--help" | "-h" => typed.help = true,
            other if other.starts_with('-') => return Err(format!("there is no {other}")),
            _ if typed.bundle.is_none() => typed.bundle = Some(word.into()),
            _ => return Err("one bundle at a time".to_owned()),
        }
    }
    Ok(typed)
}

fn tenant(id: String) -> Result<String, String> {
    if is_uuid(&id) { Ok(id) } else { Err("--tenant is a UUID in lower case".to_owned()) }
}

fn time(word: &str, text: &str) -> Result<Time, String> {
    Time::parse(text.as_bytes()).map_err(|fault| format!("{word} {fault}"))
}

/// A file, and a time behind an `@` if what stands there is one.
fn head(text: &str) -> (PathBuf, Option<Time>) {
    let timed = text.rsplit_once('@').and_then(|(file, at)| Some((file, Time::parse(at.as_bytes()).ok()?)));
    timed.map_or_else(|| (text.into(), None), |(file, at)| (file.into(), Some(at)))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is not a number that can be used"))
}

fn check(typed: &Typed, passed: &mut dyn FnMut(Step, &str)) -> Result<Result<Verdict, Refusal>, Fault> {
    let needed = |path: &Option<PathBuf>, what: &str| {
        path.clone().ok_or_else(|| Fault::Arguments(format!("{what} is needed")))
    };
    let root = read(&needed(&typed.root, "--root")?)?;
    let policy = read(&needed(&typed.policy, "--policy")?)?;
    let tsa_root = typed.tsa_root.as_ref().map(|path| read(path)).transpose()?;
    let path = needed(&typed.bundle, "a bundle")?;
    let policy = String::from_utf8(policy).map_err(|fault| Fault::Reading(format!("the policy: {fault}")))?;
    let anchors = Anchors::new(&root, tsa_root.as_deref(), &policy)
        .map_err(|fault| Fault::Reading(fault.to_string()))?;
    let heads = typed.heads.iter().map(|(path, seen_at)| {
        let name = path.display().to_string();
        read(path).map(|note| KeptHead { name, note, seen_at: *seen_at })
    });
    let demands = Demands {
        at: typed.at.map_or_else(now, Ok)?,
        at_given: typed.at.is_some(),
        tenant: typed.tenant.clone(),
        stream: typed.stream.clone(),
        kind: typed.kind.clone(),
        since: typed.since,
        until: typed.until,
        signer: typed.signer.clone(),
        timestamp: typed.require_timestamp,
        lateness_s: typed.lateness_s,
        heads: heads.collect::<Result<_, _>>()?,
        inflated_max_bytes: typed.max_bytes.unwrap_or(INFLATED_MAX_BYTES),
        threads: typed.threads.unwrap_or_else(cores),
    };
    let bundle = match open(&path)? {
        Ok(bundle) => bundle,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Ok(verify(bundle.as_ref(), &anchors, &demands, passed))
}

fn open(path: &Path) -> Result<Result<Box<dyn Container>, Refusal>, Fault> {
    let fault = |fault: std::io::Error| Fault::Reading(format!("{}: {fault}", path.display()));
    if fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(Directory::open(path).map(|bundle| -> Box<dyn Container> { Box::new(bundle) }));
    }
    let file = File::open(path).map_err(fault)?;
    Ok(Zip::open(file).map(|bundle| -> Box<dyn Container> { Box::new(bundle) }))
}

/// Reads a file that is given, of a megabyte at most.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let fault = |fault: std::io::Error| Fault::Reading(format!("{}: {fault}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(fault)?.take(1 << 20).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program is where the clock is read; the library is told the time"
)]
fn now() -> Result<Time, Fault> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since_1970.ok().and_then(|since| i64::try_from(since.as_secs()).ok());
    let time = seconds.and_then(|seconds| Time::from_seconds(seconds).ok());
    time.ok_or_else(|| Fault::Reading("the clock here is of no use; give --at".to_owned()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn as_text(outcome: &Result<Verdict, Refusal>) -> String {
    let verdict = match outcome {
        Err(refusal) => {
            return format!("FAIL  {:<12} {}\nNOT VERIFIED\n", refusal.step, visible(&refusal.why));
        }
        Ok(verdict) => verdict,
    };
    let note = |all: String, remark: &String| all + "note  " + &visible(remark) + "\n";
    let remarks = verdict.remarks.iter().fold(String::new(), note);
    let Verdict { manifest, signer, at, leaves, is_complete, .. } = verdict;
    let whole = if *is_complete { "" } else { ", NOT SHOWN TO BE WHOLE" };
    let period = manifest.query.period();
    let bound = |at: Option<Time>| at.map_or_else(|| "any time".to_owned(), |at| at.to_string());
    let (since, until) =
        (bound(period.and_then(|period| period.since)), bound(period.and_then(|period| period.until)));
    let says = format!(
        "VERIFIED{whole}: report {}, {} from {since} to before {until}, {} rows of {leaves} events of {}, signed by \
         {signer}, as of {at}",
        manifest.report_id, manifest.kind, manifest.rows, manifest.origin,
    );
    format!("{remarks}{}\n", visible(&says))
}

fn as_json(steps: &[(Step, String)], outcome: &Result<Verdict, Refusal>) -> String {
    let steps: Vec<_> = steps.iter().map(|(step, says)| json!({"step": step.name(), "says": says})).collect();
    let value = match outcome {
        Err(refusal) => json!({
            "verified": false, "steps": steps,
            "failed": {"step": refusal.step.name(), "why": refusal.why, "exit": refusal.step.exit_code()},
        }),
        Ok(verdict) => json!({
            "verified": true, "complete": verdict.is_complete, "steps": steps, "remarks": verdict.remarks,
            "signer": verdict.signer, "at": verdict.at.to_string(), "leaves": verdict.leaves,
            "rows": verdict.manifest.rows, "report_id": verdict.manifest.report_id,
            "tenant_id": verdict.manifest.tenant_id, "origin": verdict.manifest.origin,
            "kind": verdict.manifest.kind, "query": verdict.manifest.query.to_json(),
        }),
    };
    // Inside of texts, where JSON has the same escapes.
    visible(&value.to_string())
}

/// The text with everything escaped that a terminal would do something else with than show it: controls, marks that
/// change the direction of text, and marks that have no width. What a bundle says is its maker's choice.
fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
        if c.is_control() || hidden {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn nothing_that_a_bundle_says_moves_the_cursor() {
        assert_eq!(visible("a\u{1b}[2Jb\r\n\u{202e}c\u{200b}"), "a\\u001b[2Jb\\u000d\\u000a\\u202ec\\u200b");
        assert_eq!(visible("账号 é"), "账号 é");
        let json = visible(&json!({"why": "x\u{202e}y"}).to_string());
        assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON")["why"], "x\u{202e}y");
    }

    #[test]
    fn heads_are_given_with_a_time_or_without() {
        let at = Time::parse(b"2026-08-02T00:00:00.000000Z").expect("a time");
        assert_eq!(head("kept@2026-08-02T00:00:00.000000Z"), (PathBuf::from("kept"), Some(at)));
        assert_eq!(head("me@home/kept"), (PathBuf::from("me@home/kept"), None));
    }
}
