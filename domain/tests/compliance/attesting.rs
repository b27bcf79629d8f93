//! Heads are vouched for one at a time, and what is sent is kept before it leaves.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    compliance::{
        Attested, Attesting, AttestingPorts,
        log::{anchor::attested_digest, merkle::Hash, note::NoteSigner},
        ports::{Attestation, AttestationStore, Attester, Progress, Settled, SignedHead},
    },
    kernel::{clock::Clock as _, fault::PortError, ids::Entropy, testkit::FixedClock},
};

use crate::site::now;

/// What is kept, and what happened in which order.
#[derive(Default)]
struct Desk {
    head: Mutex<Option<SignedHead>>,
    kept: Mutex<Vec<Attestation>>,
    done: Mutex<Vec<String>>,
}

impl Desk {
    fn did(&self, what: &str) {
        self.done.lock().expect("nobody has it").push(what.to_owned());
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut *self.done.lock().expect("nobody has it"))
    }
}

#[async_trait]
impl AttestationStore for Desk {
    async fn shown_head(&self) -> Result<Option<SignedHead>, PortError> {
        Ok(self.head.lock().expect("nobody has it").clone())
    }

    async fn newest_attestation(&self, by: &str) -> Result<Option<Attestation>, PortError> {
        let kept = self.kept.lock().expect("nobody has it");
        let of = kept.iter().filter(|kept| kept.by == by);
        Ok(of.max_by_key(|kept| (kept.settled.is_none(), kept.size)).cloned())
    }

    async fn add_attestation(&self, new: &Attestation) -> Result<bool, PortError> {
        self.did("keep");
        let mut kept = self.kept.lock().expect("nobody has it");
        let is_free =
            !kept.iter().any(|old| old.by == new.by && (old.settled.is_none() || old.size == new.size));
        if is_free {
            kept.push(new.clone());
        }
        Ok(is_free)
    }

    async fn prepare_again(&self, old: &Attestation, prepared: &[u8]) -> Result<(), PortError> {
        self.did("keep again");
        let mut kept = self.kept.lock().expect("nobody has it");
        let same = kept.iter_mut().find(|kept| **kept == *old).expect("it is kept");
        same.prepared = prepared.to_vec();
        Ok(())
    }

    async fn settle(&self, by: &str, size: u64, settled: &Settled) -> Result<(), PortError> {
        let mut kept = self.kept.lock().expect("nobody has it");
        let same = kept.iter_mut().find(|kept| kept.by == by && kept.size == size).expect("it is kept");
        same.settled = Some(settled.clone());
        Ok(())
    }
}

/// Says what it is told to, or is away.
struct Scripted {
    desk: Arc<Desk>,
    says: Mutex<Option<Progress>>,
}

#[async_trait]
impl Attester for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn prepare(&self, digest: Hash) -> Result<Vec<u8>, PortError> {
        self.desk.did("prepare");
        Ok(digest.0.to_vec())
    }

    async fn advance(&self, digest: Hash, prepared: &[u8]) -> Result<Progress, PortError> {
        assert_eq!(prepared, digest.0, "what was prepared for it");
        self.desk.did("send");
        let says = self.says.lock().expect("nobody has it").clone();
        says.ok_or_else(|| PortError::passing("scripted", "away"))
    }
}

/// Never answers.
struct Away;

#[async_trait]
impl Attester for Away {
    fn name(&self) -> &'static str {
        "away"
    }

    async fn prepare(&self, _: Hash) -> Result<Vec<u8>, PortError> {
        Err(PortError::passing("away", "away"))
    }

    async fn advance(&self, _: Hash, _: &[u8]) -> Result<Progress, PortError> {
        Err(PortError::passing("away", "away"))
    }
}

/// The same salt always.
struct Sevens;

impl Entropy for Sevens {
    fn bytes32(&self) -> [u8; 32] {
        [7; 32]
    }
}

