//! `matricula-verify`: checks an auditor's report offline.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use matricula_verify::{
    Anchors, Demands, INFLATED_MAX_BYTES, Refusal, Step, Verdict,
    container::{Container, Directory, Zip},
    verify,
};
use report_bundle::{manifest::is_uuid, time::Time};
use serde_json::{Value, json};

const USAGE: &str = "\
Usage: matricula-verify --root FILE --policy FILE [options] BUNDLE

Checks a report bundle (a zip, or a directory with its files). Nothing in the bundle is trusted: roots and policy
come from somewhere else. Nothing is fetched.

  --root FILE          certificates (PEM) that a report's signer must lead to
  --tsa-root FILE      certificates (PEM) that a timestamp must lead to; without, timestamps are not checked
  --policy FILE        the logs and witnesses to believe, and how many of them (C2SP tlog-policy)
  --tenant ID          whose report it must be
  --at TIME            check certificates as of then (2026-07-01T00:00:00.000000Z) when no timestamp tells;
                       without, as of now
  --require-timestamp  refuse a bundle without a timestamp that was checked
  --max-bytes N        how much files may inflate to, all together (default 68719476736)
  --threads N          how many threads may work (default: as many as there are cores)
  --json               say everything as one JSON object
  --help               this

Exit status: 0 verified, 2 wrong arguments, 3 something given could not be read, 10 and up the step that failed:
";

/// What was typed.
#[derive(Debug, Default)]
struct Typed {
    root: Option<PathBuf>,
    tsa_root: Option<PathBuf>,
    policy: Option<PathBuf>,
    bundle: Option<PathBuf>,
    tenant: Option<String>,
    at: Option<Time>,
    require_timestamp: bool,
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
            let _ = writeln!(out, "ok    {step:<12} {says}");
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
            outcome.map_or_else(|refusal| ExitCode::from(refusal.step.exit_code()), |_| ExitCode::SUCCESS)
        }
    }
}

fn complain(fault: &Fault) -> ExitCode {
    let mut err = std::io::stderr().lock();
    let (code, why) = match fault {
        Fault::Arguments(why) => (2, format!("{why}\nmatricula-verify --help tells more")),
        Fault::Reading(why) => (3, why.clone()),
    };
    let _ = writeln!(err, "matricula-verify: {why}");
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
            "--at" => {
                let at = Time::parse(value()?.as_bytes());
                typed.at = Some(at.map_err(|fault| format!("--at {fault}"))?);
            }
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
    let demands = Demands {
        at: typed.at.map_or_else(now, Ok)?,
        at_given: typed.at.is_some(),
        tenant: typed.tenant.clone(),
        timestamp: typed.require_timestamp,
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
    match outcome {
        Err(refusal) => format!("FAIL  {:<12} {}\nNOT VERIFIED\n", refusal.step, refusal.why),
        Ok(verdict) => {
            let remarks =
                verdict.remarks.iter().fold(String::new(), |all, remark| all + "note  " + remark + "\n");
            let Verdict { manifest, signer, at, leaves, .. } = verdict;
            format!(
                "{remarks}VERIFIED: report {}, {} rows of {leaves} events of {}, signed by {signer}, as of {at}\n",
                manifest.report_id, manifest.rows, manifest.origin,
            )
        }
    }
}

fn as_json(steps: &[(Step, String)], outcome: &Result<Verdict, Refusal>) -> Value {
    let steps: Vec<_> = steps.iter().map(|(step, says)| json!({"step": step.name(), "says": says})).collect();
    match outcome {
        Err(refusal) => json!({
            "verified": false, "steps": steps,
            "failed": {"step": refusal.step.name(), "why": refusal.why, "exit": refusal.step.exit_code()},
        }),
        Ok(verdict) => json!({
            "verified": true, "steps": steps, "remarks": verdict.remarks, "signer": verdict.signer,
            "at": verdict.at.to_string(), "leaves": verdict.leaves, "rows": verdict.manifest.rows,
            "report_id": verdict.manifest.report_id, "tenant_id": verdict.manifest.tenant_id,
            "origin": verdict.manifest.origin, "query": verdict.manifest.query.to_json(),
        }),
    }
}
