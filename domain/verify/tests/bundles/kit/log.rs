//! Logs: a tenant's, a platform's, and witnesses.

use audit_log::{
    checkpoint::Checkpoint,
    commitment::Commitment,
    jcs::canonical,
    merkle::{CompactRange, Hash, consistency_proof, inclusion_proof, leaf_hash},
    note::{Note, NoteSignature, NoteSigner, VerifierKey, VerifierKind},
    proof::LogProof,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

pub(crate) const TENANT: &str = "0199c3a0-0000-7000-8000-0000000000aa";
const STREAM: &str = "iam";

/// The number as a UUID.
pub(crate) fn uuid(number: u64) -> String {
    format!("0199c3a0-0000-7000-8000-{number:012x}")
}

/// The keyed hash of an address, as leaves have it.
pub(crate) fn ip_hash(key: &[u8], address: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(address.as_bytes());
    let hash: [u8; 32] = mac.finalize().into_bytes().into();
    Hash(hash).to_hex()
}

/// An event of a tenant's log. `more` adds fields or replaces them.
pub(crate) fn leaf(number: u64, more: Value) -> Vec<u8> {
    let types = ["sign_in", "reset_password", "change_member_role", "request_password_reset"];
    let kind = types[usize::try_from(number % 4).expect("small")];
    let mut fields: Map<String, Value> = serde_json::from_value(json!({
        "v": 1, "stream": STREAM, "event_id": uuid(number), "compliance_id": uuid(number + 1_000_000),
        "tenant_id": TENANT, "class_uid": 3001, "activity_id": 4, "type": kind,
        "outcome": if number.is_multiple_of(5) { "denied" } else { "success" },
        "occurred_at": format!("2026-07-{:02}T{:02}:00:00.{:06}Z", 1 + number / 24 % 28, number % 24, number),
        "recorded_at": format!("2026-07-{:02}T{:02}:00:{:02}.{:06}Z", 1 + number / 24 % 28, number % 24, number % 7, number),
        "actor": {"kind": "member", "id": uuid(number % 10)}, "target": {"kind": "member", "id": uuid(number % 7)},
        "device_fp": format!("{number:064x}"), "geo": {"country": "CN", "region": "GD", "source": "db", "db_version": 3},
        "auth": {"mfa_state": "passed", "factors": ["password"]},
        "ip_hash": {"alg": "HMAC-SHA-256", "key_epoch": "2026Q3", "value": ip_hash(b"tenant key", &format!("203.0.113.{}", number % 256))},
    }))
    .expect("an object");
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    canonical(&Value::Object(fields)).expect("has a form")
}

/// The commitment and salt of a value, the salt made of a number.
pub(crate) fn commit(number: u64, value: &Value) -> (String, [u8; 32]) {
    let salt = leaf_hash(&number.to_be_bytes()).0;
    (Commitment::to(value, &salt).expect("has a form").to_string(), salt)
}

/// A log with its key.
pub(crate) struct Log {
    pub(crate) leaves: Vec<Vec<u8>>,
    signer: NoteSigner,
}

pub(crate) struct Witness {
    name: String,
    seed: u8,
}

impl Log {
    pub(crate) fn new(origin: &str, seed: u8, leaves: Vec<Vec<u8>>) -> Self {
        Self { leaves, signer: NoteSigner::from_seed(origin, &[seed; 32]).expect("a plain name") }
    }

    pub(crate) fn origin(&self) -> &str {
        self.signer.name()
    }

    pub(crate) fn vkey(&self) -> String {
        self.signer.verifier().to_string()
    }

    fn range(&self, from: usize, to: usize) -> CompactRange {
        let mut range = CompactRange::starting_at(u64::try_from(from).expect("small"));
        for leaf in &self.leaves[from..to] {
            range.append_leaf(leaf_hash(leaf)).expect("in order");
        }
        range
    }

    fn node(&self, node: audit_log::merkle::Node) -> Option<Hash> {
        let from = usize::try_from(node.index << node.height).ok()?;
        self.range(from, from + (1 << node.height)).hashes().next()
    }

    /// The hashes of the complete subtrees of leaves.
    pub(crate) fn subtrees(&self, from: usize, to: usize) -> Vec<Hash> {
        self.range(from, to).hashes().collect()
    }

    pub(crate) fn checkpoint(&self, size: usize) -> Checkpoint {
        let root = self.range(0, size).root().expect("from the start");
        Checkpoint::new(self.origin(), u64::try_from(size).expect("small"), root).expect("a plain origin")
    }

    pub(crate) fn note(&self, size: usize) -> String {
        self.checkpoint(size).sign(&self.signer).expect("its own").to_text()
    }

    pub(crate) fn consistency(&self, old: usize, new: usize) -> Vec<Hash> {
        let [old, new] = [old, new].map(|size| u64::try_from(size).expect("small"));
        consistency_proof(old, new, |node| self.node(node)).expect("sizes in order")
    }

    /// The proof file for a leaf in the tree of all leaves.
    pub(crate) fn proof(&self, index: usize, extra: &[u8], note: &str) -> String {
        let [index, size] = [index, self.leaves.len()].map(|number| u64::try_from(number).expect("small"));
        let hashes = inclusion_proof(index, size, |node| self.node(node)).expect("inside");
        LogProof { extra: Some(extra.to_vec()), index, hashes, checkpoint: note.to_owned() }.to_string()
    }
}

impl Witness {
    pub(crate) fn new(name: &str, seed: u8) -> Self {
        Self { name: name.to_owned(), seed }
    }

    fn key(&self) -> VerifierKey {
        let signer = NoteSigner::from_seed(&self.name, &[self.seed; 32]).expect("a plain name");
        VerifierKey::new(&self.name, VerifierKind::Cosignature, signer.verifier().public()).expect("a key")
    }

    pub(crate) fn vkey(&self) -> String {
        self.key().to_string()
    }

    /// Adds a cosignature to a note (C2SP tlog-cosignature).
    pub(crate) fn cosign(&self, note: &str, at_s: u64) -> String {
        let mut note = Note::parse(note.as_bytes()).expect("a note");
        let message = format!("cosignature/v1\ntime {at_s}\n{}", note.text());
        let signer = NoteSigner::from_seed(&self.name, &[self.seed; 32]).expect("a plain name");
        let made = Note::sign(message, &signer).expect("a text");
        let bytes = [&at_s.to_be_bytes()[..], &made.signatures()[0].bytes].concat();
        let line = NoteSignature { name: self.name.clone(), key_id: self.key().id(), bytes };
        note.add_signature(line).expect("room");
        note.to_text()
    }
}
