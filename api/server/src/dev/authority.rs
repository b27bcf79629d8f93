//! A certificate authority of this directory's own, by openssl, so that reports can be signed where things are tried out.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::wiring::StartupError;

/// The folder in which everything is.
const FOLDER: &str = "authority";

/// The root that auditors are given.
pub(crate) fn root(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join("root.pem")
}

/// The key and the certificate that reports are signed with, made when they are not there; `None` on a machine without
/// openssl, which then makes no reports.
pub(super) async fn ensure(dir: &Path) -> Result<Option<(PathBuf, PathBuf)>, StartupError> {
    const NEW: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let folder = dir.join(FOLDER);
    let (key, certificate) = (folder.join("reports.key"), folder.join("reports.pem"));
    if certificate.exists() {
        return Ok(Some((key, certificate)));
    }
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().await.is_err() {
        return Ok(None);
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
    std::fs::write(
        folder.join("usage"),
        "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n",
    )?;
    let openssl = async |arguments: String| -> Result<(), StartupError> {
        let words = arguments.split(' ').filter(|word| !word.is_empty());
        let run =
            Command::new("openssl").args(words).current_dir(&folder).stdin(Stdio::null()).output().await?;
        if run.status.success() {
            return Ok(());
        }
        Err(format!("openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr)).into())
    };
    openssl(format!(
        "req -x509 {NEW} -keyout root.key -out root.pem -subj /CN=Matricula-on-this-machine -days 3650 -addext \
         keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE"
    ))
    .await?;
    openssl(format!("req -new {NEW} -keyout reports.key -out reports.csr -subj /CN=Reports")).await?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    // Last, for where it is everything is.
    openssl(
        "x509 -req -in reports.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 -extfile usage -out reports.pem"
            .to_owned(),
    )
    .await?;
    Ok(Some((key, certificate)))
}
