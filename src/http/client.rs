//! The one factory of outward HTTP calls: deadline, size cap, trace headers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use thread_local::ThreadLocal;
use url::Url;

use super::call::identify;
use crate::kernel::{Call, PortError, PortResult};
use crate::telemetry;

/// The characters of a path segment that are not percent-encoded. The segments of `url` itself would lose tabs and line
/// ends.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long an unused connection is kept. Servers close unused connections too, some of them after 5 s. A request that
/// is sent at that moment is lost, and not every request may be sent again.
const IDLE: Duration = Duration::from_secs(3);

/// How to reach one other server.
#[derive(Debug, Clone)]
pub struct OutwardSettings {
    /// Its address. A path is kept as a prefix. The address must not hold credentials.
    pub base: Url,
    /// Deadline of one call, from connect to the last byte.
    pub timeout: Duration,
    /// Largest answer taken, in bytes, after decompression.
    pub max_answer_bytes: usize,
    /// Value of the `Authorization` header.
    pub authorization: Option<SecretString>,
}

/// The value of `Authorization` that carries a token.
pub fn bearer(token: &SecretString) -> SecretString {
    SecretString::from(format!("Bearer {}", token.expose_secret()))
}

impl OutwardSettings {
    /// Whether connections to the other server use no TLS.
    fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    fn connections(&self) -> Result<reqwest::Client, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .timeout(self.timeout)
            .connect_timeout(self.timeout.min(Duration::from_secs(5)))
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("flamewarden/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if !self.is_plain() {
            return builder.build();
        }
        // Without TLS the server is near, and packing an answer takes longer than sending it as it is. The system's
        // certificates are only loaded where they are needed.
        let unpacked = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        builder.default_headers(unpacked).tls_certs_only([]).build()
    }
}

/// A client of one other server.
///
/// Without TLS, each thread that calls has its own connections. A connection is served by the thread that opened it. A
/// call from another thread would have to wake that thread to be sent, and be woken by it for every piece of the
/// answer. Connections over TLS are shared by all threads, as are the trusted certificates: both take long to set up.
#[derive(Debug, Clone)]
pub struct Outward {
    threads: Arc<ThreadLocal<reqwest::Client>>,
    shared: reqwest::Client,
    settings: OutwardSettings,
}

/// The whole answer of the other server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The deadline of the settings passed.
    #[error("{0}")]
    Timeout(String),
    /// The server cannot be reached or cut the connection.
    #[error("{0}")]
    Broken(String),
    /// The answer is over the size cap.
    #[error("the answer is over {cap} bytes")]
    TooLarge {
        /// The cap.
        cap: usize,
    },
    /// The call was given up because its own deadline passed or it was cancelled. That says nothing about the server.
    #[error(transparent)]
    GivenUp(#[from] PortError),
}

