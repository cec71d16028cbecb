//! Asking a server on a person's behalf.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use url::Url;

use super::Exit;
use crate::http::{Outward, OutwardSettings};

/// A decision has 40 s on the server, a search of the fleet a minute.
const TIMEOUT: Duration = Duration::from_secs(65);
/// Largest answer taken.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The server's answer as it was sent; or how to end where it refused, which is told on standard error.
pub(super) async fn ask<'a>(
    server: &Url,
    path: impl IntoIterator<Item = &'a str>,
    parameters: &[(&str, Option<String>)],
) -> anyhow::Result<Result<String, Exit>> {
    let settings = OutwardSettings {
        base: server.clone(),
        timeout: TIMEOUT,
        max_answer_bytes: MAX_ANSWER_BYTES,
        authorization: None,
    };
    let client = Outward::new(settings)?;
    let mut url = client.url(path);
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let answer = client.send(client.request(Method::GET, url)).await;
    let answer = answer.with_context(|| format!("asking {server}"))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != StatusCode::OK {
        eprintln!("error: {}", refusal(answer.status, &text));
        return Ok(Err(if answer.status == StatusCode::BAD_REQUEST { Exit::Usage } else { Exit::NoData }));
    }
    Ok(Ok(text))
}

/// What a problem document says, or the status where there is none.
fn refusal(status: StatusCode, text: &str) -> String {
    let document: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = document.as_ref().and_then(|d| d.get("detail")).and_then(serde_json::Value::as_str);
    detail.map_or_else(|| format!("the server answered {status}"), str::to_owned)
}
