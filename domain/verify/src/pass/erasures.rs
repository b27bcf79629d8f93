//! Events that erased values: without one that is proven, a value that is not there is a value that is hidden.

use std::collections::{BTreeMap, BTreeSet};

use audit_log::merkle::Hash;
use report_bundle::{
    leaf::{Leaf, LeafReader},
    names,
    opening::{CLOCKS_DIFFER_S, ERASURE_TYPE},
    time::Time,
};

use crate::{
    Refusal, Step,
    container::Container,
    heads::{Asked, Heads, read_proof},
};

/// The log that erasures stand in.
const STREAM: &str = "admin";

/// What was erased, by the index of the event.
#[derive(Debug, Default)]
pub(crate) struct Erasures(BTreeMap<u64, Erased>);

/// Whose values were erased, and when.
#[derive(Debug)]
struct Erased {
    id: String,
    recorded_at: Time,
    /// Whether as many have seen the log it stands in as the policy demands.
    is_witnessed: bool,
    /// Size and root of that log, as the proof has them.
    head: (u64, Hash),
    /// The proof's name, and that log's.
    name: String,
    origin: String,
}

impl Erasures {
    /// The name of the log that each proof leads into, its size and root there, and the proof's name.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (String, u64, Hash, String)> {
        self.0.values().map(|erased| {
            let (size, root) = erased.head;
            (erased.origin.clone(), size, root, erased.name.clone())
        })
    }

    /// Reads and verifies all proofs of erasures.
    ///
    /// # Errors
    /// `erasures`.
    pub(crate) fn read(bundle: &dyn Container, asked: &Asked<'_>, heads: &Heads) -> Result<Self, Refusal> {
        let proofs = bundle.files().keys().filter_map(|name| Some((names::erasure_proof_index(name)?, name)));
        let origin = origin(asked);
        // The report may be of that log, too.
        let mut roots = heads.roots_of(&origin);
        let mut all = BTreeMap::new();
        for (index, name) in proofs {
            let erased = erased(bundle, asked, &origin, (index, name))?;
            let (size, root) = erased.head;
            if *roots.entry(size).or_insert(root) != root {
                let why =
                    format!("{name}: its log forked: another checkpoint is of one size and another tree");
                return Err(Step::Erasures.because(why));
            }
            all.insert(index, erased);
        }
        Ok(Self(all))
    }

    /// Whether that event, after this one, erased what belongs to whom the leaf says that its rows are about. One that says
    /// nothing of it is about nobody, whoever else it names.
    pub(super) fn explains(&self, by: u64, leaf: &Leaf<'_>) -> bool {
        let Some(erased) = self.0.get(&by) else { return false };
        let later = leaf.recorded_at().micros().saturating_sub(erased.recorded_at.micros());
        if later > CLOCKS_DIFFER_S * 1_000_000 {
            return false;
        }
        leaf.text(&["subject"]).is_some_and(|subject| subject == erased.id)
    }

    /// Whether witnesses have seen all of these events.
    pub(crate) fn are_witnessed(&self) -> bool {
        self.0.values().all(|erased| erased.is_witnessed)
    }

    /// That no proof rides along which no row needs.
    ///
    /// # Errors
    /// `erasures`.
    pub(crate) fn check_all_named(&self, named: &BTreeSet<u64>) -> Result<(), Refusal> {
        match self.0.keys().find(|by| !named.contains(by)) {
            Some(by) => Err(Step::Erasures.because(format!("no row needs {}", names::erasure_proof(*by)))),
            None => Ok(()),
        }
    }
}

/// The tenant's log that erasures stand in.
fn origin(asked: &Asked<'_>) -> String {
    let host = asked.manifest.origin.strip_suffix(asked.manifest.stream.as_str()).unwrap_or_default();
    format!("{host}{STREAM}")
}

fn erased(
    bundle: &dyn Container,
    asked: &Asked<'_>,
    origin: &str,
    (index, name): (u64, &str),
) -> Result<Erased, Refusal> {
    let fault = |why: &str| Step::Erasures.because(format!("{name}: {why}"));
    let Asked { policy, manifest, basis, .. } = *asked;
    let log = policy.log(origin).ok_or_else(|| fault("the policy does not name its log"))?;
    let proof = read_proof(bundle, Step::Erasures, name)?;
    let bytes = proof.extra.as_deref().ok_or_else(|| fault("it has no leaf"))?;
    if proof.index != index {
        return Err(fault("it is of another event"));
    }
    let trusted = proof.verify(bytes, &log, basis.seconds()).map_err(|why| fault(&why.to_string()))?;
    let is_witnessed = policy.is_met(&trusted.cosigned);
    let mut reader = LeafReader::default();
    let leaf = reader.read(bytes).map_err(|why| fault(&why.to_string()))?;
    let is = |field: &'static str, value: &str| leaf.text(&[field]).as_deref() == Some(value);
    let erases = is("tenant_id", &manifest.tenant_id)
        && is("stream", STREAM)
        && is("type", ERASURE_TYPE)
        && is("outcome", "success");
    leaf.check_shown().map_err(|why| fault(&why.to_string()))?;
    let part = |name: &str| leaf.text(&["target", name]).filter(|_| erases).map(std::borrow::Cow::into_owned);
    let (_, id) = part("kind").zip(part("id")).ok_or_else(|| fault("that event erased nothing"))?;
    let head = (trusted.checkpoint.size(), trusted.checkpoint.root());
    let (name, origin) = (name.to_owned(), origin.to_owned());
    Ok(Erased { id, recorded_at: leaf.recorded_at(), is_witnessed, head, name, origin })
}
