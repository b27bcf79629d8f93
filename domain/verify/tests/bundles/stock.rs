//! The first checks, by the tools that everybody has, as VERIFY.txt tells them.

use std::process::Command;

use report_bundle::{cms::ContentInfo, names};

use super::kit::{Bundle, Folder, KeyKind, Maker, Pki, Seal, openssl};

/// The bundle unpacked, with the roots beside it.
fn unpacked(pki: &Pki, bundle: &Bundle) -> Folder {
    let folder = Folder::new();
    bundle.files().files.iter().for_each(|(name, bytes)| folder.write(&format!("bundle/{name}"), bytes));
    for root in ["root.pem", "tsa-root.pem"] {
        folder.write(root, pki.folder.read(root));
    }
    folder
}

fn cms(folder: &Folder, attime: &str) -> (bool, String) {
    openssl(
        &folder.path().join("bundle"),
        &format!(
            "cms -verify -cades -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS -CAfile ../root.pem -no-CApath \
             -no-CAstore {attime} -out /dev/null"
        ),
    )
}

fn ts(folder: &Folder) -> (bool, String) {
    openssl(
        &folder.path().join("bundle"),
        "ts -verify -data SHA256SUMS.p7s -in SHA256SUMS.tsr -CAfile ../tsa-root.pem",
    )
}

/// Step 1 of VERIFY.txt, run as it stands there.
fn sums(folder: &Folder) -> bool {
    let text = String::from_utf8(folder.read("bundle/VERIFY.txt")).expect("UTF-8");
    let from = text.find("    sha256sum").expect("the first command");
    let to = text.find("\n2.").expect("the second step");
    let script = format!("set -e\n{}", &text[from..to]);
    let run = Command::new("bash").args(["-c", &script]).current_dir(folder.path().join("bundle")).output();
    let run = run.expect("bash is installed");
    let quiet =
        run.stdout.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.ends_with(b": OK"));
    run.status.success() && quiet
}

#[test]
fn openssl_and_coreutils_take_a_bundle_and_refuse_another() {
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let pki = Pki::new(kind);
        let bundle = Maker::new().make(&pki, Seal::Stamped);
        let folder = unpacked(&pki, &bundle);
        let (taken, said) = cms(&folder, "");
        assert!(taken, "{said}");
        let (taken, said) = ts(&folder);
        assert!(taken, "{said}");
        assert!(sums(&folder));
        // 2099: the certificate has expired, and the time of the timestamp is what makes it good.
        assert!(!cms(&folder, "-attime 4070908800").0);

        for extra in ["extra", "SHA256SUMS.txt", "heads/SHA256SUMS"] {
            folder.write(&format!("bundle/{extra}"), b"x");
            assert!(!sums(&folder), "a file that is not listed: {extra}");
            std::fs::remove_file(folder.path().join("bundle").join(extra)).expect("removed");
        }
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("bundle/extra")).expect("a link");
        assert!(!sums(&folder), "a link");
        std::fs::remove_file(folder.path().join("bundle/extra")).expect("removed");
        let report = folder.read("bundle/report.csv");
        folder.write("bundle/report.csv", [&report[..], b"\r\n"].concat());
        assert!(!sums(&folder), "another report");
        folder.write("bundle/report.csv", &report);
        let listed = folder.read("bundle/SHA256SUMS");
        folder.write("bundle/SHA256SUMS", &listed[..listed.len() - 1]);
        assert!(!cms(&folder, "").0, "other sums");
        folder.write("bundle/SHA256SUMS", &listed);
        let signature = folder.read("bundle/SHA256SUMS.p7s");
        folder.write("bundle/SHA256SUMS.p7s", [&signature[..], b"\0"].concat());
        assert!(!ts(&folder).0, "another signature");
    }
}

#[test]
fn what_the_machine_trusts_for_other_things_is_not_enough() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Signed);
    let folder = unpacked(&pki, &bundle);
    // The root that was given is another; the signer's lies where openssl looks by itself.
    folder.write("system/root.pem", pki.folder.read("root.pem"));
    let (done, said) = openssl(folder.path(), "rehash system");
    assert!(done, "{said}");
    folder.write("root.pem", pki.folder.read("tsa-root.pem"));
    let verify = |options: &str| {
        let command = format!(
            "openssl cms -verify -cades -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS -CAfile \
             ../root.pem {options} -out /dev/null"
        );
        let mut run = Command::new("bash");
        run.args(["-c", &command])
            .current_dir(folder.path().join("bundle"))
            .env("SSL_CERT_DIR", folder.path().join("system"));
        run.output().expect("bash is installed").status.success()
    };
    assert!(verify(""), "without the options openssl takes it");
    let text = String::from_utf8(folder.read("bundle/VERIFY.txt")).expect("UTF-8");
    let options = "-no-CApath -no-CAstore";
    assert!(text.contains(options) && !verify(options));
}

#[test]
fn a_signature_made_by_stock_openssl_is_read_as_ours() {
    let pki = Pki::new(KeyKind::P256);
    pki.folder.write("content", b"x\r\ny\n");
    let (done, said) = openssl(
        pki.folder.path(),
        "cms -sign -cades -binary -nosmimecap -md sha256 -in content -signer signer.pem -inkey signer.key -outform DER -out \
         content.p7s",
    );
    assert!(done, "{said}");
    let info = ContentInfo::parse(names::SIGNATURE, &pki.folder.read("content.p7s")).expect("the one form");
    assert_eq!(info.content.signers.len(), 1);
}
