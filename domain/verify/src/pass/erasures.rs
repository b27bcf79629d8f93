//! Events that erased values: without one that is proven, a value that is not there is a value that is hidden.

use std::collections::BTreeMap;

use report_bundle::{
    leaf::{Leaf, LeafReader},
    manifest::Manifest,
    names,
    opening::ERASURE_TYPE,
};

use crate::{Policy, Refusal, Step, TimeBasis, container::Container, heads::read_proof};

/// The log that erasures stand in.
const STREAM: &str = "admin";

/// Whose values were erased, by the index of the event.
#[derive(Debug, Default)]
pub(crate) struct Erasures(BTreeMap<u64, String>);

impl Erasures {
    /// Reads and verifies all proofs of erasures.
    ///
    /// # Errors
    /// `erasures`.
    pub(crate) fn read(
        bundle: &dyn Container,
        policy: &Policy,
        manifest: &Manifest,
        basis: &TimeBasis,
    ) -> Result<Self, Refusal> {
        let proofs = bundle.files().keys().filter_map(|name| Some((names::erasure_proof_index(name)?, name)));
        let mut subjects = BTreeMap::new();
        for (index, name) in proofs {
            subjects.insert(index, subject(bundle, policy, manifest, basis, (index, name))?);
        }
        Ok(Self(subjects))
    }

    /// Whether that event erased what belongs to somebody the leaf tells of.
    pub(super) fn explains(&self, by: u64, leaf: &Leaf<'_>) -> bool {
        let subject = self.0.get(&by);
        [["actor", "id"], ["target", "id"]].iter().any(|path| {
            let id = leaf.text(path);
            id.is_some() && id.as_deref() == subject.map(String::as_str)
        })
    }
}

fn subject(
    bundle: &dyn Container,
    policy: &Policy,
    manifest: &Manifest,
    basis: &TimeBasis,
    (index, name): (u64, &str),
) -> Result<String, Refusal> {
    let fault = |why: &str| Step::Erasures.because(format!("{name}: {why}"));
    let host = manifest.origin.strip_suffix(manifest.stream.as_str()).unwrap_or_default();
    let log =
        policy.log(&format!("{host}{STREAM}")).ok_or_else(|| fault("the policy does not name its log"))?;
    let proof = read_proof(bundle, Step::Erasures, name)?;
    let bytes = proof.extra.as_deref().ok_or_else(|| fault("it has no leaf"))?;
    if proof.index != index {
        return Err(fault("it is of another event"));
    }
    proof.verify(bytes, &log, basis.seconds()).map_err(|why| fault(&why.to_string()))?;
    let mut reader = LeafReader::default();
    let leaf = reader.read(bytes).map_err(|why| fault(&why.to_string()))?;
    let is = |field: &'static str, value: &str| leaf.text(&[field]).as_deref() == Some(value);
    let erases = is("tenant_id", &manifest.tenant_id)
        && is("stream", STREAM)
        && is("type", ERASURE_TYPE)
        && is("outcome", "success");
    let subject = leaf.text(&["target", "id"]).filter(|_| erases);
    subject.map(std::borrow::Cow::into_owned).ok_or_else(|| fault("that event erased nothing"))
}
