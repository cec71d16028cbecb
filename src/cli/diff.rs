//! `flamewarden diff`: did this deploy make the app slower? Asks a server, or compares two files without one. Its exit
//! code tells a pipeline the result.

mod files;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::server::{self, ServerAddress};
use super::{Common, Exit};
use crate::bor::diff::{DiffBody, command, markdown, shell_word};
use crate::kernel::{AppName, ProfileType};
use crate::verdict::{ChangeVerdict, DiffVerdict};

#[derive(Debug, clap::Args)]
#[command(override_usage = "flamewarden diff [OPTIONS] <APP>
       flamewarden diff [OPTIONS] <BASELINE> <CURRENT> [--app <NAME> | --baselines <FILE>]")]
pub(super) struct Args {
    /// The app; or two files to compare instead of asking a server: the baseline, then the current one. The same
    /// formats are read as by `triage --file`.
    #[arg(required_unless_present = "files", conflicts_with = "files", num_args = 1..=2, value_name = "APP")]
    of: Vec<String>,
    /// The same two files as an option.
    #[arg(long, num_args = 2, value_names = ["BASELINE", "CURRENT"])]
    files: Option<Vec<PathBuf>>,
    /// Approved limits for files, as `GET /baselines/{app}` answers them.
    #[arg(long, value_name = "FILE")]
    baselines: Option<PathBuf>,
    /// Ask the server for this app's approved limits, for files.
    #[arg(long = "app", value_name = "NAME", id = "limits_of", conflicts_with = "baselines")]
    limits_of: Option<AppName>,
    /// The kind of profile [default: cpu; for files: from their sample types].
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<ProfileType>,
    #[command(flatten)]
    server: ServerAddress,
    /// The current window's start: epoch seconds, RFC 3339, now-90m [default: an hour before its end].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The current window's end [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The baseline window's start [default: an hour before its end].
    #[arg(long, value_name = "TIME")]
    baseline_from: Option<String>,
    /// The baseline window's end [default: the start of the current one].
    #[arg(long, value_name = "TIME")]
    baseline_to: Option<String>,
    /// The time of a deploy, instead of the four times above.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// With --at: how long after the deploy the current window starts, such as 10m [default: 5m].
    #[arg(long, value_name = "LENGTH")]
    settle: Option<String>,
    /// Select series of the app: name="value", also !=, =~, !~, joined by commas.
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Select series in the baseline window [default: as --selector]. To compare a canary with the stable version, give
    /// both selectors and one window.
    #[arg(long, value_name = "SELECTOR")]
    baseline_selector: Option<String>,
    /// Print at most this many rows of each list; 0 prints all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// The format to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the answer as JSON.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Exit with 1 if a function regressed beyond load and chance, or exceeds its approved limit.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// With --fail-on regression: ignore regressions smaller than this.
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    min_delta: f64,
    /// The exit code of a diff without data, or with too little to decide [default: 3].
    #[arg(long, value_enum, value_name = "WHAT", alias = "inconclusive")]
    insufficient: Option<Insufficient>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Regression,
    Breach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Insufficient {
    Pass,
    Fail,
}

/// What is compared.
enum Subject {
    /// Two windows of an app that a server knows.
    App(AppName),
    /// Two files: the baseline, then the current one.
    Files(Vec<PathBuf>),
}

impl Args {
    /// One name is an app, two are files; each takes options of its own.
    fn subject(&self) -> Result<Subject, String> {
        let files = match (&self.files, self.of.as_slice()) {
            (Some(files), _) => Some(files.clone()),
            (None, [before, now]) => Some(vec![before.into(), now.into()]),
            _ => None,
        };
        let [for_an_app, for_files] = self.options_of_one_subject();
        if let Some(files) = files {
            return for_an_app.map_or(Ok(Subject::Files(files)), |option| {
                Err(format!("{option} selects a window of an app: it cannot be used with files"))
            });
        }
        if let Some(option) = for_files {
            return Err(format!("{option} is for two files: a server has its own approved limits"));
        }
        let app = self.of.first().map_or("", String::as_str);
        if app.contains(std::path::MAIN_SEPARATOR) && Path::new(app).is_file() {
            return Err(format!("{app} is a file: give two, the baseline and the current one"));
        }
        app.parse().map(Subject::App).map_err(|error| format!("app {app:?}: {error}"))
    }