impl From<NoAnswer> for PortError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::GivenUp(error) => error,
            NoAnswer::Timeout(text) => Self::Timeout(text),
            NoAnswer::Broken(_) | NoAnswer::TooLarge { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

impl Outward {
    /// A client for the server of these settings.
    pub fn new(settings: OutwardSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { threads: Arc::default(), shared: settings.connections()?, settings })
    }

    /// The client of this thread.
    fn connections(&self) -> &reqwest::Client {
        if !self.settings.is_plain() {
            return &self.shared;
        }
        self.threads.get_or(|| {
            self.settings.connections().unwrap_or_else(|error| {
                tracing::warn!(%error, "a thread shares its connections with others");
                self.shared.clone()
            })
        })
    }

    /// Where the other server listens.
    pub fn base(&self) -> &Url {
        &self.settings.base
    }

    /// The address of a path of percent-encoded segments below the base, without a query.
    pub fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.settings.base.clone();
        let mut path = url.path().trim_end_matches('/').to_owned();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        url.set_path(&path);
        url
    }

    /// Begins a request; [`Outward::send`] ends it.
    pub fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let mut request = self.connections().request(method, url);
        if let Some(authorization) = &self.settings.authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization.expose_secret());
        }
        request
    }

    /// The same as [`Outward::fetch`], for callers that do not need to know why there was no answer.
    ///
    /// # Errors
    /// `Timeout` past the deadline of the settings or of the call; `Unavailable` if the server cannot be reached, cuts the
    /// connection, or its answer is over the size cap.
    pub async fn send(&self, call: &Call, request: reqwest::RequestBuilder) -> PortResult<Answer> {
        Ok(self.fetch(call, request).await?)
    }

    /// Sends the request as part of a call and reads the whole answer, whatever its status. No retry happens here.
    ///
    /// # Errors
    /// Why no answer came.
    pub async fn fetch(&self, call: &Call, request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
        call.bound(self.exchange(identify(call, request))).await
    }

    /// Sends the request to a server of somebody else, and reads the beginning of its answer, up to the size cap, whatever its
    /// status. Nothing of the call is sent, and no error names the address, which may be a secret.
    ///
    /// # Errors
    /// Why no answer came.
    pub async fn post_abroad(&self, call: &Call, request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
        call.bound(async {
            let _counted = telemetry::upstream_call();
            let sent = request.send().await.map_err(reqwest::Error::without_url);
            let mut response = sent.map_err(|error| no_answer(&error))?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            let cap = self.settings.max_answer_bytes;
            let mut body = BytesMut::new();
            // The status says all that matters: a body that breaks off changes nothing.
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() >= cap {
                    body.truncate(cap);
                    break;
                }
            }
            Ok(Answer { status, headers, body: body.freeze() })
        })
        .await
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
        let _counted = telemetry::upstream_call();
        let mut response = request.send().await.map_err(|e| no_answer(&e))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let cap = self.settings.max_answer_bytes;
        let length = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if length > cap {
            return Err(NoAnswer::TooLarge { cap });
        }
        // Room as it is needed from a server that promises much.
        let mut body = BytesMut::with_capacity(length.min(1 << 20));
        while let Some(chunk) = response.chunk().await.map_err(|e| no_answer(&e))? {
            if body.len() + chunk.len() > cap {
                return Err(NoAnswer::TooLarge { cap });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    use std::error::Error;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if error.is_timeout() { NoAnswer::Timeout(text) } else { NoAnswer::Broken(text) }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use wiremock::matchers::header;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn outward(base: &str) -> Outward {
        let settings = OutwardSettings {
            base: base.parse().unwrap(),
            timeout: Duration::from_secs(5),
            max_answer_bytes: 1_000,
            authorization: None,
        };
        Outward::new(settings).unwrap()
    }

    /// A server that answers each request with 200, and counts connections.
    fn counting() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (base, accepted) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                    while lines.by_ref().any(|line| line.is_empty()) {
                        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                });
            }
        });
        (base, accepted)
    }

    /// Runs on a thread of its own, as workers do.
    fn thread(work: impl AsyncFnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime().block_on(work()))
    }

    async fn answers(outward: &Outward) -> bool {
        let answer = outward.send(&Call::default(), outward.request(Method::GET, outward.base().clone())).await;
        answer.is_ok_and(|answer| answer.status == StatusCode::OK)
    }

    #[test]
    fn each_thread_keeps_connections_of_its_own() {
        let (base, accepted) = counting();
        let (outward, turns) = (outward(&base), Arc::new(Barrier::new(2)));
        let threads = [0, 1].map(|own| {
            let (outward, turns) = (outward.clone(), Arc::clone(&turns));
            thread(async move || {
                let mut answered = true;
                for turn in 0..4 {
                    // While one calls, the other does not run: it could not serve a connection.
                    if turn % 2 == own {
                        answered &= answers(&outward).await;
                    }
                    turns.wait();
                }
                assert!(answered);
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_thread_that_ended_leaves_no_connection_to_those_that_come_after_it() {
        let (base, accepted) = counting();
        let outward = outward(&base);
        // One after the other: each replaces the one that ended.
        for _ in 0..4 {
            let outward = outward.clone();
            thread(async move || {
                assert!(answers(&outward).await);
                assert!(answers(&outward).await);
            })
            .join()
            .unwrap();
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_server_near_is_asked_not_to_pack_its_answers_which_are_read_packed_too() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"answer").unwrap();
        let answer = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
        let server = MockServer::start().await;
        Mock::given(header("accept-encoding", "identity"))
            .respond_with(answer.set_body_bytes(packed.finish().unwrap()))
            .mount(&server)
            .await;
        let outward = outward(&server.uri());
        let answer = outward.send(&Call::default(), outward.request(Method::GET, outward.base().clone())).await;
        assert_eq!(answer.unwrap().body, "answer");
    }

    #[tokio::test]
    async fn a_server_of_somebody_else_is_told_nothing_of_the_call_and_its_answer_is_cut() {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(202).set_body_string("x".repeat(5_000));
        Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
        let outward = outward(&server.uri());
        let call = Call::system("courier")
            .of_request("r-1")
            .traced("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok());
        let answer = outward.post_abroad(&call, outward.request(Method::POST, outward.base().clone())).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 1_000));
        let received = server.received_requests().await.unwrap();
        let names: Vec<_> = received[0].headers.keys().map(ToString::to_string).collect();
        assert!(
            !names.iter().any(|name| name.contains("flamewarden") || name == "traceparent" || name == "x-request-id"),
            "{names:?}"
        );
        drop(server);
        let gone = super::tests::outward("http://127.0.0.1:1/hunter2");
        let error = gone.post_abroad(&call, gone.request(Method::POST, gone.base().clone())).await.unwrap_err();
        assert!(matches!(&error, NoAnswer::Broken(text) if !text.contains("hunter2")), "{error:?}");
    }

    #[test]
    fn any_name_becomes_one_segment_below_the_base() {
        let url = outward("http://localhost:1/prefix/").url(["history", "a/b%\t\n?#ü"]);
        assert_eq!(url.as_str(), "http://localhost:1/prefix/history/a%2Fb%25%09%0A%3F%23%C3%BC");
    }
}
