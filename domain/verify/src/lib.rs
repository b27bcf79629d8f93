//! Checking a report bundle (`report_bundle`) without its maker: no network, no clock of its own, no trust but in the
//! anchors it is given. The program is `matricula-verify`; a browser or another program uses [`verify`].
//!
//! What is checked are [`Step`]s, in order, each with a name; the first that fails ends it. What passes all is a
//! [`Verdict`], which says what was proven and, in remarks, what was not.
//!
//! Invariants: certificates, keys and policies inside a bundle are never trusted; no input makes this panic, and the
//! memory it takes does not grow with leaves or rows; what is compared is bytes, and nothing is taken that could be
//! written in two ways.
//!
//! A bundle may be right and not shown to be whole: [`Verdict::is_complete`] says whether witnesses, or heads that were
//! kept, show that its range reaches over the whole period.
//!
//! Absent on purpose: revocation, which needs a network (ask the issuers for a list of the time of signing); repairing
//! or unpacking bundles; formats of other times; signatures other than RSA and ECDSA on P-256.

mod anchors;
mod clock;
pub mod container;
mod counts;
mod heads;
mod pass;
mod policy;
mod sealing;
mod step;
mod trust;

use report_bundle::{
    columns,
    manifest::{Manifest, is_uuid},
    names,
    query::{CUSTOM, Filter, Kind, Period},
    time::Time,
};

pub use anchors::{AnchorError, Anchors};
pub use clock::TimeBasis;
use container::{Container, read_small};
pub use heads::KeptHead;
pub use policy::{Policy, PolicyFileError};
pub use step::{Refusal, Step, Verdict};

/// What is asked of a bundle besides its being right.
#[derive(Clone, Debug)]
pub struct Demands {
    /// The time by which certificates must have been good when there is no timestamp that can be checked.
    pub at: Time,
    /// Whether `at` was given, rather than read off a clock.
    pub at_given: bool,
    /// Whose report it must be; `None` when the policy's logs say enough.
    pub tenant: Option<String>,
    /// Which of the tenant's logs it must be of.
    pub stream: Option<String>,
    /// Which report it must be, by the word for it.
    pub kind: Option<String>,
    /// When its period must begin, and end.
    pub since: Option<Time>,
    /// The first moment behind it.
    pub until: Option<Time>,
    /// Who must have signed it: the certificate's subject (RFC 4514).
    pub signer: Option<String>,
    /// Whether there must be a timestamp.
    pub timestamp: bool,
    /// How long after they happened events may have come into the log, in seconds. Without, no report is shown to be whole:
    /// its maker would say what suits.
    pub lateness_s: Option<u64>,
    /// Checkpoints of the log that whoever checks has kept.
    pub heads: Vec<KeptHead>,
    /// How many bytes files may inflate to, all together.
    pub inflated_max_bytes: u64,
    /// How many threads may work.
    pub threads: usize,
}

impl Demands {
    /// Nothing more than that certificates were good at that time, by the clock of who checks.
    pub const fn at(at: Time) -> Self {
        Self {
            at,
            at_given: false,
            tenant: None,
            stream: None,
            kind: None,
            since: None,
            until: None,
            signer: None,
            timestamp: false,
            lateness_s: None,
            heads: Vec::new(),
            inflated_max_bytes: INFLATED_MAX_BYTES,
            threads: 1,
        }
    }
}

/// What files may inflate to unless more is allowed: 64 GiB.
pub const INFLATED_MAX_BYTES: u64 = 64 << 30;

