//! Where the platform sends its news: whatever comes is shown to the adapter, and a challenge is answered as it says.

use std::sync::{Arc, Mutex};

use domain::accounts::{
    model::AppCredentials,
    ports::{Authorizer, PlatformNews},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

/// What came, as the adapter understood it.
pub(crate) type Understood = Option<PlatformNews>;

pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) news: UnboundedReceiver<Understood>,
    /// The last message whole: signature and body.
    pub(crate) last: Arc<Mutex<(String, Vec<u8>)>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(authorizer: Arc<dyn Authorizer>, app: AppCredentials) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/news", listener.local_addr().expect("an address"));
        let (sender, news) = unbounded_channel();
        let last = Arc::new(Mutex::new((String::new(), Vec::new())));
        let heard = Arc::clone(&last);
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut socket, _)) = listener.accept().await else { return };
                let (signature, body) = read(&mut socket, authorizer.signature_header()).await;
                let understood = authorizer.news(&app, &signature, &body);
                *heard.lock().unwrap() = (signature, body);
                answer(&mut socket, &understood, &sender).await;
            }
        });
        Self { url, news, last, task }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The signature and the body of a request.
async fn read(socket: &mut TcpStream, signature_header: &str) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let length = socket.read(&mut chunk).await.expect("readable");
        bytes.extend_from_slice(&chunk[..length]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let header = |name: &str| {
            let pairs = head.lines().filter_map(|line| line.split_once(": "));
            pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let wanted: usize = header("content-length").expect("a length").parse().expect("a number");
        if bytes.len() >= end + 4 + wanted {
            return (header(signature_header).unwrap_or_default(), bytes[end + 4..].to_vec());
        }
        assert!(length > 0, "the request ends early");
    }
}

async fn answer(socket: &mut TcpStream, understood: &Understood, sender: &UnboundedSender<Understood>) {
    let (status, body) = match understood {
        Some(PlatformNews::Challenge(body)) => ("200 OK", body.as_str()),
        Some(_) => ("200 OK", "{}"),
        None => ("401 Unauthorized", "{}"),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    socket.write_all(text.as_bytes()).await.expect("written");
    sender.send(understood.clone()).expect("somebody listens");
}
