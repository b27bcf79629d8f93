//! A maker of reports, honest unless told otherwise.

use std::{collections::BTreeMap, io::Cursor};

use audit_log::merkle::Hash;
use matricula_verify::{Anchors, Demands, Refusal, Step, Verdict, container::Container, verify};
use report_bundle::{
    cms::RawSigner,
    heads::platform_leaf,
    manifest::{Manifest, Tool},
    names,
    opening::{ERASURE_TYPE, Field, Shown},
    query::{Kind, Period, Query},
    sums,
    writer::{BundleWriter, Heads, ReportHead, Timestamper},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Log, Memory, Pki, TENANT, Witness, leaf, log::commit, now, time, uuid};

/// How a bundle is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    Signed,
    Stamped,
}

/// All it takes to make a report.
pub(crate) struct Maker {
    pub(crate) log: Log,
    pub(crate) admin: Log,
    pub(crate) platform: Log,
    pub(crate) witnesses: Vec<Witness>,
    /// Which of the tenant's logs it is of, and what it is called.
    pub(crate) stream: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) query: Query,
    pub(crate) first: usize,
    pub(crate) end: usize,
    pub(crate) disclosed: Vec<Field>,
    /// Whose values are erased.
    pub(crate) erased: Option<String>,
    pub(crate) platform_heads: bool,
}

pub(crate) struct Bundle {
    pub(crate) zip: Vec<u8>,
    pub(crate) policy: String,
}

const HOST: &str = "audit.example.com";
/// When witnesses have seen the ends of the range, in seconds since 1970: 2026-06-30 and 2026-08-02, noon.
const BEGIN_SEEN_S: u64 = 1_782_820_800;
pub(crate) const END_SEEN_S: u64 = 1_785_672_000;

/// The value behind an event's commitment.
pub(crate) fn value_of(number: u64) -> Value {
    match number % 3 {
        0 => json!({"role": {"from": "viewer", "to": "owner"}}),
        1 => json!(format!("=HYPERLINK(\"https://example.com/{number}\")")),
        // One letter in both of its spellings.
        _ => json!([number, "a,b\r\nc", "\u{e9}", "e\u{301}"]),
    }
}

/// The fields of the event that erased the values of somebody, after all that is reported.
pub(crate) fn erasure() -> Value {
    json!({"stream": "admin", "type": ERASURE_TYPE, "outcome": "success",
           "target": {"kind": "member", "id": uuid(3)}, "recorded_at": "2026-08-01T00:00:00.000000Z"})
}

fn committed(number: u64) -> Vec<u8> {
    if number.is_multiple_of(2) {
        return leaf(number, Value::Null);
    }
    about(number, number % 7)
}

/// An event that commits to rows of somebody.
pub(crate) fn about(number: u64, subject: u64) -> Vec<u8> {
    leaf(number, json!({"diff_commit": commit(number, &value_of(number)).0, "subject": uuid(subject)}))
}

impl Maker {
    pub(crate) fn new() -> Self {
        let leaves = (0..200).map(committed).collect();
        let since = Some(time("2026-06-30T16:00:00.000000Z"));
        let period = Period { since, until: Some(time("2026-07-31T16:00:00.000000Z")) };
        let admin = (0..5).map(|number| match number {
            3 => leaf(3, erasure()),
            _ => leaf(number, json!({"stream": "admin"})),
        });
        Self {
            log: Log::new(&format!("{HOST}/t/{TENANT}/iam"), 1, leaves),
            admin: Log::new(&format!("{HOST}/t/{TENANT}/admin"), 2, admin.collect()),
            platform: Log::new(&format!("{HOST}/platform"), 3, Vec::new()),
            witnesses: vec![Witness::new("w1.example.org", 11), Witness::new("w2.example.org", 12)],
            stream: "iam",
            kind: "password_resets",
            query: Kind::PasswordResets.query(period),
            first: 13,
            end: 190,
            disclosed: vec![Field::DiffCommit],
            erased: Some(uuid(3)),
            platform_heads: true,
        }
    }

