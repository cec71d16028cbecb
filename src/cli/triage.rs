//! `flamewarden triage`: why is this app slow? Asks a server, or judges a file without one.

mod file;
mod table;

pub(super) use file::judge as judge_file;

use anyhow::Context;
use clap::ValueEnum;

use super::server::{self, ServerAddress};
use super::{Common, Exit};
use crate::bor::triage::TriageBody;
use crate::config::RulesSettings;
use crate::kernel::{AppName, ProfileType};
use crate::verdict::{Rules, Verdict};

#[derive(Debug, clap::Args)]
#[command(override_usage = "flamewarden triage [OPTIONS] <APP>
       flamewarden triage [OPTIONS] --file <FILE> [APP]")]
pub(super) struct Args {
    /// The app; with --file only a name to show.
    #[arg(required_unless_present = "file")]
    app: Option<AppName>,
    /// Judge this file instead of asking a server: pprof, folded stacks, flame graph JSON, speedscope, a .cpuprofile of
    /// V8, or Pyroscope's formats in a file named .trie or .tree; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["types", "from", "to", "selector", "compare"])]
    file: Option<std::path::PathBuf>,
    /// The kind of profile in the file [default: from its sample types, if it says what it counts].
    #[arg(long = "type", value_name = "KIND", requires = "file")]
    kind: Option<ProfileType>,
    #[command(flatten)]
    server: ServerAddress,
    /// Kinds of profile to ask for, comma-separated [default: cpu,alloc, if the app has them].
    #[arg(long, value_name = "LIST")]
    types: Option<String>,
    /// The window's start: epoch seconds, RFC 3339, now-90m [default: an hour before its end].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The window's end [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Select series of the app: name="value", also !=, =~, !~, joined by commas.
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Also look at the same window a day or a week earlier, and say what is usual.
    #[arg(long, value_name = "WHEN", value_parser = ["day", "week"])]
    compare: Option<String>,
    /// Print at most this many top functions; 0 prints all.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 1 if there is a problem, or if a function exceeds its approved limit.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    fail_on: Vec<FailOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Problem,
    Breach,
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let (body, text) = match &args.file {
        Some(path) => {
            let settings = common.settings()?;
            let RulesSettings { dir, quiet_cores } = settings.rules;
            let rules = match Rules::of_settings(dir.as_deref(), quiet_cores) {
                Ok(rules) => rules,
                Err(error) => {
                    eprintln!("error: {error}");
                    return Ok(Exit::Usage);
                }
            };
            let body = match file::judge(
                &rules,
                path,
                args.app.clone(),
                args.kind,
                args.limit as usize,
                settings.cost.per_core_hour,
            ) {
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
    common.show(&if args.json { text + "\n" } else { table::of(&body, args.server.base()) })?;
    Ok(exit(&args.fail_on, &body))
}

fn exit(fail_on: &[FailOn], body: &TriageBody) -> Exit {
    let fails = fail_on.iter().any(|what| match what {
        FailOn::Problem => body.summary.verdict == Verdict::Problem,
        FailOn::Breach => body.summary.baseline_violations.is_some_and(|violations| violations > 0),
    });
    match body.summary.verdict {
        Verdict::NoData | Verdict::Unavailable => Exit::NoData,
        _ if fails => Exit::CheckFailed,
        Verdict::Problem | Verdict::OwnCode | Verdict::Quiet | Verdict::NothingStandsOut | Verdict::Insufficient => {
            Exit::Fine
        }
    }
}

/// The server's answer, both parsed and as it is. If it refused: how to exit.
async fn ask(args: &Args) -> anyhow::Result<Result<(TriageBody, String), Exit>> {
    let app = args.app.as_ref().map_or("", AppName::as_str);
    let parameters = [
        ("limit", Some(args.limit.to_string())),
        ("types", args.types.clone()),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("selector", args.selector.clone()),
        ("compare", args.compare.clone()),
    ];
    let text = match server::ask(&args.server.url, ["triage", app], &parameters).await? {
        Ok(text) => text,
        Err(exit) => return Ok(Err(exit)),
    };
    let body =
        serde_json::from_str(&text).with_context(|| format!("{} gave an answer that is no triage", args.server.url))?;
    Ok(Ok((body, text)))
}
