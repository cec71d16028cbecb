//! The one factory of outward HTTP calls: deadline, size cap, trace headers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use thread_local::ThreadLocal;
use url::Url;

use crate::kernel::{PortError, PortResult};
use crate::telemetry;

/// What a path segment may hold unencoded. The segments of `url` itself would lose tabs and line ends.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long an unused connection is kept. Servers close theirs too, this one after 5 s: a request that meets that moment
/// is lost, and not every request may be sent again.
const IDLE: Duration = Duration::from_secs(3);

/// How to reach one other server.
#[derive(Debug, Clone)]
pub struct OutwardSettings {
    /// Where it listens; a path is kept as prefix. Must hold no credentials.
    pub base: Url,
    /// Deadline of one call, from connect to the last byte.
    pub timeout: Duration,
    /// Largest answer taken, in bytes, after decompression.
    pub max_answer_bytes: usize,
    /// Value of the `Authorization` header.
    pub authorization: Option<SecretString>,
}

/// A client of one other server.
///
/// Each thread that calls has connections of its own. What serves a connection runs on the thread that opened it: a call
/// from another thread would wake that one to be sent, and be woken by it for every piece of the answer.
#[derive(Debug, Clone)]
pub struct Outward {
    threads: Arc<ThreadLocal<reqwest::Client>>,
    /// What a thread calls with where one of its own cannot be made.
    shared: reqwest::Client,
    settings: OutwardSettings,
}

/// What the other server answered, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Outward {
    /// A client for the server of these settings.
    pub fn new(settings: OutwardSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { threads: Arc::default(), shared: connections(settings.timeout)?, settings })
    }

    /// The connections of this thread.
    fn own(&self) -> &reqwest::Client {
        self.threads.get_or(|| connections(self.settings.timeout).unwrap_or_else(|_| self.shared.clone()))
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
        let mut request = self.own().request(method, url);
        if let Some(authorization) = &self.settings.authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization.expose_secret());
        }
        if let Some(id) = telemetry::request_id() {
            request = request.header("x-request-id", id);
        }
        request
    }

    /// Sends the request and reads the whole answer, whatever its status. No retry happens here.
    ///
    /// # Errors
    /// `Timeout` past the deadline; `Unavailable` if the server cannot be reached, cuts the connection, or its answer
    /// is over the size cap.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> PortResult<Answer> {
        let _counted = telemetry::upstream_call();
        let mut response = request.send().await.map_err(|e| port_error(&e))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let cap = self.settings.max_answer_bytes;
        let too_large = || PortError::Unavailable(format!("the answer is over {cap} bytes"));
        let length = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if length > cap {
            return Err(too_large());
        }
        // Room as it is needed from a server that promises much.
        let mut body = BytesMut::with_capacity(length.min(1 << 20));
        while let Some(chunk) = response.chunk().await.map_err(|e| port_error(&e))? {
            if body.len() + chunk.len() > cap {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn connections(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("flamewarden/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .build()
}

fn port_error(error: &reqwest::Error) -> PortError {
    use std::error::Error;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if error.is_timeout() { PortError::Timeout(text) } else { PortError::Unavailable(text) }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::method;
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_thread_that_ended_leaves_no_connection_to_those_that_come_after_it() {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).expect(8).mount(&server).await;
        let outward = outward(&server.uri());
        for _ in 0..4 {
            let outward = outward.clone();
            let thread = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..2 {
                        let answer = outward.send(outward.request(Method::GET, outward.base().clone())).await;
                        assert_eq!(answer.unwrap().status, StatusCode::OK);
                    }
                });
            };
            // One after the other: each takes the place of the one that ended.
            tokio::task::spawn_blocking(|| std::thread::spawn(thread).join().unwrap()).await.unwrap();
        }
    }

    #[test]
    fn any_name_becomes_one_segment_below_the_base() {
        let url = outward("http://localhost:1/prefix/").url(["history", "a/b%\t\n?#ü"]);
        assert_eq!(url.as_str(), "http://localhost:1/prefix/history/a%2Fb%25%09%0A%3F%23%C3%BC");
    }
}
