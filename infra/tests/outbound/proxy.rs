//! An HTTP proxy: forwards what names its target whole, and opens tunnels.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) struct HttpProxy {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl HttpProxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&lines)));
            }
        });
        Self { url, seen, task }
    }

    /// The first lines of requests.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection: the first request says where to, the rest goes there as it is.
async fn serve(mut client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(line.clone());
    let target = line.split(' ').nth(1).unwrap_or_default();
    let tunnel = line.starts_with("CONNECT ");
    let authority = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let Ok(mut server) = TcpStream::connect(authority).await else {
        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
        return;
    };
    if tunnel {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    } else {
        // To a server, a request names the path alone.
        let path = target.trim_start_matches("http://").trim_start_matches(authority);
        let _ = server.write_all(head.replacen(target, path, 1).as_bytes()).await;
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
