//! `flamewarden rules`: lists the catalogue, checks a directory of rules, explains what the rules say about names, and
//! scores verdicts on labelled profiles.

mod score;

use std::fmt::Write as _;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Exit;
use crate::kernel::ProfileType;
use crate::verdict::{Explanation, Rules, StackExplanation};

/// The rule catalogue: list it, check one, explain what it says of frame names.
#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// List all rules: id, runtime, category, reach and number of patterns, separated by tabs.
    List {
        /// A directory of rules that replaces the built-in files of the same names.
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a directory of rules. If it is not valid, exits with 1 and names the file, the rule and the error.
    Check {
        /// The directory.
        dir: PathBuf,
    },
    /// Print category (or `none`), runtime, rule, canonical form and name of each frame name, one per line; after them the
    /// cause, where one is known.
    Explain {
        /// The file of names, one per line; `-` reads standard input.
        #[arg(value_name = "NAMES", default_value = "-")]
        file: PathBuf,
        /// A directory of rules that replaces the built-in files of the same names.
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
        /// Read folded stacks (root first, joined by `;`, a count at the end) and print the frame that decides the
        /// category of each.
        #[arg(long)]
        stacks: bool,
        /// The kind of profile of the stacks.
        #[arg(long = "type", value_name = "TYPE", default_value = "cpu")]
        kind: ProfileType,
    },
    /// Judge labelled profiles and print how many verdicts are right.
    Score {
        /// The directory: `cases.tsv` with the labels, and the profiles.
        dir: PathBuf,
        /// A directory of rules that replaces the built-in files of the same names.
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Exit with 1 if less than this share of the verdicts is right.
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        min: Option<u8>,
    },
}

/// Runs the command.
pub(super) fn run(args: &RulesArgs) -> Exit {
    let stdout = std::io::stdout();
    let mut out = std::io::BufWriter::new(stdout.lock());
    let code = match &args.command {
        RulesCommand::List { rules, json } => list(rules.as_ref(), *json, &mut out),
        RulesCommand::Check { dir } => check(dir, &mut out),
        RulesCommand::Explain { file, rules, json, stacks, kind } => {
            let view = View { json: *json, stacks: *stacks, kind: *kind };
            explain(file, rules.as_ref(), view, &mut out)
        }
        RulesCommand::Score { dir, rules, json, min } => score(dir, rules.as_ref(), *json, *min, &mut out),
    };
    // A reader that closes the pipe early is not an error.
    if out.flush().is_err() { Exit::Fine } else { code }
}

#[derive(Debug, Clone, Copy)]
struct View {
    json: bool,
    stacks: bool,
    kind: ProfileType,
}

fn catalogue(dir: Option<&PathBuf>) -> Result<std::sync::Arc<Rules>, Exit> {
    match dir {
        None => Ok(Rules::builtin()),
        Some(dir) => Rules::load(dir).map(std::sync::Arc::new).map_err(|error| {
            complain(&error.to_string());
            Exit::CheckFailed
        }),
    }
}

#[expect(clippy::print_stderr, reason = "the command line speaks to its user")]
fn complain(text: &str) {
    eprintln!("{text}");
}

