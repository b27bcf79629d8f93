//! A certificate authority and a time-stamping authority, by openssl. Keys are made for each run and thrown away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use report_bundle::{
    cms::{RawSigner, SignatureAlgorithm, SignatureRequest},
    writer::Timestamper,
};

/// A folder that goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("matricula-verify-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).expect("readable")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs openssl in a folder. Whether it succeeded, and what it printed on both.
pub(crate) fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let run = Command::new("openssl").args(words).current_dir(folder).stdin(Stdio::null()).output();
    let run = run.expect("openssl is installed");
    let said = [run.stdout, run.stderr].concat();
    (run.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    P256,
}

impl KeyKind {
    fn new_key(self) -> &'static str {
        match self {
            Self::Rsa => "-newkey rsa:2048",
            Self::P256 => "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
        }
    }
}

/// `root.pem` has issued `signer.pem`; `tsa-root.pem` has issued `tsa.pem`.
pub(crate) struct Pki {
    pub(crate) folder: Folder,
    kind: KeyKind,
    certificates: Vec<Vec<u8>>,
}

pub(crate) const SIGNER_USAGE: &str =
    "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n";
pub(crate) const TSA_USAGE: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nbasicConstraints=critical,CA:FALSE\n";

impl Pki {
    pub(crate) fn new(kind: KeyKind) -> Self {
        Self::with(kind, SIGNER_USAGE, TSA_USAGE)
    }

    /// Certificates whose extensions say this.
    pub(crate) fn with(kind: KeyKind, signer: &str, tsa: &str) -> Self {
        let mut pki = Self { folder: Folder::new(), kind, certificates: Vec::new() };
        pki.root("root");
        pki.root("tsa-root");
        pki.issue("signer", "root", signer);
        pki.issue("tsa", "tsa-root", tsa);
        pki.folder.write("serial", "01\n");
        pki.folder.write(
            "tsa.cnf",
            "[tsa]\ndefault_tsa=it\n[it]\nserial=serial\nsigner_cert=tsa.pem\ncerts=tsa.pem\nsigner_key=tsa.key\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\naccuracy=secs:1\nordering=no\n\
             tsa_name=yes\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n",
        );
        pki.certificates = vec![pki.folder.read("signer.der")];
        pki
    }

    fn run(&self, arguments: &str) {
        let (done, said) = openssl(self.folder.path(), arguments);
        assert!(done, "openssl {arguments}: {said}");
    }

    pub(crate) fn root(&self, name: &str) {
        let new_key = self.kind.new_key();
        self.run(&format!(
            "req -x509 {new_key} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 3650 -addext \
             keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE"
        ));
    }

    pub(crate) fn issue(&self, name: &str, issuer: &str, extensions: &str) {
        let new_key = self.kind.new_key();
        self.folder.write("ext.cnf", extensions);
        self.run(&format!(
            "req -new {new_key} -nodes -keyout {name}.key -out {name}.csr -subj /O=Example/CN={name}"
        ));
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 30 -extfile ext.cnf \
             -out {name}.pem"
        ));
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
    }

    /// The signer's certificate comes from another issuer, whose own rides along.
    pub(crate) fn reissue_signer(&mut self, issuer: &str) {
        self.issue("signer", issuer, SIGNER_USAGE);
        self.certificates = vec![self.folder.read("signer.der")];
        self.add_certificate(issuer);
    }

    /// The certificate comes anew from its issuer, for the same key, in the way that openssl's `ca` is told.
    pub(crate) fn certify(&mut self, name: &str, issuer: &str, (extensions, how): (&str, &str)) {
        self.folder.write("ext.cnf", extensions);
        self.folder.write("index", "");
        self.folder.write(
            "ca.cnf",
            "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nnew_certs_dir=.\ndefault_days=30\ndefault_md=sha256\npolicy=any\n\
             rand_serial=yes\n[any]\norganizationName=supplied\ncommonName=supplied\n",
        );
        self.run(&format!(
            "ca -batch -notext -config ca.cnf -in {name}.csr -cert {issuer}.pem -keyfile {issuer}.key -extfile ext.cnf {how} \
             -out {name}.pem"
        ));
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        self.certificates = vec![self.folder.read("signer.der")];
    }

    /// Others may ride along with the signer's certificate.
    pub(crate) fn add_certificate(&mut self, name: &str) {
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        self.certificates.push(self.folder.read(&format!("{name}.der")));
    }
}

impl RawSigner for Pki {
    fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            KeyKind::Rsa => SignatureAlgorithm::RsaSha256,
            KeyKind::P256 => SignatureAlgorithm::EcdsaP256Sha256,
        }
    }

    fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    fn sign(
        &self,
        request: SignatureRequest<'_>,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let here = Folder::new();
        here.write("message", request.message);
        let key = self.folder.path().join("signer.key");
        let (done, said) =
            openssl(here.path(), &format!("dgst -sha256 -sign {} -out signature message", key.display()));
        if done { Ok(here.read("signature")) } else { Err(said.into()) }
    }
}

impl Timestamper for Pki {
    fn nonce(&self) -> u64 {
        0x00ff_1234_5678_9abc
    }

    fn stamp(&self, request: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.folder.write("request.tsq", request);
        let (done, said) =
            openssl(self.folder.path(), "ts -reply -config tsa.cnf -queryfile request.tsq -out answer.tsr");
        if done { Ok(self.folder.read("answer.tsr")) } else { Err(said.into()) }
    }
}
