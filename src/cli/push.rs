//! `flamewarden push`: sends profiles from files to a server.

mod content;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::StatusCode;

use self::content::{Content, Times};
use super::server::{Server, ServerAddress, refusal, what_to_check};
use super::{Common, Exit};
use crate::kernel::{AppName, Clock as _, ProfileType, SystemClock, Tenant};

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The files: pprof, JFR recordings, folded stacks, flame graph JSON, speedscope, a .cpuprofile of V8, or Pyroscope's
    /// formats in files named .trie or .tree; - reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The app to store them as.
    #[arg(long, value_name = "NAME", value_parser = app)]
    app: AppName,
    #[command(flatten)]
    server: ServerAddress,
    /// What the values count where a file does not say [default: cpu; of bytes in speedscope, bytes].
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<ProfileType>,
    /// A label of the series, such as version=2; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<String>,
    /// The tenant to store them for.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<Tenant>,
    /// When the profiles were taken: epoch seconds, RFC 3339, now-90m [default: what the file says if that is in the last 7
    /// days, else now].
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// An app whose name does not begin labels.
fn app(text: &str) -> Result<AppName, String> {
    if text.contains('{') {
        return Err("must not hold {; labels are given by --label".to_owned());
    }
    text.parse().map_err(|error| format!("{error}"))
}

/// A label as a receiver reads it in the name of the app.
fn label(text: &str) -> Result<String, String> {
    let Some((key, value)) = text.split_once('=') else { return Err("must be KEY=VALUE".to_owned()) };
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    if !is_key {
        return Err("the key must be letters, digits, _ and . only".to_owned());
    }
    if value.trim().is_empty() || value.contains([',', '{', '}']) {
        return Err("the value must not be empty and must not hold , { or }".to_owned());
    }
    Ok(text.to_owned())
}

/// Sends each file. One that cannot be sent is told of, and the others are sent all the same.
pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let server = Server::at(&args.server.url)?;
    let now = SystemClock.now();
    let (mut sent, mut failed) = (Vec::new(), None);
    let bar = bar(args.files.len());
    for path in &args.files {
        let content = match Content::of(path, args.kind, Times { now, given: args.at.is_some() }) {
            Ok(content) => content,
            Err(error) => {
                bar.suspend(|| eprintln!("error: {error}"));
                failed.get_or_insert(error.exit());
                bar.inc(1);
                continue;
            }
        };
        let parameters = parameters(args, &content);
        let answer = server.push(&parameters, args.tenant.as_ref(), content.body).await;
        let answer = answer.with_context(|| format!("{}: {}", path.display(), what_to_check(&args.server.url)));
        let answer = answer.inspect_err(|_| bar.finish_and_clear())?;
        if answer.status == StatusCode::OK {
            let when = content.time.map_or_else(String::new, |at| format!(", taken at {}", rfc3339(at)));
            let text = format!("{}: sent as {}{when}\n", path.display(), content.format);
            bar.suspend(|| common.show(&text))?;
            sent.push(content.time);
        } else {
            bar.suspend(|| eprintln!("error: {}: {}", path.display(), refusal(&answer)));
            failed.get_or_insert(if answer.status == StatusCode::BAD_REQUEST { Exit::Usage } else { Exit::NoData });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !sent.is_empty() {
        common.show(&next(args, &sent, now))?;
    }
    Ok(failed.unwrap_or(Exit::Fine))
}

/// A bar for several files. Only a terminal shows it.
fn bar(files: usize) -> ProgressBar {
    let target = if files > 1 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(u64::try_from(files).ok(), target);
    match ProgressStyle::with_template("{bar:30} {pos} of {len} files") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The parameters of the receiver for one file.
fn parameters(args: &Args, content: &Content) -> Vec<(&'static str, String)> {
    let mut name = args.app.to_string();
    if let Some(suffix) = content.suffix {
        name = format!("{name}.{suffix}");
    }
    if !args.labels.is_empty() {
        name = format!("{name}{{{}}}", args.labels.join(","));
    }
    let mut parameters = vec![("name", name), ("format", content.format.to_owned())];
    if content.suffix.is_some() {
        // Nothing says how long a sample stands for, so that counts stay counts.
        parameters.push(("sampleRate", "0".to_owned()));
    }
    let times = match (&args.at, content.time) {
        (Some(at), _) => Some((at.clone(), at.clone())),
        (None, Some(_)) => None,
        (None, None) => Some((ago(content::SETTLED + content.lasted), ago(content::SETTLED))),
    };
    if let Some((from, until)) = times {
        parameters.extend([("from", from), ("until", until)]);
    }
    parameters
}

/// A time before that of the server's own clock.
fn ago(span: TimeDelta) -> String {
    format!("now-{}s", span.num_seconds())
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The command that judges what was sent. Its window is given where the last hour does not hold all of it.
fn next(args: &Args, sent: &[Option<DateTime<Utc>>], now: DateTime<Utc>) -> String {
    let times = || sent.iter().flatten().copied();
    let mut words = vec!["judge it: flamewarden triage".to_owned(), in_shell(args.app.as_str())];
    if let Some(at) = &args.at {
        words.push(format!("--from {}", in_shell(at)));
    } else if let Some(first) = times().min().filter(|first| *first < now - TimeDelta::minutes(55)) {
        words.push(format!("--from {}", rfc3339(first)));
        // What was sent without a time of its own is of now, where a window ends by default.
        let last = times().max().filter(|_| !sent.contains(&None));
        words.extend(last.map(|last| format!("--to {}", rfc3339(last + TimeDelta::seconds(1)))));
    }
    let is_default = |kind: &ProfileType| matches!(kind, ProfileType::Cpu | ProfileType::Alloc | ProfileType::Samples);
    words.extend(args.kind.filter(|kind| !is_default(kind)).map(|kind| format!("--types {kind}")));
    words.join(" ") + "\n"
}

/// A word as a shell reads it.
fn in_shell(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:+".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Names a file in errors.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("version=2", true)]
    #[case("service.version=2.1/a b", true)]
    #[case("version", false)]
    #[case("=2", false)]
    #[case("a b=2", false)]
    #[case("a=", false)]
    #[case("a=b,c=d", false)]
    #[case("a={b}", false)]
    fn a_label_is_what_a_receiver_reads(#[case] text: &str, #[case] taken: bool) {
        assert_eq!(label(text).is_ok(), taken);
    }

    #[test]
    fn an_app_holds_no_labels() {
        assert!(app("my shop").is_ok());
        assert!(app("shop{a=b}").is_err());
    }
}