    pub(crate) fn policy(&self) -> String {
        let logs =
            [&self.log, &self.admin, &self.platform].map(|log| format!("log {}\n", log.vkey())).concat();
        let line = |(witness, number): (&Witness, u32)| format!("witness w{number} {}\n", witness.vkey());
        let witnesses = self.witnesses.iter().zip(1..).map(line).collect::<Vec<_>>().concat();
        format!("{logs}{witnesses}group both all w1 w2\nquorum both\n")
    }

    fn salts() -> [[u8; 32]; 2] {
        [[0x51; 32], [0x52; 32]]
    }

    pub(crate) fn heads(&mut self) -> Heads {
        let (begin, end) = (self.log.checkpoint(self.first), self.log.checkpoint(self.end));
        let mut heads = Heads {
            checkpoint: self.cosigned(self.log.note(self.end), END_SEEN_S),
            checkpoint_before: Some(self.log.note(self.first)),
            consistency: (self.first > 0).then(|| self.log.consistency(self.first, self.end)),
            policy: Some(self.policy()),
            ..Heads::default()
        };
        if self.platform_heads {
            let salts = Self::salts();
            self.platform.leaves = vec![b"other".to_vec(), platform_leaf(&salts[0], &begin.to_string())];
            heads.platform_proof_before = Some(self.platform_proof(1, &salts[0], BEGIN_SEEN_S));
            self.platform.leaves.push(platform_leaf(&salts[1], &end.to_string()));
            heads.platform_proof = Some(self.platform_proof(2, &salts[1], END_SEEN_S));
        }
        heads
    }

    pub(crate) fn platform_proof(&self, index: usize, salt: &[u8], seen_s: u64) -> String {
        let note = self.cosigned(self.platform.note(self.platform.leaves.len()), seen_s);
        self.platform.proof(index, salt, &note)
    }

    /// A note, cosigned by all witnesses.
    pub(crate) fn cosigned(&self, note: String, seen_s: u64) -> String {
        self.witnesses.iter().fold(note, |note, witness| witness.cosign(&note, seen_s))
    }

    pub(crate) fn head(&self) -> ReportHead {
        ReportHead {
            report_id: uuid(77),
            tenant_id: TENANT.to_owned(),
            stream: self.stream.to_owned(),
            origin: self.log.origin().to_owned(),
            kind: self.kind.to_owned(),
            query: self.query.clone(),
            query_text: "password resets <July> 2026".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            created_at: now(),
            max_lateness_s: 5,
            disclosed: self.disclosed.clone(),
            tool: Tool { name: "matricula".to_owned(), version: "0.1.0".to_owned() },
            first: u64::try_from(self.first).expect("small"),
            boundary: self.log.subtrees(0, self.first),
        }
    }

    /// What a row shows.
    pub(crate) fn shown(&self, number: u64) -> [Option<Shown>; 2] {
        if number.is_multiple_of(2) || !self.disclosed.contains(&Field::DiffCommit) {
            return [None, None];
        }
        let is_about = |id: &String| uuid(number % 7) == *id;
        if self.erased.as_ref().is_some_and(is_about) {
            return [Some(Shown::Erased { by: 3 }), None];
        }
        let value = value_of(number);
        let salt = commit(number, &value).1;
        [Some(Shown::Opened { salt, value }), None]
    }

