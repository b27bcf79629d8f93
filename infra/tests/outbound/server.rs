//! A server that answers every request with the same bytes, right or wrong.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it does with a request.
#[derive(Clone)]
enum Manner {
    /// Answers and closes the connection.
    Close(String),
    /// Answers and waits for the next.
    Keep(String),
    /// Says nothing.
    Silent,
    /// Speaks before it is spoken to, and closes the connection.
    Rude(String),
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn answering(answer: &str) -> Self {
        Self::start(Manner::Close(answer.to_owned())).await
    }

    pub(crate) async fn keeping(answer: &str) -> Self {
        Self::start(Manner::Keep(answer.to_owned())).await
    }

    pub(crate) async fn silent() -> Self {
        Self::start(Manner::Silent).await
    }

    pub(crate) async fn rude(words: &str) -> Self {
        Self::start(Manner::Rude(words.to_owned())).await
    }

    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (requests, count) = (Arc::clone(&heard), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(socket, manner.clone(), Arc::clone(&requests)));
            }
        });
        Self { url: format!("http://{address}"), address, heard, connections, task }
    }

    /// Requests, whole.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, manner: Manner, heard: Arc<Mutex<Vec<String>>>) {
    if let Manner::Rude(words) = &manner {
        let _ = socket.write_all(words.as_bytes()).await;
        return;
    }
    loop {
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut chunk = [0; 4_096];
            match socket.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(length) => request.extend_from_slice(&chunk[..length]),
            }
        }
        heard.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
        match &manner {
            Manner::Close(answer) => {
                let _ = socket.write_all(answer.as_bytes()).await;
                return;
            }
            Manner::Keep(answer) => {
                let _ = socket.write_all(answer.as_bytes()).await;
            }
            Manner::Silent | Manner::Rude(_) => {}
        }
    }
}

/// Whether a request is all there; these have a length or no body.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    request.len() >= end + 4 + length.unwrap_or_default()
}

/// An address that nobody listens on any more.
pub(crate) async fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address")
}