fn head(size: u64) -> SignedHead {
    let signer = NoteSigner::from_seed("audit.example.com/platform", &[1; 32]).expect("a name");
    let root = Hash([2; 32]);
    let checkpoint = domain::compliance::log::checkpoint::Checkpoint::new(signer.name(), size, root);
    let note = checkpoint.and_then(|checkpoint| checkpoint.sign(&signer)).expect("plain").to_text();
    SignedHead { size, root, note, signed_at: FixedClock::default().now() }
}

#[test]
fn a_head_is_kept_before_it_leaves_sent_until_it_is_settled_and_the_next_one_later() {
    let desk = Arc::<Desk>::default();
    let clock = Arc::<FixedClock>::default();
    let scripted = Arc::new(Scripted { desk: Arc::clone(&desk), says: Mutex::new(None) });
    let attesting = Attesting::new(AttestingPorts {
        store: Arc::<Desk>::clone(&desk),
        attesters: vec![Arc::new(Away), Arc::<Scripted>::clone(&scripted)],
        clock: Arc::<FixedClock>::clone(&clock),
        entropy: Arc::new(Sevens),
        every: TimeDelta::hours(1),
    });
    let says = |progress: Progress| *scripted.says.lock().expect("nobody has it") = Some(progress);
    let turn = || {
        let mut turns = now(attesting.attest_heads());
        let (name, scripted) = turns.pop().expect("two");
        assert_eq!(name, "scripted");
        scripted
    };
    assert_eq!(turn().expect("nothing to do"), Attested::Nothing);
    assert_eq!(desk.done(), [""; 0], "without a head nobody is asked");
    *desk.head.lock().expect("nobody has it") = Some(head(5));
    // The one that is away keeps nobody else from it; the other is away when it is sent.
    assert!(turn().is_err());
    assert_eq!(desk.done(), ["prepare", "keep", "send"]);
    says(Progress::Pending);
    assert!(now(attesting.attest_heads()).is_empty(), "who does not answer is left alone for a while");
    assert_eq!(desk.done(), [""; 0]);
    let begun = clock.now();
    *desk.head.lock().expect("nobody has it") = Some(head(9));
    clock.advance(TimeDelta::hours(5));
    assert_eq!(turn().expect("on its way"), Attested::Pending(begun));
    assert_eq!(desk.done(), ["send"], "one at a time, and what was kept");
    says(Progress::Lost);
    assert_eq!(turn().expect("made anew"), Attested::Pending(begun), "since it was first prepared");
    assert_eq!(desk.done(), ["send", "prepare", "keep again"]);
    let settled = Settled { proof: "there".to_owned(), at: clock.now() };
    says(Progress::Settled(settled.clone()));
    assert_eq!(turn().expect("settled"), Attested::Settled(settled.at));
    let kept = desk.kept.lock().expect("nobody has it").clone();
    let text = "audit.example.com/platform\n5\n".to_owned() + &Hash([2; 32]).to_base64() + "\n";
    assert_eq!((kept[0].size, kept[0].digest), (5, attested_digest(&[7; 32], &text)));
    assert_eq!(kept[0].settled, Some(settled));
    desk.done();
    // It was asked five hours ago: the next is due.
    assert!(matches!(turn(), Ok(Attested::Settled(_))));
    assert_eq!(desk.done(), ["prepare", "keep", "send"]);
    *desk.head.lock().expect("nobody has it") = Some(head(12));
    clock.advance(TimeDelta::minutes(59));
    assert_eq!(turn().expect("not yet"), Attested::Nothing);
    clock.advance(TimeDelta::minutes(1));
    assert!(matches!(turn(), Ok(Attested::Settled(_))));
    clock.advance(TimeDelta::hours(2));
    assert_eq!(turn().expect("nothing new"), Attested::Nothing);
    // Its clock was ahead, and is right again.
    clock.advance(TimeDelta::days(-9));
    *desk.head.lock().expect("nobody has it") = Some(head(14));
    assert!(matches!(turn(), Ok(Attested::Settled(_))));
}
