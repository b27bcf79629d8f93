//! Authorities by openssl: one that issues the certificate reports are signed with, and one that stamps them over HTTP. Keys
//! are made for each test and thrown away.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};

use crate::stores::HarnessError;

/// Both authorities, in a folder: `root.pem` has issued `signer.pem`, `tsa-root.pem` the stamping one's.
#[derive(Debug)]
pub struct Authorities {
    folder: PathBuf,
    url: String,
    answering: JoinHandle<()>,
}

/// Longest request that is read.
const REQUEST_MAX_BYTES: usize = 64 * 1024;

async fn openssl(folder: &Path, arguments: &str) -> Result<(), HarnessError> {
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let run = Command::new("openssl").args(words).current_dir(folder).stdin(Stdio::null()).output().await?;
    if run.status.success() {
        return Ok(());
    }
    Err(format!("openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr)).into())
}

async fn issue(folder: &Path, name: &str, usage: &str) -> Result<(), HarnessError> {
    const NEW: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let root = if name == "tsa" { "tsa-root" } else { "root" };
    openssl(
        folder,
        &format!(
            "req -x509 {NEW} -keyout {root}.key -out {root}.pem -subj /CN={root} -days 30 -addext \
             keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE"
        ),
    )
    .await?;
    std::fs::write(folder.join("usage"), usage)?;
    openssl(folder, &format!("req -new {NEW} -keyout {name}.key -out {name}.csr -subj /O=Example/CN={name}"))
        .await?;
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {root}.pem -CAkey {root}.key -CAcreateserial -days 30 -extfile usage -out \
             {name}.pem"
        ),
    )
    .await
}

impl Authorities {
    /// Makes them in `folder`, and has the stamping one answer.
    ///
    /// # Errors
    /// openssl is not there, or refuses.
    pub async fn start(folder: PathBuf) -> Result<Self, HarnessError> {
        std::fs::create_dir_all(&folder)?;
        let usage = "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n";
        issue(&folder, "signer", usage).await?;
        issue(&folder, "tsa", &format!("{usage}extendedKeyUsage=critical,timeStamping\n")).await?;
        std::fs::set_permissions(folder.join("signer.key"), std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(folder.join("serial"), "01\n")?;
        std::fs::write(
            folder.join("tsa.cnf"),
            "[tsa]\ndefault_tsa=it\n[it]\nserial=serial\nsigner_cert=tsa.pem\ncerts=tsa.pem\nsigner_key=tsa.key\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\naccuracy=secs:1\n",
        )?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let place = folder.clone();
        let answering = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who asks hears nothing then, as of an authority that is away.
                let _unanswered = stamp(stream, &place).await;
            }
        });
        Ok(Self { folder, url, answering })
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the stamping one answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings under which reports are signed and stamped.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let path = |name: &str| self.file(name).to_string_lossy().into_owned();
        [
            ("MATRICULA_REPORTS_KEY", path("signer.key")),
            ("MATRICULA_REPORTS_CERTIFICATES", path("signer.pem")),
            ("MATRICULA_REPORTS_AUTHORITY", self.url.clone()),
        ]
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        self.answering.abort();
        // What is left goes with the machine's other temporary files.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// Answers one request (RFC 3161 section 3.4).
async fn stamp(mut stream: TcpStream, folder: &Path) -> Result<(), HarnessError> {
    let mut request = Vec::new();
    let (head, length) = loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            break (end + 4, length.unwrap_or("0").trim().parse::<usize>()?);
        }
        if stream.read_buf(&mut request).await? == 0 || request.len() > REQUEST_MAX_BYTES {
            return Err("no request".into());
        }
    };
    while request.len() < head + length {
        if stream.read_buf(&mut request).await? == 0 {
            return Err("half a request".into());
        }
    }
    if !String::from_utf8_lossy(&request).contains("application/timestamp-query") {
        return Err("another media type".into());
    }
    std::fs::write(folder.join("request"), request.get(head..head + length).unwrap_or_default())?;
    openssl(folder, "ts -reply -config tsa.cnf -queryfile request -out answer").await?;
    let answer = std::fs::read(folder.join("answer"))?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&answer).await?;
    Ok(stream.shutdown().await?)
}