/// Checks a bundle. Each step that passes is told to `passed`, with what it found.
///
/// # Errors
/// The first step that fails.
pub fn verify(
    bundle: &dyn Container,
    anchors: &Anchors,
    demands: &Demands,
    passed: &mut dyn FnMut(Step, &str),
) -> Result<Verdict, Refusal> {
    let mut remarks = Vec::new();
    container::check(bundle, demands)?;
    passed(Step::Container, &format!("{} files", bundle.files().len()));
    let sums = sealing::read_sums(bundle)?;
    passed(Step::Sums, &format!("{} files are listed, and no other is there", sums.len()));
    let signed = trust::Signed::read(bundle)?;
    passed(Step::Signature, &signed.says());
    let basis = trust::time_basis(bundle, anchors, demands, &signed, &mut remarks)?;
    passed(Step::Timestamp, &basis.says());
    basis.remark(&mut remarks);
    signed.check_chain(anchors, &basis)?;
    passed(Step::Chain, &format!("{} was good at {}", signed.subject(), basis.at()));
    sealing::check_hashes(bundle, &sums, demands.threads)?;
    passed(Step::Hashes, "every file is the one that is listed");
    let manifest = read_manifest(bundle, demands, &signed)?;
    passed(Step::Manifest, &format!("report {} of {}", manifest.report_id, manifest.origin));
    let asked = heads::Asked { policy: anchors.policy(), manifest: &manifest, basis: &basis, demands };
    let mut heads = heads::check(bundle, &asked)?;
    passed(Step::Heads, &heads.says());
    heads.remark(&asked, &mut remarks);
    let filter = Filter::new(&manifest.query).map_err(Step::Query.by())?;
    let is_named_right = check_kind(&manifest, demands, &mut remarks)?;
    passed(Step::Query, "the query is within bounds and asks of clear fields alone");
    let erasures = pass::Erasures::read(bundle, &asked, &heads);
    if let Ok(erasures) = &erasures {
        heads.hold_to(erasures.roots());
    }
    let asked = pass::Asked { manifest: &manifest, heads: &heads, filter: &filter, erasures: &erasures };
    let found = pass::run(bundle, &asked, demands)?;
    passed(Step::Leaves, &format!("{} leaves are canonical and of this log", found.leaves));
    passed(Step::Range, &format!("they are all of [{}, {})", manifest.range.first, manifest.range.end));
    passed(Step::Rows, &format!("the {} rows are exactly those asked for", found.rows));
    if read_small(bundle, Step::Columns, names::COLUMNS, 64 << 10)? != columns::describe() {
        return Err(Step::Columns.because("the columns are described differently"));
    }
    passed(Step::Columns, &format!("{} columns", columns::COLUMNS.len()));
    passed(Step::Disclosures, &format!("{} values open their commitments", found.disclosures));
    let erasures = erasures?;
    erasures.check_all_named(&found.erased_by)?;
    if !erasures.are_witnessed() {
        remarks.push(
            "that values were erased is the admin log's own word: witnesses have not seen it".to_owned(),
        );
    }
    passed(Step::Erasures, &format!("{} values are gone, each by an event that is proven", found.erasures));
    counts::check(bundle, &manifest, &found)?;
    if found.late_leaves > 0 {
        remarks.push(format!(
            "{} events came later than --lateness allows, so that more may",
            found.late_leaves
        ));
    }
    passed(Step::Counts, "the manifest counts right, and the texts for people say the same");
    Ok(Verdict {
        is_complete: heads.is_complete()
            && is_named_right
            && found.late_leaves == 0
            && erasures.are_witnessed(),
        at: basis.at(),
        signer: signed.subject(),
        leaves: found.leaves,
        manifest,
        remarks,
    })
}

fn read_manifest(
    bundle: &dyn Container,
    demands: &Demands,
    signed: &trust::Signed,
) -> Result<Manifest, Refusal> {
    let step = Step::Manifest;
    let text = read_small(bundle, step, names::MANIFEST, report_bundle::manifest::MANIFEST_MAX_BYTES)?;
    let manifest = Manifest::parse(&text).map_err(step.by())?;
    let named = &manifest.signer;
    if named.certificate_sha256 != signed.certificate_sha256() || named.subject != signed.subject() {
        return Err(step.because("it names another signer"));
    }
    for (demanded, is, what) in [
        (&demands.signer, &named.subject, "it is signed by somebody else"),
        (&demands.tenant, &manifest.tenant_id, "it is another tenant's report"),
        (&demands.stream, &manifest.stream, "it is of another of the tenant's logs"),
    ] {
        if demanded.as_ref().is_some_and(|demanded| demanded != is) {
            return Err(step.because(what));
        }
    }
    let name = format!("/t/{}/{}", manifest.tenant_id, manifest.stream);
    if manifest.origin.ends_with(&name) {
        Ok(manifest)
    } else {
        Err(step.because("the log is not that tenant's"))
    }
}

/// Whether the report asks for what its name says.
fn check_kind(manifest: &Manifest, demands: &Demands, remarks: &mut Vec<String>) -> Result<bool, Refusal> {
    let word = &manifest.kind;
    let period = manifest.query.period().unwrap_or(Period { since: None, until: None });
    for (is_right, what) in [
        (demands.kind.as_ref().is_none_or(|kind| kind == word), "it is another report than was asked for"),
        (demands.since.is_none_or(|since| period.since == Some(since)), "its period begins at another time"),
        (demands.until.is_none_or(|until| period.until == Some(until)), "its period ends at another time"),
    ] {
        if !is_right {
            return Err(Step::Query.because(what));
        }
    }
    let Some(kind) = Kind::named(word, &manifest.query) else {
        if word != CUSTOM {
            return Err(Step::Query.because(format!("no report is called {word:?}")));
        }
        // What its words say it asks for, only its query does.
        let is_meant = demands.kind.is_some();
        if !is_meant {
            remarks.push("it asks a question of its own; read its query, and say --kind custom".to_owned());
        }
        return Ok(is_meant);
    };
    if matches!(&kind, Kind::DataAccess { member } if !is_uuid(member)) {
        return Err(Step::Query.because("it is about a member that there can't be"));
    }
    if kind.stream() != manifest.stream {
        return Err(Step::Query.because(format!("{word} is asked of another log")));
    }
    let asks = kind.asks(&manifest.query);
    if !asks {
        remarks.push(format!("it is called {word} and asks for something else; read its query"));
    }
    Ok(asks)
}
