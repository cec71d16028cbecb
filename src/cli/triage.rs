//! `flamewarden triage`: why is this app slow? Asks a server, or judges a file without one.

mod file;
mod table;

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use url::Url;

use super::{Common, Exit, server};
use crate::bor::triage::TriageBody;
use crate::kernel::{AppName, ProfileType};
use crate::verdict::{Rules, Verdict};

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
    let app = args.app.as_ref().map_or("", AppName::as_str);
    let parameters = [
        ("limit", Some(args.limit.to_string())),
        ("types", args.types.clone()),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("selector", args.selector.clone()),
    ];
    let text = match server::ask(&args.server, ["triage", app], &parameters).await? {
        Ok(text) => text,
        Err(exit) => return Ok(Err(exit)),
    };
    let body =
        serde_json::from_str(&text).with_context(|| format!("{} gave an answer that is no triage", args.server))?;
    Ok(Ok((body, text)))
}
