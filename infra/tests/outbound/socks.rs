//! A SOCKS5 proxy (RFC 1928) that takes down the names it is asked for, and leads to one address whatever they are.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) struct SocksProxy {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl SocksProxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("socks5://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let names = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, target, Arc::clone(&names)));
            }
        });
        Self { url, asked, task }
    }

    /// Names and ports asked for; an address in numbers is told as such.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    // Version and methods; none is wanted.
    let _version = client.read_u8().await?;
    let methods = client.read_u8().await?;
    client.read_exact(&mut vec![0; usize::from(methods)]).await?;
    client.write_all(&[5, 0]).await?;
    // Version, connect, reserved, kind of address.
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let name = if head[3] == 3 {
        let length = client.read_u8().await?;
        let mut name = vec![0; usize::from(length)];
        client.read_exact(&mut name).await?;
        String::from_utf8_lossy(&name).into_owned()
    } else {
        client.read_exact(&mut vec![0; if head[3] == 1 { 4 } else { 16 }]).await?;
        "an address".to_owned()
    };
    let port = client.read_u16().await?;
    asked.lock().unwrap().push(format!("{name}:{port}"));
    let mut server = TcpStream::connect(target).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