    /// The first option given that only apps take, and the first that only files do.
    fn options_of_one_subject(&self) -> [Option<&'static str>; 2] {
        let for_apps = [
            ("--from", self.from.is_some()),
            ("--to", self.to.is_some()),
            ("--baseline-from", self.baseline_from.is_some()),
            ("--baseline-to", self.baseline_to.is_some()),
            ("--at", self.at.is_some()),
            ("--settle", self.settle.is_some()),
            ("--selector", self.selector.is_some()),
            ("--baseline-selector", self.baseline_selector.is_some()),
        ];
        let for_files = [("--baselines", self.baselines.is_some()), ("--app", self.limits_of.is_some())];
        let given = |options: &[(&'static str, bool)]| options.iter().find(|(_, given)| *given).map(|(name, _)| *name);
        [given(&for_apps), given(&for_files)]
    }
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let subject = match args.subject() {
        Ok(subject) => subject,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Usage);
        }
    };
    let (mut body, again) = match &subject {
        Subject::Files(paths) => match files::compare(args, paths).await? {
            Ok(body) => (body, files::command(paths)),
            Err(exit) => return Ok(exit),
        },
        Subject::App(app) => match ask(args, app).await? {
            Ok(body) => {
                let again = format!("{} --server {}", command(&body), shell_word(args.server.url.as_str()));
                (body, again)
            }
            Err(exit) => return Ok(exit),
        },
    };
    if args.fail_on.contains(&FailOn::Breach) && body.breaches.is_none() {
        eprintln!(
            "error: --fail-on breach needs approved limits: --baselines FILE, --app NAME, or a server that has them"
        );
        return Ok(Exit::Usage);
    }
    let exit = exit(args, &body);
    let format = if args.json { Format::Json } else { args.format };
    let text = if format == Format::Markdown {
        markdown(&body, args.limit, &again, Some(args.server.base()))
    } else {
        body.cut(args.limit);
        if format == Format::Json {
            serde_json::to_string_pretty(&body)? + "\n"
        } else {
            table::of(&body, args.server.base())
        }
    };
    match common.show(&text) {
        // A reader that closes the pipe does not change the result.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(exit)
}

/// Asks for every row, since the check covers rows that are not shown too.
async fn ask(args: &Args, app: &AppName) -> anyhow::Result<Result<DiffBody, Exit>> {
    let parameters = [
        ("limit", Some("0".to_owned())),
        ("format", Some("json".to_owned())),
        ("type", args.kind.map(|kind| kind.to_string())),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("baselineFrom", args.baseline_from.clone()),
        ("baselineTo", args.baseline_to.clone()),
        ("at", args.at.clone()),
        ("settle", args.settle.clone()),
        ("selector", args.selector.clone()),
        ("baselineSelector", args.baseline_selector.clone()),
    ];
    let text = match server::ask(&args.server.url, ["diff", app.as_str()], &parameters).await? {
        Ok(text) => text,
        Err(exit) => return Ok(Err(exit)),
    };
    let body =
        serde_json::from_str(&text).with_context(|| format!("{} gave an answer that is no diff", args.server.url))?;
    Ok(Ok(body))
}

fn exit(args: &Args, body: &DiffBody) -> Exit {
    if matches!(body.summary.verdict, DiffVerdict::NoData | DiffVerdict::Insufficient) {
        return match args.insufficient {
            None => Exit::NoData,
            Some(Insufficient::Pass) => Exit::Fine,
            Some(Insufficient::Fail) => Exit::CheckFailed,
        };
    }
    let mut rows = body.regressions.iter().chain(&body.improvements);
    let regressed = rows.any(|row| row.verdict == ChangeVerdict::Regressed && row.adjusted_delta >= args.min_delta);
    let breached = body.breaches.as_ref().is_some_and(|breaches| !breaches.is_empty());
    let failed = args.fail_on.iter().any(|what| match what {
        FailOn::Regression => regressed,
        FailOn::Breach => breached,
    });
    if failed { Exit::CheckFailed } else { Exit::Fine }
}
