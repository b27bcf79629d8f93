//! Witnesses see that a log only grows, whoever asks and whatever breaks off; the log keeps what they give and nothing else.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    compliance::{
        Gathered, NotCosigned, Notarised, Witness, WitnessFault, WitnessWord,
        log::{
            checkpoint::Checkpoint,
            merkle::Hash,
            note::{Cosigner, Note, NoteSigner},
            trust::TrustPolicy,
            witness::{AddCheckpoint, Refusal},
        },
        ports::{PlatformStore as _, WitnessAnswer, WitnessClient},
        testkit::{MemoryEvidence, MemoryHighWater, MemoryPlatform, MemoryWitnesses, PlatformLog, Tripwire},
    },
    kernel::{clock::Clock as _, fault::PortError, testkit::FixedClock},
};

use crate::{
    notarising::Platform,
    site::{HOST, now},
};

fn origin() -> String {
    format!("audit.{HOST}/platform")
}

fn cosigner(seed: u8) -> Cosigner {
    Cosigner::from_seed(&format!("witness.example.com/{seed}"), &[seed; 32]).expect("a plain name")
}

/// Believes the platform's key.
fn logs(platform: &Platform) -> TrustPolicy {
    let mut trust = TrustPolicy::empty();
    let key = platform.signer.under(&origin()).expect("a name").verifier().clone();
    trust.add_log(key, None).expect("the first");
    trust
}

fn witness(platform: &Platform, seed: u8, tripwire: &Arc<Tripwire>) -> (Arc<Witness>, Arc<MemoryHighWater>) {
    witness_keeping(platform, seed, tripwire, &Arc::default())
}

fn witness_keeping(
    platform: &Platform,
    seed: u8,
    tripwire: &Arc<Tripwire>,
    evidence: &Arc<MemoryEvidence>,
) -> (Arc<Witness>, Arc<MemoryHighWater>) {
    let memory = Arc::new(MemoryHighWater::new(Arc::clone(tripwire)));
    let clock = Arc::<FixedClock>::clone(&platform.site.clock);
    let port = Arc::<MemoryHighWater>::clone(&memory);
    let witness =
        Witness::new(&logs(platform), cosigner(seed), port, Arc::<MemoryEvidence>::clone(evidence), clock);
    (Arc::new(witness.expect("sound")), memory)
}

/// Three witnesses at `1`, `2` and `3`, of which two are enough.
fn watched(platform: &mut Platform) -> Arc<MemoryWitnesses> {
    let witnesses = Arc::<MemoryWitnesses>::default();
    let mut lines = Vec::new();
    for seed in 1..=3 {
        witnesses.add(&seed.to_string(), witness(platform, seed, &Arc::default()).0);
        lines.push(format!("witness w{seed} {} {seed}", cosigner(seed).verifier()));
    }
    lines.push("group all 2 w1 w2 w3\nquorum all\n".to_owned());
    platform.trust = TrustPolicy::parse(&lines.join("\n")).expect("good");
    let client: Arc<dyn WitnessClient> = Arc::<MemoryWitnesses>::clone(&witnesses);
    platform.witnesses = client;
    witnesses
}

fn gather(platform: &Platform) -> Gathered {
    now(platform.notary().gather_cosignatures()).expect("answers")
}

fn words(gathered: &Gathered) -> Vec<WitnessWord> {
    gathered.words.iter().map(|(_, word)| *word).collect()
}

