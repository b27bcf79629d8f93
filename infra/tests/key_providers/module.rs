//! A PKCS #11 module: SoftHSM2, a token of this test's own. The module reads where its tokens are from the environment
//! when it is loaded, and keeps its state by process: so the checks run in a process of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::Attribute,
    session::{Session, UserType},
    types::AuthPin,
};
use domain::{
    compliance::{
        bundle::cms::{SignatureAlgorithm, SignatureRequest},
        log::note::{Note, VerifierKey, VerifierKind},
        ports::CheckpointSigner as _,
    },
    kernel::{fault::Retry, ids::Entropy as _},
};
use infra::{
    envelope::KeyProvider as _,
    pkcs11::{Pkcs11Settings, Pkcs11Token},
    system::System,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::contract::{self, CONTEXT};

const PIN: &str = "648219";
const TOKEN: &str = "matricula test";
/// Set for the process that has the token.
const CHILD: &str = "MATRICULA_TEST_TOKEN";

/// Where distributions put the module.
const PLACES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

fn library() -> PathBuf {
    let found = PLACES.iter().map(Path::new).find(|path| path.exists());
    found.expect("SoftHSM2 is needed: deploy/setup.sh installs it").to_owned()
}

#[test]
fn a_module_keeps_the_contract() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(with_a_token());
    }
    let name = Uuid::from_bytes(System.bytes32()[..16].try_into().unwrap());
    let home = std::env::temp_dir().join(format!("softhsm-{name}"));
    std::fs::create_dir_all(home.join("tokens")).unwrap();
    let config = home.join("softhsm2.conf");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", home.join("tokens").display());
    std::fs::write(&config, text).unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", &config)
        .args(["--init-token", "--free", "--label", TOKEN, "--so-pin", "12345678", "--pin", PIN])
        .output()
        .expect("softhsm2-util is needed: deploy/setup.sh installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let checked = Command::new(std::env::current_exe().unwrap())
        .env("SOFTHSM2_CONF", &config)
        .env(CHILD, "")
        .args(["--exact", "module::a_module_keeps_the_contract", "--nocapture"])
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains("1 passed"), "{said}");
    std::fs::remove_dir_all(&home).unwrap();
}

fn settings(label: &str) -> Pkcs11Settings {
    Pkcs11Settings {
        module: library(),
        token: TOKEN.to_owned(),
        pin: Zeroizing::new(PIN.to_owned()),
        key: label.to_owned(),
    }
}

fn make_key(session: &Session, label: &str, version: &[u8], extractable: bool) {
    make_key_of(session, label, version, extractable, 32);
}

