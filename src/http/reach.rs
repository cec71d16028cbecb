//! Finds out why a server does not answer.

use std::io::ErrorKind;
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

/// Why a server cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// Its name has no address.
    Dns,
    /// Nothing listens on its port.
    Refused,
    /// It does not answer in time.
    Timeout,
    /// A connection was made, but TLS failed: it speaks another protocol, or its certificate is not trusted.
    Tls,
    /// It refused this server's credentials.
    Denied,
    /// A connection was made, but its answer makes no sense.
    Broken,
    /// Another Flamewarden that answers and cannot read profiles itself.
    Upstream,
}

impl Unreachable {
    /// What to check.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Dns => "its name has no address: check the host in the URL",
            Self::Refused => "nothing listens there: check that it runs, and the port in the URL",
            Self::Timeout => {
                "no answer in time: check the network between here and there, and whether it is overloaded"
            }
            Self::Tls => "no TLS: check http or https in the URL, and its certificate",
            Self::Denied => "it refused the credentials: check token, user, password and tenant",
            Self::Broken => "it answers and is not understood: check that the URL is that of the right server",
            Self::Upstream => "it answers and cannot read profiles itself: look at /api/v1/health there",
        }
    }
}

/// Finds out, step by step, why a server gave no answer: its name is looked up, then a connection is opened.
pub async fn why_unreachable(url: &Url, limit: Duration) -> Unreachable {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Unreachable::Dns };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = match timeout(limit, lookup_host((host, port))).await {
        Ok(Ok(mut found)) => found.next(),
        Ok(Err(_)) => None,
        Err(_) => return Unreachable::Timeout,
    };
    let Some(address) = found else { return Unreachable::Dns };
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) if url.scheme() == "https" => Unreachable::Tls,
        Ok(Ok(_)) => Unreachable::Broken,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Unreachable::Refused,
        Ok(Err(_)) | Err(_) => Unreachable::Timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::no_such_name("http://no..name:4040", Unreachable::Dns)]
    #[case::nobody("http://127.0.0.1:9", Unreachable::Refused)]
    #[tokio::test]
    async fn says_what_stands_in_the_way(#[case] url: &str, #[case] expected: Unreachable) {
        assert_eq!(why_unreachable(&url.parse().unwrap(), Duration::from_secs(5)).await, expected);
    }

    #[rstest]
    #[case::without_tls("https", Unreachable::Tls)]
    #[case::another_protocol("http", Unreachable::Broken)]
    #[tokio::test]
    async fn a_port_that_is_open_is_no_server_yet(#[case] scheme: &str, #[case] expected: Unreachable) {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", open.local_addr().unwrap());
        assert_eq!(why_unreachable(&url.parse().unwrap(), Duration::from_secs(5)).await, expected);
    }
}