#[test]
fn enough_witnesses_make_a_head_that_counts() {
    let mut platform = Platform::new();
    let witnesses = watched(&mut platform);
    assert_eq!(gather(&platform), Gathered::default(), "there is no head yet");
    platform.grow();
    platform.turn().expect("goes on");
    assert!(platform.store.kept().witnessed.is_empty());
    let gathered = gather(&platform);
    assert_eq!((words(&gathered), gathered.is_met), (vec![WitnessWord::Cosigned; 3], true));
    assert_eq!(platform.store.kept().witnessed, [2]);
    assert_eq!(words(&gather(&platform)), [], "they are not asked again");
    // One is away and one says something else; the next head is beyond what a newly started notary believes they saw.
    platform.grow();
    platform.turn().expect("goes on");
    witnesses.tell("1", WitnessAnswer::Refused(403));
    witnesses.tell("2", WitnessAnswer::Refused(404));
    let gathered = gather(&platform);
    assert_eq!(
        (words(&gathered), gathered.is_met),
        (vec![WitnessWord::Refused, WitnessWord::Refused, WitnessWord::Cosigned], false)
    );
    let gathered = gather(&platform);
    assert_eq!((words(&gathered), gathered.is_met), (vec![WitnessWord::Cosigned; 2], true));
    let policy = domain::compliance::log::policy::LogPolicy::new(
        &origin(),
        vec![platform.signer.under(&origin()).expect("a name").verifier().clone()],
        (1..=3).map(|seed| cosigner(seed).verifier().clone()).collect(),
        3,
    );
    let kept = now(platform.store.cosignatures(4)).expect("answers");
    let lines = kept.iter().map(|line| line.line.clone() + "\n").collect::<Vec<_>>().concat();
    let head = platform.store.kept().heads.last().and_then(|head| head.note.clone()).expect("signed");
    let trusted =
        policy.expect("sound").open((head + &lines).as_bytes(), None).expect("cosigned by all three");
    assert_eq!(trusted.cosigned.len(), 3);
}

#[test]
fn a_witness_that_has_seen_a_later_head_which_is_there_is_no_alarm() {
    let mut platform = Platform::new();
    watched(&mut platform);
    for _ in 0..2 {
        platform.grow();
        platform.turn().expect("goes on");
        gather(&platform);
    }
    let later = platform.store.kept();
    let mut earlier = later.clone();
    earlier.heads.truncate(1);
    earlier.cosigned.clear();
    platform.store.put_back(earlier.clone());
    assert_eq!(
        words(&gather(&platform)),
        [WitnessWord::Ahead { seen: 4 }; 3],
        "while it is not there, it is one"
    );
    // Another process had the later head cosigned, after this one had read the earlier.
    platform.store.put_back(earlier);
    platform.witnesses = Arc::new(Meanwhile(platform.store.clone(), later));
    assert_eq!(words(&gather(&platform)), [WitnessWord::Later, WitnessWord::Later, WitnessWord::Later]);
}

/// Says that it has seen four leaves, and by then they are there.
struct Meanwhile(MemoryPlatform, PlatformLog);

#[async_trait::async_trait]
impl WitnessClient for Meanwhile {
    async fn add_checkpoint(&self, _: &str, _: &AddCheckpoint) -> Result<WitnessAnswer, PortError> {
        self.0.put_back(self.1.clone());
        Ok(WitnessAnswer::OtherSize(4))
    }
}

