//! Requests to a server for the user of a command.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use url::Url;

use super::Exit;
use crate::http::{Answer, Outward, OutwardSettings, bearer};
use crate::kernel::{Call, PortResult, Tenant};

/// How long to wait for an answer. The server's own limits are 40 s for a decision and a minute for a fleet search.
const TIMEOUT: Duration = Duration::from_secs(65);
/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The server that a command asks.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServerAddress {
    /// The server to ask; http:// may be left out.
    #[arg(long = "server", value_name = "URL", env = "FLAMEWARDEN_URL", default_value = "http://127.0.0.1:8080",
          value_parser = address)]
    pub(super) url: Url,
}

impl ServerAddress {
    /// The address without a slash at its end, so that a path can be appended.
    pub(super) fn base(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

/// Reads an address as people type it, such as `localhost:8080`.
fn address(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match Url::parse(&whole) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) | Err(_) => Err("must be an address such as http://127.0.0.1:8080 or localhost:8080".to_owned()),
    }
}

/// The variable with the token that commands send to a server. It is not an option, because other users of the machine
/// can read the arguments of a process.
pub(super) const TOKEN: &str = "FLAMEWARDEN_TOKEN";

/// The token to send to a server.
pub(super) fn token() -> Option<SecretString> {
    std::env::var(TOKEN)
        .ok()
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .map(SecretString::from)
}

/// A server to ask.
#[derive(Debug)]
pub(super) struct Server(Outward);

impl Server {
    pub(super) fn at(url: &Url) -> anyhow::Result<Self> {
        let settings = OutwardSettings {
            base: url.clone(),
            timeout: TIMEOUT,
            max_answer_bytes: MAX_ANSWER_BYTES,
            authorization: token().as_ref().map(bearer),
        };
        Ok(Self(Outward::new(settings)?))
    }

    /// Its address, without a slash at the end.
    pub(super) fn base(&self) -> &str {
        self.0.base().as_str().trim_end_matches('/')
    }

    /// Its answer to GET, whatever it is.
    pub(super) async fn get<'a>(
        &self,
        path: impl IntoIterator<Item = &'a str>,
        parameters: &[(&str, Option<String>)],
    ) -> PortResult<Answer> {
        let url = with_parameters(self.0.url(path), parameters);
        self.0.send(&Call::default(), self.0.request(Method::GET, url)).await
    }

    /// Its answer to a profile that is pushed to `/ingest`, whatever it is.
    pub(super) async fn push(
        &self,
        parameters: &[(&str, String)],
        tenant: Option<&Tenant>,
        body: Vec<u8>,
    ) -> PortResult<Answer> {
        let mut url = self.0.url(["ingest"]);
        url.query_pairs_mut().extend_pairs(parameters);
        let mut request = self.0.request(Method::POST, url).header(CONTENT_TYPE, "application/octet-stream").body(body);
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant.as_str());
        }
        self.0.send(&Call::default(), request).await
    }

    /// Its answer to POST, whatever it is.
    pub(super) async fn post(
        &self,
        path: &[&str],
        parameters: &[(&str, Option<String>)],
        body: &serde_json::Value,
    ) -> PortResult<Answer> {
        let url = with_parameters(self.0.url(path.iter().copied()), parameters);
        self.0.send(&Call::default(), self.0.request(Method::POST, url).json(body)).await
    }

    /// Its answer to DELETE, whatever it is.
    pub(super) async fn delete(&self, path: &[&str]) -> PortResult<Answer> {
        self.0.send(&Call::default(), self.0.request(Method::DELETE, self.0.url(path.iter().copied()))).await
    }
}

/// The address with the parameters that have a value.
fn with_parameters(mut url: Url, parameters: &[(&str, Option<String>)]) -> Url {
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

/// The server's answer, as it is. If it refused, prints why to standard error and returns how to exit.
pub(super) async fn ask<'a>(
    server: &Url,
    path: impl IntoIterator<Item = &'a str>,
    parameters: &[(&str, Option<String>)],
) -> anyhow::Result<Result<String, Exit>> {
    accepted(server, Server::at(server)?.get(path, parameters).await)
}

/// The same of an answer to another request.
pub(super) fn accepted(server: &Url, answer: PortResult<Answer>) -> anyhow::Result<Result<String, Exit>> {
    let answer = answer.with_context(|| what_to_check(server))?;
    if !answer.status.is_success() {
        eprintln!("error: {}", refusal(&answer));
        return Ok(Err(if answer.status == StatusCode::BAD_REQUEST { Exit::Usage } else { Exit::NoData }));
    }
    Ok(Ok(String::from_utf8_lossy(&answer.body).into_owned()))
}

/// What to check if a server gave no answer.
pub(super) fn what_to_check(server: &Url) -> String {
    format!(
        "no answer from {server}: check that a server runs there (`flamewarden` starts one), or name another with --server or FLAMEWARDEN_URL"
    )
}

/// What a problem document says. Without one: the status.
pub(super) fn refusal(answer: &Answer) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let detail = document.as_ref().and_then(|d| d.get("detail")).and_then(serde_json::Value::as_str);
    let detail = detail.map_or_else(|| format!("the server answered {}", answer.status), str::to_owned);
    if answer.status == StatusCode::UNAUTHORIZED {
        return format!("{detail} (set {TOKEN} to a token of that server)");
    }
    if matches!(answer.status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE) {
        return format!("{detail} (its /api/v1/health says what to check)");
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("localhost:8080", Some("http://localhost:8080/"))]
    #[case("shop.example", Some("http://shop.example/"))]
    #[case("https://shop.example/flame", Some("https://shop.example/flame"))]
    #[case("[::1]:8080", Some("http://[::1]:8080/"))]
    #[case("ftp://shop.example", None)]
    #[case("", None)]
    #[case("http://", None)]
    fn an_address_needs_no_scheme(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(address(text).ok().as_ref().map(Url::as_str), expected);
    }
}
