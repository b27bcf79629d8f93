//! Just enough of the Redis protocol (RESP2, redis.io "Redis serialization protocol specification", read 2026-11) to
//! ask a server whether it is up and to tidy up after a test. The product itself speaks through `infra`.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use url::Url;

use super::error::StoreError;

/// Longest bulk text accepted, in bytes: no answer we ask for is near it.
const BULK_MAX_BYTES: usize = 1 << 20;

/// One connection, one command at a time.
#[derive(Debug)]
pub struct RespConnection {
    stream: BufReader<TcpStream>,
}

/// An answer that is neither an error nor a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RespReply {
    /// A simple or bulk string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// No value.
    Nil,
}

impl RespConnection {
    /// Connects to `redis://[user]:password@host:port/database`, signs in and selects the database.
    ///
    /// # Errors
    /// `Unusable` for a URL of another kind (TLS and socket URLs among them), `Refused`, `Io`.
    pub async fn open(url: &Url) -> Result<Self, StoreError> {
        let unusable = |role| StoreError::Unusable { what: "a Redis URL".into(), role };
        let host = url.host_str().filter(|_| url.scheme() == "redis");
        let host = host.ok_or_else(|| unusable("a plain TCP address of Redis"))?;
        let stream = TcpStream::connect((host, url.port().unwrap_or(6379))).await.map_err(lost)?;
        let mut connection = Self { stream: BufReader::new(stream) };
        match (url.username(), url.password()) {
            (_, None) => {}
            ("", Some(password)) => drop(connection.call(&["AUTH", password]).await?),
            (user, Some(password)) => drop(connection.call(&["AUTH", user, password]).await?),
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database != "0" {
            connection.call(&["SELECT", database]).await?;
        }
        Ok(connection)
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    /// `Refused` with the server's error, `Io` when the connection broke or the answer is of no kind known here.
    pub async fn call(&mut self, words: &[&str]) -> Result<RespReply, StoreError> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a string cannot fail.
            let _ = write!(request, "${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(request.as_bytes()).await.map_err(lost)?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<RespReply, StoreError> {
        let mut line = String::new();
        // Limited like a bulk, or a stranger on the port could have us read for ever.
        (&mut self.stream).take(64 * 1024).read_line(&mut line).await.map_err(lost)?;
        let line = line.strip_suffix("\r\n").ok_or_else(|| strange("an unfinished line"))?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| strange("something that is not a number"));
        match line.split_at_checked(1) {
            Some(("+", text)) => Ok(RespReply::Text(text.to_owned())),
            Some(("-", text)) => Err(StoreError::Refused { store: "redis", source: text.into() }),
            Some((":", text)) => Ok(RespReply::Integer(number(text)?)),
            Some(("$", "-1")) => Ok(RespReply::Nil),
            Some(("$", text)) => {
                let size = usize::try_from(number(text)?).ok().filter(|size| *size <= BULK_MAX_BYTES);
                self.bulk(size.ok_or_else(|| strange("a text of an impossible size"))?).await
            }
            _ => Err(strange("an answer of an unknown kind")),
        }
    }

    async fn bulk(&mut self, size: usize) -> Result<RespReply, StoreError> {
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes).await.map_err(lost)?;
        bytes.truncate(size);
        String::from_utf8(bytes).map(RespReply::Text).map_err(|_| strange("a text that is not UTF-8"))
    }
}

fn lost(source: io::Error) -> StoreError {
    StoreError::Io { what: "speak to redis".into(), source }
}

fn strange(what: &str) -> StoreError {
    lost(io::Error::new(io::ErrorKind::InvalidData, format!("it sent {what}")))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What `PING` comes to when the other side sends `answer` and hangs up.
    async fn answered(answer: &'static [u8]) -> Result<RespReply, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = format!("redis://{}/0", listener.local_addr().expect("its address"));
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 14];
            peer.read_exact(&mut request).await.expect("a request");
            assert_eq!(&request, b"*1\r\n$4\r\nPING\r\n");
            peer.write_all(answer).await.expect("an answer sent");
        });
        let mut connection =
            RespConnection::open(&Url::parse(&url).expect("a URL")).await.expect("a connection");
        let reply = connection.call(&["PING"]).await.map_err(|error| error.to_string());
        server.await.expect("the other side");
        reply
    }

    #[tokio::test]
    async fn answers_are_read_and_nonsense_is_refused() {
        assert_eq!(answered(b"+PONG\r\n").await, Ok(RespReply::Text("PONG".into())));
        assert_eq!(answered(b"$4\r\na\r\nb\r\n").await, Ok(RespReply::Text("a\r\nb".into())));
        assert_eq!(answered(b":-3\r\n").await, Ok(RespReply::Integer(-3)));
        assert_eq!(answered(b"$-1\r\n").await, Ok(RespReply::Nil));
        assert_eq!(answered(b"-NOAUTH sign in\r\n").await, Err("redis refused: NOAUTH sign in".into()));
        for nonsense in [
            &b""[..],
            b"\r\n",
            b"+PO",
            b":x\r\n",
            b"$99999999999\r\n",
            b"$-2\r\n",
            b"$9\r\nabc",
            b"HTTP/1.1\r\n",
        ] {
            let reply = answered(nonsense).await;
            assert!(
                reply.as_ref().is_err_and(|error| error.starts_with("could not speak to redis")),
                "{reply:?}"
            );
        }
    }

    #[tokio::test]
    async fn urls_of_another_kind_are_refused() {
        for text in ["rediss://127.0.0.1:1/0", "unix:///tmp/redis.sock", "http://127.0.0.1:1/"] {
            let url = Url::parse(text).expect("a URL");
            assert!(matches!(RespConnection::open(&url).await, Err(StoreError::Unusable { .. })), "{text}");
        }
    }
}