#[test]
fn attack_16_what_is_not_a_cosignature_of_this_head_now_is_not_kept() {
    let mut platform = Platform::new();
    let witnesses = watched(&mut platform);
    platform.grow();
    platform.turn().expect("goes on");
    let text = |origin: &str, size| Checkpoint::new(origin, size, Hash([3; 32])).expect("plain").to_string();
    let head = platform.store.kept().heads[0].note.clone().expect("signed");
    let own = Note::parse(head.as_bytes()).expect("a note").text().to_owned();
    let at = u64::try_from(platform.site.clock.now().timestamp()).expect("after 1970");
    for (what, lines) in [
        ("of another size", vec![cosigner(1).cosign(&text(&origin(), 3), at)]),
        ("of another log", vec![cosigner(1).cosign(&text("audit.example.com/other", 2), at)]),
        ("of another witness", vec![cosigner(2).cosign(&own, at)]),
        ("of the future", vec![cosigner(1).cosign(&own, at + 61)]),
        ("of the end of time", vec![cosigner(1).cosign(&own, u64::MAX)]),
        ("none", Vec::new()),
        (
            "another's name",
            vec![{
                let mut line = cosigner(2).cosign(&own, at);
                line.name = cosigner(1).verifier().name().to_owned();
                line.key_id = cosigner(1).verifier().id();
                line
            }],
        ),
    ] {
        witnesses.tell("1", WitnessAnswer::Cosigned(lines));
        witnesses.tell("2", WitnessAnswer::Refused(403));
        witnesses.tell("3", WitnessAnswer::Refused(403));
        let gathered = gather(&platform);
        assert_eq!(words(&gathered)[0], WitnessWord::Wrong, "{what}");
        assert!(!gathered.is_met && platform.store.kept().cosigned.is_empty(), "{what}");
    }
    // Among others' lines its own is found.
    let lines = vec![cosigner(9).cosign(&own, at), cosigner(1).cosign(&own, at)];
    witnesses.tell("1", WitnessAnswer::Cosigned(lines));
    assert_eq!(words(&gather(&platform))[0], WitnessWord::Cosigned);
    // The log is not its own witness, and one key is not two.
    let own_key = Cosigner::from_seed("witness.example.com/own", &[5; 32]).expect("a name");
    let seen = Arc::new(MemoryHighWater::new(Arc::default()));
    let clock = Arc::<FixedClock>::clone(&platform.site.clock);
    let refused =
        Witness::new(&logs(&platform), own_key, seen, Arc::<MemoryEvidence>::default(), clock).err();
    assert_eq!(refused, Some(WitnessFault::OwnLog(origin())));
    let twice = format!("witness a {0}\nwitness b {0}\ngroup g all a b\nquorum g\n", cosigner(1).verifier());
    assert_eq!(TrustPolicy::parse(&twice).map_err(|fault| fault.line), Err(2));
}

#[test]
fn attack_7_a_witness_has_seen_more_than_a_log_that_was_put_back_with_its_mark() {
    let mut platform = Platform::new();
    watched(&mut platform);
    platform.grow();
    platform.turn().expect("goes on");
    gather(&platform);
    let (yesterday, mark) = (platform.store.kept(), platform.mark.get());
    platform.grow();
    platform.turn().expect("goes on");
    assert!(gather(&platform).is_met);
    platform.store.put_back(yesterday);
    platform.mark.put(mark);
    // Nothing here tells that it was put back, and it goes on; the witnesses know.
    let mut forgetful = platform.store.kept();
    forgetful.cosigned.clear();
    platform.store.put_back(forgetful);
    assert_eq!(words(&gather(&platform)), [WitnessWord::Ahead { seen: 4 }; 3]);
    platform.site.happen(platform.tenants[0], 1);
    platform.grow();
    assert!(matches!(platform.turn().expect("answers"), Notarised::Signed { size: 4, .. }));
    let gathered = gather(&platform);
    assert_eq!((words(&gathered), gathered.is_met), (vec![WitnessWord::Disagrees; 3], false));
    platform.grow();
    platform.turn().expect("answers");
    assert_eq!(
        words(&gather(&platform)),
        [WitnessWord::Disagrees; 3],
        "no proof leads from what they saw to this"
    );
}

/// A checkpoint of `size` leaves that only its maker believes in, signed with the platform's own key.
fn forged(platform: &Platform, old_size: u64, size: u64, root: u8) -> AddCheckpoint {
    let checkpoint = Checkpoint::new(&origin(), size, Hash([root; 32])).expect("plain");
    let note = checkpoint.sign(&platform.signer.under(&origin()).expect("a name")).expect("its own key");
    AddCheckpoint { old_size, proof: Vec::new(), note }
}