fn list(dir: Option<&PathBuf>, json: bool, out: &mut impl Write) -> Exit {
    let rules = match catalogue(dir) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    for rule in rules.rules() {
        let category = match (rule.category, rule.pass_through) {
            (Some(category), _) => category.as_str(),
            (None, true) => "pass-through",
            (None, false) => "none",
        };
        let reach = format!("{:?}", rule.reach).to_lowercase();
        let line = if json {
            serde_json::json!({
                "id": rule.id, "runtime": rule.runtime, "category": category, "reach": reach, "patterns": rule.patterns
            })
            .to_string()
        } else {
            format!("{}\t{}\t{category}\t{reach}\t{}", rule.id, rule.runtime, rule.patterns)
        };
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Exit::Fine
}

fn check(dir: &Path, out: &mut impl Write) -> Exit {
    match Rules::load(dir) {
        Ok(rules) => {
            let patterns: usize = rules.rules().iter().map(|r| r.patterns).sum();
            drop(writeln!(out, "{} rules with {patterns} patterns, all sound", rules.rules().len()));
            Exit::Fine
        }
        Err(error) => {
            complain(&error.to_string());
            Exit::CheckFailed
        }
    }
}

fn explain(file: &PathBuf, dir: Option<&PathBuf>, view: View, out: &mut impl Write) -> Exit {
    let rules = match catalogue(dir) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        match std::fs::File::open(file) {
            Ok(file) => Box::new(file),
            Err(error) => {
                complain(&format!("{}: {error}", file.display()));
                return Exit::NoData;
            }
        }
    };
    let mut reader = std::io::BufReader::new(input);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.read_until(b'\n', &mut bytes) {
            Ok(0) => return Exit::Fine,
            Ok(_) => {}
            Err(error) => {
                complain(&format!("{}: {error}", file.display()));
                return Exit::NoData;
            }
        }
        if bytes.iter().any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte)) {
            complain(&format!(
                "error: {} is not text: it must hold one name per line (profiles are for `triage --file`)",
                file.display()
            ));
            return Exit::Usage;
        }
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        if writeln!(out, "{}", explain_line(&rules, line, view)).is_err() {
            return Exit::Fine;
        }
    }
}

fn score(dir: &Path, rules: Option<&PathBuf>, json: bool, min: Option<u8>, out: &mut impl Write) -> Exit {
    let rules = match catalogue(rules) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let report = match score::score(&rules, dir) {
        Ok(report) => report,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::NoData;
        }
    };
    let text = if json { serde_json::to_string_pretty(&report).unwrap_or_default() + "\n" } else { report.to_string() };
    drop(out.write_all(text.as_bytes()));
    let too_few = min.is_some_and(|min| report.all.right_percent() < f64::from(min));
    if too_few { Exit::CheckFailed } else { Exit::Fine }
}

fn explain_line(rules: &Rules, line: &str, view: View) -> String {
    if view.stacks {
        let stack = without_count(line);
        let said = rules.explain_stack(stack, view.kind);
        return if view.json { stack_json(&said, stack) } else { stack_text(&said, stack) };
    }
    let said = rules.explain(line, "");
    if view.json { name_json(&said, line) } else { name_text(&said, line) }
}

/// A folded line ends with a space and a number. A stack without them is taken as it is.
fn without_count(line: &str) -> &str {
    match line.rsplit_once(' ') {
        Some((stack, count)) if !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()) => stack,
        _ => line,
    }
}

fn name_text(said: &Explanation, name: &str) -> String {
    let mut text = String::with_capacity(name.len() * 2 + 40);
    let category = said.category.map_or("none", |c| c.as_str());
    let runtime = said.runtime.map_or("-", |r| r.as_str());
    let _ = write!(text, "{category}\t{runtime}\t{}\t{}\t{name}", said.rule.as_deref().unwrap_or("-"), said.canonical);
    if let Some(cause) = &said.cause {
        let _ = write!(text, "\t{cause}");
    }
    text
}

fn name_json(said: &Explanation, name: &str) -> String {
    serde_json::json!({
        "category": said.category.map_or("none", |c| c.as_str()), "runtime": said.runtime, "rule": said.rule,
        "cause": said.cause, "canonical": said.canonical, "name": name
    })
    .to_string()
}

fn stack_text(said: &StackExplanation, stack: &str) -> String {
    let category = said.category.map_or("none", |c| c.as_str());
    let runtime = said.runtime.map_or("-", |r| r.as_str());
    let rule = said.rule.as_deref().unwrap_or("-");
    format!("{category}\t{runtime}\t{rule}\t{}\t{stack}", said.frame.as_deref().unwrap_or("-"))
}

fn stack_json(said: &StackExplanation, stack: &str) -> String {
    serde_json::json!({
        "category": said.category.map_or("none", |c| c.as_str()), "runtime": said.runtime, "rule": said.rule,
        "frame": said.frame, "stack": stack
    })
    .to_string()
}
