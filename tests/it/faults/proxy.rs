//! A proxy that fails in the ways of networks and broken servers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// They reach the other server.
    None,
    /// The connection is refused.
    Down,
    /// It is accepted, and no answer comes.
    Slow,
    /// Nothing is forwarded any more, not even on open connections: the network is gone.
    Frozen,
    /// Another server answers with an HTML page.
    Garbage,
    /// The answer is JSON of another kind.
    Nonsense,
    /// The answer is 200 without a body.
    Blank,
    /// The answer is not HTTP.
    Stranger,
    /// The connection closes in the middle of the answer.
    Cut,
    /// The answer stops in the middle, and the connection stays open.
    Stalled,
    /// The request arrives with a path that is not served: the configured URL is wrong.
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

/// The fault that should be in effect, with its number; and the one that is.
type State = (Fault, u64);

/// The proxy. It keeps its port during all faults and stops when this value is dropped.
pub(super) struct Proxy {
    port: u16,
    upstream: Arc<Mutex<SocketAddr>>,
    wanted: watch::Sender<State>,
    applied: watch::Receiver<State>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy for the server at `http://host:port`.
    pub(super) fn before(url: &str) -> Self {
        Self::before_address(url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap())
    }

    /// A proxy for the server at this address.
    pub(super) fn before_address(upstream: SocketAddr) -> Self {
        let socket = bind(0).unwrap();
        let port = socket.local_addr().unwrap().port();
        let upstream = Arc::new(Mutex::new(upstream));
        let (wanted, wishes) = watch::channel((Fault::None, 0));
        let (done, applied) = watch::channel((Fault::Down, 0));
        let task = tokio::spawn(run(socket, port, Arc::clone(&upstream), wishes, done)).abort_handle();
        Self { port, upstream, wanted, applied, task }
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Forwards to another address from now on.
    pub(super) fn moved(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap() = upstream;
    }

    /// Starts a fault. Open connections end.
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

/// A socket that reserves a port without listening: connections are refused.
fn bind(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

/// Reserves a port that was listened on. A process that another test is starting may hold on to it until it runs its
/// own program.
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

/// Accepts connections until another fault is requested that ends them.
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
                // A client that closes its connection is not an error of this server.
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

/// Reads one whole request with a Content-Length.
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

/// Forwards one request and reads the whole answer.
async fn relay(request: Vec<u8>, upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let head = end_of_head(&request).unwrap_or(request.len());
    let request = [&request[..head - 2], b"connection: close\r\n\r\n", &request[head..]].concat();
    let mut there = TcpStream::connect(upstream).await?;
    there.write_all(&request).await?;
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).await?;
    Ok(answer)
}
