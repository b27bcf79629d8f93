//! What holds of every key that signs reports and is somewhere else: stock openssl takes what it signed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use domain::{compliance::ports::ReportBinder as _, kernel::ids::IdSource as _};
use infra::{
    bundles::{Bundles, PublicKey, ReportKey, ReportKeyFault, ReportSigner},
    object_store::NoObjects,
    system::System,
};

/// A `SubjectPublicKeyInfo` of a key on P-256, up to its point.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn openssl(folder: &Path, arguments: &str) -> bool {
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let run = Command::new("openssl").args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    run.status.success()
}

/// A certificate for a key whose private half nobody gives out.
fn certificate(folder: &Path, key: PublicKey) -> PathBuf {
    let info = match key {
        PublicKey::Info(info) => info,
        PublicKey::Point(point) => [P256_INFO.as_slice(), &point].concat(),
    };
    std::fs::write(folder.join("key.der"), info).unwrap();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    std::fs::write(
        folder.join("usage"),
        "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n",
    )
    .unwrap();
    for arguments in [
        &format!(
            "req -x509 {new} -keyout root.key -out root.pem -subj /CN=root -days 30 -addext \
             keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE"
        ),
        "pkey -pubin -inform DER -in key.der -out key.pem",
        &format!("req -new {new} -keyout other.key -out request.csr -subj /CN=reports"),
        "x509 -req -in request.csr -force_pubkey key.pem -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile usage \
         -out signer.pem",
        "x509 -req -in request.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile usage -out other.pem",
    ] {
        assert!(openssl(folder, arguments), "openssl {arguments}");
    }
    folder.join("signer.pem")
}

/// Signs with it, and has openssl check that.
pub(crate) async fn holds(signer: Arc<dyn ReportSigner>, another_is_made: impl AsyncFnOnce()) {
    let folder = std::env::temp_dir().join(format!("report-key-{}", System.next_uuid().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = certificate(&folder, signer.public_keys().await.unwrap().remove(0));
    let other = ReportKey::elsewhere(Arc::clone(&signer), &folder.join("other.pem")).await.unwrap_err();
    assert!(matches!(other, ReportKeyFault::Unfit { .. }), "{other}");
    let bundles = Bundles {
        objects: Arc::new(NoObjects),
        scratch: folder.clone(),
        can_sign: true,
        key: Some(Arc::new(ReportKey::elsewhere(signer, &path).await.unwrap())),
        authority: None,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        ids: Arc::new(System),
    };
    // Whose certificate is still to come.
    another_is_made().await;
    for content in ["a list of files\n", ""] {
        let signature = bundles.sign(content.as_bytes()).await.unwrap();
        std::fs::write(folder.join("content"), content).unwrap();
        std::fs::write(folder.join("content.p7s"), signature).unwrap();
        let verify = "cms -verify -cades -binary -inform DER -in content.p7s -content content -CAfile root.pem -out out";
        assert!(openssl(&folder, verify), "{content:?}");
        std::fs::write(folder.join("content"), "another").unwrap();
        assert!(!openssl(&folder, verify), "another content is refused");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
