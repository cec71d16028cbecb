//! A server in front of another that does to its callers what networks and broken servers do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to those who call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing: they reach the other server.
    None,
    /// The connection is refused.
    Down,
    /// It is taken, and no answer comes.
    Slow,
    /// Nothing passes any more, on connections that are open neither: the network is gone and nobody says so.
    Frozen,
    /// The page of somebody else answers.
    Garbage,
    /// JSON answers that means nothing here.
    Nonsense,
    /// 200, and no body.
    Blank,
    /// Somebody answers who does not speak HTTP.
    Stranger,
    /// The answer ends in its middle.
    Cut,
    /// The answer stops in its middle, and no more comes.
    Stalled,
    /// The request arrives under a path that nobody serves: the URL is wrong.
    Astray,
    /// The answer is 429.
    Busy,
}

const PAGE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n<html>Welcome</html>";
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{\"hello\":\"there\"}";
const NO_BODY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NO_HTTP: &str = "220 mail.example.com ESMTP ready\r\n";
const TOO_MANY: &str =
    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo many\n";

/// The fault to be in effect and its number; the same of the one that is.
type State = (Fault, u64);

/// The server in front. It keeps its port whatever happens, and goes with this value.
pub(super) struct Proxy {
    port: u16,
    upstream: Arc<Mutex<SocketAddr>>,
    wanted: watch::Sender<State>,
    applied: watch::Receiver<State>,
    task: AbortHandle,
}

impl Proxy {
    /// In front of a server at `http://host:port`.
    pub(super) fn before(url: &str) -> Self {
        Self::before_address(url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap())
    }

    /// In front of a server at an address.
    pub(super) fn before_address(upstream: SocketAddr) -> Self {
        let socket = bind(0).unwrap();
        let port = socket.local_addr().unwrap().port();
        let upstream = Arc::new(Mutex::new(upstream));
        let (wanted, wishes) = watch::channel((Fault::None, 0));
        let (done, applied) = watch::channel((Fault::Down, 0));
        let task = tokio::spawn(run(socket, port, Arc::clone(&upstream), wishes, done)).abort_handle();
        Self { port, upstream, wanted, applied, task }
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The other server has moved.
    pub(super) fn moved(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap() = upstream;
    }

    /// Lets this happen from now on; open connections end.
    pub(super) async fn set(&self, fault: Fault) {
        let number = self.wanted.borrow().1;
        let state = (fault, number + 1);
        self.wanted.send_replace(state);
        self.applied.clone().wait_for(|applied| *applied == state).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket that holds a port and does not listen yet: who calls is refused.
fn bind(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

/// The same of a port that was listened on: a process that is just being started by another test holds on to it for as
/// long as it takes to become that process.
async fn bind_again(port: u16) -> TcpSocket {
    for _ in 0..500 {
        match bind(port) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            bound => return bound.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("somebody else listens on port {port}");
}

async fn run(
    mut socket: TcpSocket,
    port: u16,
    upstream: Arc<Mutex<SocketAddr>>,
    mut wishes: watch::Receiver<State>,
    done: watch::Sender<State>,
) {
    loop {
        let state = *wishes.borrow_and_update();
        if state.0 == Fault::Down {
            done.send_replace(state);
            wishes.changed().await.unwrap();
            continue;
        }
        let listener = socket.listen(1_024).unwrap();
        done.send_replace(state);
        take(&listener, state.0, &upstream, &mut wishes, &done).await;
        drop(listener);
        socket = bind_again(port).await;
    }
}

/// Takes connections until another fault is wanted that ends them.
async fn take(
    listener: &TcpListener,
    mut fault: Fault,
    upstream: &Mutex<SocketAddr>,
    wishes: &mut watch::Receiver<State>,
    done: &watch::Sender<State>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            changed = wishes.changed() => {
                changed.unwrap();
                let state = *wishes.borrow();
                if state.0 != Fault::Frozen {
                    return;
                }
                fault = state.0;
                done.send_replace(state);
            }
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let upstream = *upstream.lock().unwrap();
                let wishes = wishes.clone();
                // Whoever hangs up is no fault of this server.
                connections.spawn(async move { drop(serve(client, upstream, fault, wishes).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: SocketAddr,
    fault: Fault,
    mut wishes: watch::Receiver<State>,
) -> std::io::Result<()> {
    let say = match fault {
        Fault::None => {
            let mut there = TcpStream::connect(upstream).await?;
            tokio::select! {
                copied = copy_bidirectional(&mut client, &mut there) => return copied.map(drop),
                _ = wishes.wait_for(|state| state.0 == Fault::Frozen) => {}
            }
            // Both ends stay open.
            return std::future::pending().await;
        }
        Fault::Down | Fault::Slow | Fault::Frozen => return std::future::pending().await,
        Fault::Stranger => return client.write_all(NO_HTTP.as_bytes()).await,
        Fault::Garbage => PAGE,
        Fault::Nonsense => JSON,
        Fault::Blank => NO_BODY,
        Fault::Busy => TOO_MANY,
        Fault::Cut | Fault::Stalled => {
            let mut answer = relay(read_request(&mut client).await?, upstream).await?;
            let head = end_of_head(&answer).unwrap_or(0);
            answer.truncate(head + (answer.len() - head) / 2);
            client.write_all(&answer).await?;
            return if fault == Fault::Cut { Ok(()) } else { std::future::pending().await };
        }
        Fault::Astray => {
            let request = read_request(&mut client).await?;
            let path = request.iter().position(|byte| *byte == b'/').unwrap();
            let request = [&request[..path], b"/astray", &request[path..]].concat();
            let answer = relay(request, upstream).await?;
            return client.write_all(&answer).await;
        }
    };
    read_request(&mut client).await?;
    client.write_all(say.as_bytes()).await
}

fn end_of_head(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)
}

/// One whole request whose body has a length.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut whole = usize::MAX;
    while request.len() < whole {
        if client.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(head) = end_of_head(&request) {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            whole = head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
        }
    }
    Ok(request)
}

/// Sends one request on and reads the whole answer.
async fn relay(request: Vec<u8>, upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let head = end_of_head(&request).unwrap_or(request.len());
    let request = [&request[..head - 2], b"connection: close\r\n\r\n", &request[head..]].concat();
    let mut there = TcpStream::connect(upstream).await?;
    there.write_all(&request).await?;
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).await?;
    Ok(answer)
}