fn make_key_of(session: &Session, label: &str, version: &[u8], extractable: bool, length: u64) {
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(extractable),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::ValueLen(length.into()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(version.to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

const ED25519: (Mechanism<'static>, &[u8]) = (Mechanism::EccEdwardsKeyPairGen, b"\x13\x0cedwards25519");
/// prime256v1, as an object identifier.
const P256: (Mechanism<'static>, &[u8]) =
    (Mechanism::EccKeyPairGen, &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);

/// Makes a key pair of a kind: how, and the parameters, which name the curve.
fn make_pair(session: &Session, kind: (Mechanism<'_>, &[u8]), label: &str, id: u8, extractable: bool) {
    let (mechanism, curve) = kind;
    let of_both =
        [Attribute::Token(true), Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(vec![id])];
    let public = [&of_both[..], &[Attribute::EcParams(curve.to_vec()), Attribute::Verify(true)]].concat();
    let hidden = [
        Attribute::Private(true),
        Attribute::Sensitive(!extractable),
        Attribute::Extractable(extractable),
        Attribute::Sign(true),
    ];
    let private = [&of_both[..], &hidden].concat();
    session.generate_key_pair(&mechanism, &public, &private).unwrap();
}

/// The platform's log is signed by the newest pair with the label, which can't be taken out.
async fn signs(session: &Session, provider: &Pkcs11Token) {
    let signer = provider.signer("log".to_owned());
    let absent = signer.public_key().await.unwrap_err();
    assert!(
        absent.source.to_string().contains("no key pair of the kind wanted with the label log"),
        "{:?}",
        absent.source
    );
    let text = "audit.matricula.example/platform\n";
    let mut keys = Vec::new();
    for id in [1, 2] {
        make_pair(session, ED25519, "log", id, false);
        let public = signer.public_key().await.unwrap();
        let key = VerifierKey::new("log", VerifierKind::Ed25519, &public).unwrap();
        let line = key.line(signer.sign(text.as_bytes()).await.unwrap().to_vec());
        let note = Note::with_signature(text.to_owned(), line).unwrap();
        assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap().len(), 1);
        keys.push(public);
    }
    assert_ne!(keys[0], keys[1], "the newest signs");
    make_pair(session, ED25519, "open log", 1, true);
    let open = provider.signer("open log".to_owned()).sign(b"x").await.unwrap_err();
    assert!(open.source.to_string().contains("could be taken out"), "{:?}", open.source);
}

/// Reports are signed by the pair on P-256 that the certificate is of, which can't be taken out.
async fn signs_reports(session: &Session, provider: &Pkcs11Token) {
    let make = |label: &str, id, extractable| make_pair(session, P256, label, id, extractable);
    let signer = provider.report_signer("reports".to_owned());
    assert!(infra::bundles::ReportSigner::public_keys(&signer).await.is_err(), "there is none yet");
    make("reports", 1, false);
    crate::report_keys::holds(Arc::new(signer), async || make("reports", 2, false)).await;
    make("open reports", 1, true);
    let open = provider.report_signer("open reports".to_owned());
    let by = infra::bundles::ReportSigner::public_keys(&open).await.unwrap().remove(0);
    let request =
        SignatureRequest { algorithm: SignatureAlgorithm::EcdsaP256Sha256, message: b"x", digest: [7; 32] };
    let error = infra::bundles::ReportSigner::sign(&open, request, &by).await.unwrap_err();
    assert!(error.source.to_string().contains("could be taken out"), "{:?}", error.source);
}

async fn refusal(settings: Pkcs11Settings) -> String {
    let error = Pkcs11Token::open(settings).await.unwrap_err();
    assert_eq!(error.retry, Retry::Useless, "{:?}", error.source);
    error.source.to_string()
}

async fn with_a_token() {
    let module = Pkcs11::new(library()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_rw_session(slot).unwrap();

    let wrong = Pkcs11Settings { pin: Zeroizing::new("000000".to_owned()), ..settings("root") };
    let said = refusal(wrong).await;
    assert!(!said.contains("000000") && !said.contains(PIN), "{said}");
    session.login(UserType::User, Some(&AuthPin::from(PIN))).unwrap();

    assert!(refusal(settings("root")).await.contains("no AES-256 key with the label root"));
    make_key(&session, "root", &[1], false);
    let provider = Arc::new(Pkcs11Token::open(settings("root")).await.unwrap());
    contract::holds(Arc::clone(&provider)).await;
    let old = provider.wrap(&CONTEXT, &[7; 32]).await.unwrap();

    make_key(&session, "root", &[2], false);
    let newer = Pkcs11Token::open(settings("root")).await.unwrap();
    let new = newer.wrap(&CONTEXT, &[8; 32]).await.unwrap();
    assert_eq!((&old[..5], &new[..5]), (&[1, 0, 0, 0, 1][..], &[1, 0, 0, 0, 2][..]), "the newest wraps");
    assert_eq!(*newer.unwrap(&CONTEXT, &old).await.unwrap(), [7; 32], "all unwrap");
    assert_eq!(*newer.unwrap(&CONTEXT, &new).await.unwrap(), [8; 32]);
    assert_eq!(*provider.unwrap(&CONTEXT, &new).await.unwrap(), [8; 32], "found without a restart");
    let mut unknown = new.clone();
    unknown[4] = 9;
    let unknown = provider.unwrap(&CONTEXT, &unknown).await.unwrap_err();
    assert!(unknown.source.to_string().contains("v9"), "{:?}", unknown.source);

    signs(&session, &provider).await;
    signs_reports(&session, &provider).await;
    let absent = Pkcs11Settings { token: "another".to_owned(), ..settings("root") };
    let absent = Pkcs11Token::open(absent).await.unwrap_err();
    assert_eq!(absent.retry, Retry::MayHelp, "{:?}", absent.source);
    let absent = Pkcs11Settings { module: "/nowhere.so".into(), ..settings("root") };
    assert!(!refusal(absent).await.is_empty());
    make_key(&session, "open", &[1], true);
    assert!(refusal(settings("open")).await.contains("could be taken out"));
    make_key(&session, "unnumbered", b"seven", false);
    assert!(refusal(settings("unnumbered")).await.contains("CKA_ID"));
    make_key(&session, "short", &[1], false);
    make_key_of(&session, "short", &[2], false, 16);
    assert!(refusal(settings("short")).await.contains("key 2 has 16 bytes"));
    make_key(&session, "twice", &[3], false);
    make_key(&session, "twice", &[3], false);
    assert!(refusal(settings("twice")).await.contains("version 3"));
}