    /// A report, written leaf by leaf.
    pub(crate) fn make(&mut self, pki: &Pki, seal: Seal) -> Bundle {
        let spools = [Cursor::new(vec![]), Cursor::new(vec![]), Cursor::new(vec![])];
        let mut writer = BundleWriter::new(Vec::new(), spools, self.head()).expect("begun");
        for number in self.first..self.end {
            let leaf = &self.log.leaves[number];
            let pushed = writer.push_leaf(leaf).expect("a leaf");
            if pushed.asked_for {
                writer.push_row(pushed.index, leaf, &self.shown(pushed.index)).expect("a row");
            }
        }
        if self.erased.is_some() {
            let note = self.cosigned(self.admin.note(self.admin.leaves.len()), END_SEEN_S);
            writer.push_erasure_proof(3, &self.admin.proof(3, &self.admin.leaves[3], &note)).expect("added");
        }
        let heads = self.heads();
        let sealing = writer.close(&heads, pki.certificates()).expect("closed");
        let stamps: Option<&dyn Timestamper> = (seal == Seal::Stamped).then_some(pki);
        let sealed = sealing.seal_with(pki, stamps, now()).expect("sealed");
        assert!(sealed.without_timestamp.is_none(), "{:?}", sealed.without_timestamp);
        Bundle { zip: sealed.out, policy: self.policy() }
    }
}

impl Bundle {
    pub(crate) fn files(&self) -> Memory {
        Memory::unzip(&self.zip)
    }

    pub(crate) fn anchors(&self, pki: &Pki) -> Anchors {
        let (root, tsa) = (pki.folder.read("root.pem"), pki.folder.read("tsa-root.pem"));
        Anchors::new(&root, Some(&tsa), &self.policy).expect("anchors")
    }

    /// Whether the verifier takes these files.
    pub(crate) fn judge(&self, pki: &Pki, files: &dyn Container) -> Result<Verdict, Refusal> {
        verify(files, &self.anchors(pki), &demands(), &mut |_, _| ())
    }

    /// The step at which these files are refused.
    pub(crate) fn refused(&self, pki: &Pki, files: &dyn Container) -> Step {
        self.judge(pki, files).expect_err("refused").step
    }

    /// The step at which the bundle is refused after somebody with the signer's key has changed files.
    pub(crate) fn meddled(&self, pki: &Pki, meddle: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Step {
        let mut files = self.files().files;
        meddle(&mut files);
        self.refused(pki, &reseal(pki, files))
    }
}

pub(crate) fn demands() -> Demands {
    Demands { tenant: Some(TENANT.to_owned()), lateness_s: Some(6), threads: 2, ..Demands::at(now()) }
}

/// Changes the manifest as text, keeping its form.
pub(crate) fn edit_manifest(files: &mut BTreeMap<String, Vec<u8>>, edit: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest::parse(&files[names::MANIFEST]).expect("a manifest");
    edit(&mut manifest);
    files.insert(names::MANIFEST.to_owned(), manifest.write().expect("has a form"));
}

/// Counts, hashes and signs files anew, without a timestamp.
pub(crate) fn reseal(signer: &dyn RawSigner, mut files: BTreeMap<String, Vec<u8>>) -> Memory {
    files.retain(|name, _| !names::is_sealing(name));
    let lengths: BTreeMap<_, _> = files
        .iter()
        .filter(|(name, _)| *name != names::MANIFEST)
        .map(|(name, bytes)| (name.clone(), u64::try_from(bytes.len()).expect("a length")))
        .collect();
    if Manifest::parse(&files[names::MANIFEST]).is_ok() {
        edit_manifest(&mut files, |manifest| manifest.files = lengths);
    }
    let hash = |bytes: &Vec<u8>| Hash(Sha256::digest(bytes).into());
    let text = sums::write(&files.iter().map(|(name, bytes)| (name.clone(), hash(bytes))).collect());
    sign_sums(signer, files, text)
}

/// Signs sums as they are.
pub(crate) fn sign_sums(
    signer: &dyn RawSigner,
    mut files: BTreeMap<String, Vec<u8>>,
    sums: String,
) -> Memory {
    use report_bundle::cms::CadesDraft;
    let draft =
        CadesDraft::new(sums.as_bytes(), signer.algorithm(), signer.certificates(), now()).expect("a draft");
    let signature = signer.sign(draft.request()).expect("signed");
    files.remove(names::TIMESTAMP);
    files.insert(names::SIGNATURE.to_owned(), draft.finish(&signature).expect("finished"));
    files.insert(names::SUMS.to_owned(), sums.into_bytes());
    Memory::new(files)
}
