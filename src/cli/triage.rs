//! `flamewarden triage`: why is this app slow? Asks a server, or judges a file without one.

mod file;
mod table;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use url::Url;

use super::{Common, Exit};
use crate::bor::triage::TriageBody;
use crate::http::{Outward, OutwardSettings};
use crate::kernel::{AppName, ProfileType};
use crate::verdict::{Rules, Verdict};

/// A triage has 40 s on the server.
const TIMEOUT: Duration = Duration::from_secs(45);
/// Largest answer taken.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The app; with --file only a name to show.
    #[arg(required_unless_present = "file")]
    app: Option<AppName>,
    /// Judge this file instead of asking a server: pprof, folded stacks or flame graph JSON; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["types", "from", "to", "selector"])]
    file: Option<std::path::PathBuf>,
    /// The kind of profile in the file; guessed from its sample types if not given.
    #[arg(long = "type", value_name = "KIND", requires = "file")]
    kind: Option<ProfileType>,
    /// The server to ask.
    #[arg(long, value_name = "URL", env = "FLAMEWARDEN_URL", default_value = "http://127.0.0.1:8080")]
    server: Url,
    /// Kinds of profile to ask for, comma-separated.
    #[arg(long, value_name = "LIST")]
    types: Option<String>,
    /// The window's start: epoch seconds, RFC 3339, now-90m.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The window's end.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Which of the app's series: name="value", also !=, =~, !~, joined by commas.
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// At most this many top functions; 0 means all.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let (body, text) = match &args.file {
        Some(path) => {
            let rules = match common.settings()?.rules.dir {
                None => Rules::builtin(),
                Some(dir) => match Rules::load(&dir) {
                    Ok(rules) => Arc::new(rules),
                    Err(error) => {
                        eprintln!("error: {error}");
                        return Ok(Exit::Usage);
                    }
                },
            };
            let body = match file::judge(&rules, path, args.app.clone(), args.kind, args.limit as usize) {
                Ok(body) => body,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    return Ok(error.exit());
                }
            };
            let text = serde_json::to_string_pretty(&body)?;
            (body, text)
        }
        None => match ask(args).await? {
            Ok(answer) => answer,
            Err(exit) => return Ok(exit),
        },
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{text}")?;
    } else {
        write!(out, "{}", table::of(&body))?;
    }
    Ok(match body.summary.verdict {
        Verdict::Problem | Verdict::NothingStandsOut | Verdict::Insufficient => Exit::Fine,
        Verdict::NoData | Verdict::Unavailable => Exit::NoData,
    })
}

/// The server's answer, read and as it was sent; or how to end where it refused.
async fn ask(args: &Args) -> anyhow::Result<Result<(TriageBody, String), Exit>> {
    let settings = OutwardSettings {
        base: args.server.clone(),
        timeout: TIMEOUT,
        max_answer_bytes: MAX_ANSWER_BYTES,
        authorization: None,
    };
    let server = Outward::new(settings)?;
    let app = args.app.as_ref().map_or("", AppName::as_str);
    let mut url = server.url(["triage", app]);
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("limit", &args.limit.to_string());
        let given = [("types", &args.types), ("from", &args.from), ("to", &args.to), ("selector", &args.selector)];
        for (name, value) in given {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    let answer = server.send(server.request(Method::GET, url)).await;
    let answer = answer.with_context(|| format!("asking {}", args.server))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != StatusCode::OK {
        eprintln!("error: {}", refusal(answer.status, &text));
        return Ok(Err(if answer.status == StatusCode::BAD_REQUEST { Exit::Usage } else { Exit::NoData }));
    }
    let body =
        serde_json::from_str(&text).with_context(|| format!("{} gave an answer that is no triage", args.server))?;
    Ok(Ok((body, text)))
}

/// What a problem document says, or the status where there is none.
fn refusal(status: StatusCode, text: &str) -> String {
    let document: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = document.as_ref().and_then(|d| d.get("detail")).and_then(serde_json::Value::as_str);
    detail.map_or_else(|| format!("the server answered {status}"), str::to_owned)
}