fn refusal(answer: Result<String, NotCosigned>) -> Option<Refusal> {
    match answer {
        Err(NotCosigned::Refused(refusal)) => Some(refusal),
        Err(NotCosigned::Contradicted { .. }) => Some(Refusal::Forked),
        Ok(_) | Err(NotCosigned::Port(_)) => None,
    }
}

#[test]
fn attacks_5_and_6_another_name_another_key_and_a_second_root_are_refused() {
    let platform = Platform::new();
    let evidence = Arc::<MemoryEvidence>::default();
    let (witness, seen) = witness_keeping(&platform, 1, &Arc::default(), &evidence);
    let ask = |request: &AddCheckpoint| now(witness.add_checkpoint(request.to_text().as_bytes()));
    assert!(ask(&forged(&platform, 0, 7, 1)).is_ok());
    let mark = seen.get();
    // A name that is not configured has no state of its own, however it is spelled.
    for name in [
        "audit.matricula.example/platform2",
        "AUDIT.matricula.example/platform",
        "audit.matricula.example/platform/",
    ] {
        let signer = NoteSigner::from_seed(name, &[5; 32]).expect("a name");
        let checkpoint = Checkpoint::new(name, 7, Hash([1; 32])).expect("plain");
        let note = checkpoint.sign(&signer).expect("its own key");
        let request = AddCheckpoint { old_size: 0, proof: Vec::new(), note };
        assert_eq!(refusal(ask(&request)), Some(Refusal::UnknownLog), "{name}");
    }
    let signer = NoteSigner::from_seed(&origin(), &[6; 32]).expect("a name");
    let checkpoint = Checkpoint::new(&origin(), 7, Hash([1; 32])).expect("plain");
    let note = checkpoint.sign(&signer).expect("a key of that name");
    assert_eq!(
        refusal(ask(&AddCheckpoint { old_size: 7, proof: Vec::new(), note })),
        Some(Refusal::NotSigned)
    );
    // Two roots of one size, both signed by the log: not cosigned, and together they are the evidence.
    assert_eq!(refusal(ask(&forged(&platform, 7, 7, 2))), Some(Refusal::Forked));
    let texts = [1, 2].map(|root| forged(&platform, 7, 7, root).note.text().to_owned());
    let [first, second] = texts.map(|text| Checkpoint::parse(&text).expect("a checkpoint"));
    assert!(first.forks_from(&second));
    assert_eq!(refusal(ask(&forged(&platform, 0, 3, 1))), Some(Refusal::OtherSize(7)));
    assert!(matches!(refusal(ask(&forged(&platform, 7, 9, 1))), Some(Refusal::BadProof(_))));
    assert_eq!(seen.get(), mark, "nothing that was refused is remembered");
    let note = |size: u64, root: u8| forged(&platform, 7, size, root).note.to_text();
    let kept = evidence.0.lock().expect("nobody has it").clone();
    assert_eq!(
        kept,
        (Some(note(7, 1)), vec![[note(7, 1), note(7, 2)]]),
        "and a proof that does not hold is none"
    );
    assert!(ask(&forged(&platform, 7, 7, 1)).is_ok(), "the same again is cosigned again");
}

#[test]
fn a_witness_killed_anywhere_never_cosigns_two_trees() {
    for step in 1..12 {
        let platform = Platform::new();
        let tripwire = Arc::<Tripwire>::default();
        let (witness, _) = witness(&platform, 1, &tripwire);
        let mut cosigned = Vec::new();
        tripwire.set(step);
        for (old, size, root) in [(0, 7, 1), (0, 7, 2), (7, 7, 1), (7, 7, 2), (0, 9, 3)] {
            platform.site.clock.advance(TimeDelta::seconds(1));
            let request = forged(&platform, old, size, root);
            if now(witness.add_checkpoint(request.to_text().as_bytes())).is_ok() {
                cosigned.push((size, root));
            }
        }
        cosigned.dedup();
        assert!(cosigned.len() <= 1, "{step}: {cosigned:?}");
    }
}
