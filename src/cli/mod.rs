//! The command line: one file per command.
//!
//! Exit codes of all commands: 0 success, 1 the check failed, 2 wrong usage, 3 no data or server unreachable.

mod alerts;
mod audit;
mod channels;
mod completions;
mod config;
mod demo;
mod diff;
mod fleet;
mod hotspots;
mod lists;
mod migrate;
mod openapi;
mod ops;
mod profile_file;
mod push;
mod rules;
mod search;
mod serve;
mod server;
mod terminal;
mod token;
mod triage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::terminal::Color;

use crate::app::InvalidPlan;
use crate::config::{InvalidFile, InvalidSettings, Settings};
use crate::identity::InvalidTokens;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Fine,
    /// It did what was asked, and its check failed.
    CheckFailed,
    /// Its arguments are wrong.
    Usage,
    /// There is no data, or a server cannot be reached.
    NoData,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::CheckFailed => 1,
            Exit::Usage => 2,
            Exit::NoData => 3,
        })
    }
}

/// Reads continuous profiles and says what is wrong, what changed, and whether it breaks an approved limit.
///
/// Without a command it serves: embedded PostgreSQL and profile store, every route on http://127.0.0.1:8080,
/// documentation at /swagger-ui/.
#[derive(Debug, Parser)]
#[command(name = "flamewarden", version, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 fine, 1 the check failed, 2 usage, 3 no data or unreachable.")]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Common {
    /// A file of settings (TOML); `flamewarden config default` prints every key.
    #[arg(long, value_name = "FILE", env = "FLAMEWARDEN_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// When to use colours.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    color: Color,
}

impl Common {
    /// Prints the result of a command.
    fn show(&self, text: &str) -> std::io::Result<()> {
        terminal::show(text, self.color)
    }

    /// The settings of this process.
    fn settings(&self) -> Result<Settings, InvalidSettings> {
        self.settings_with(Vec::new())
    }

    /// The settings of this process, with these values instead of those of the environment.
    fn settings_with(&self, given: Vec<(&str, String)>) -> Result<Settings, InvalidSettings> {
        let settings = Settings::of_process_with(&crate::app::functions(), self.config.as_deref(), given);
        settings.map(|(settings, _)| settings)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the default).
    Serve(serve::Args),
    /// Check the settings, or print the defaults.
    #[command(subcommand)]
    Config(config::Command),
    /// Update the database's schema, revert it, or show its state.
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Say what is wrong with an app, from a server or a file.
    Triage(triage::Args),
    /// Say what changed between two windows of an app, or between two files.
    Diff(diff::Args),
    /// Say which functions cost most over all apps of a server.
    Hotspots(hotspots::Args),
    /// Say which apps run a function, and how much of their time it takes.
    Search(search::Args),
    /// List the apps that have profiles on a server.
    Apps(lists::AppsArgs),
    /// List the services that a server has registered, with their owners.
    Services(lists::ServicesArgs),
    /// List the approved limits of an app on a server.
    Baselines(lists::BaselinesArgs),
    /// List the past assessments of an app on a server.
    History(lists::HistoryArgs),
    /// List what a server does by itself, and how it went.
    Schedule(lists::ScheduleArgs),
    /// List what was changed on a server, by whom and when, or verify that list.
    Audit(audit::AuditArgs),
    /// List where a server tells people of alerts, or try one of these channels.
    Channels(channels::ChannelsArgs),
    /// Run four programs under the profiler, push their profiles to a server, and print its verdicts.
    Demo(demo::Arguments),
    /// List what is wrong on a server, acknowledge or silence it, or say when an alert rule would have fired.
    Alerts(alerts::AlertsArgs),
    /// Say which operation took how long on a server, and where its time went.
    #[command(subcommand)]
    Ops(ops::OpsCommand),
    /// Send profiles from files to a server.
    Push(push::Args),
    /// Make, list and revoke tokens of the file that AUTH_TOKENS_FILE names.
    #[command(subcommand)]
    Token(token::Command),
    /// List, check and explain the rules for frame names.
    Rules(rules::RulesArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the script that completes these commands in a shell.
    Completions(completions::Args),
}

impl Command {
    /// Runs a command on the runtime that [`run`] made.
    async fn run(self, common: &Common) -> anyhow::Result<Exit> {
        match self {
            Self::Serve(args) => serve::run(&args, common).await,
            Self::Config(command) => config::run(&command, common),
            Self::Migrate(command) => migrate::run(&command, common).await,
            Self::Triage(args) => triage::run(&args, common).await,
            Self::Diff(args) => diff::run(&args, common).await,
            Self::Hotspots(args) => hotspots::run(&args, common).await,
            Self::Search(args) => search::run(&args, common).await,
            Self::Apps(args) => lists::apps(&args, common).await,
            Self::Services(args) => lists::services(&args, common).await,
            Self::Baselines(args) => lists::baselines(&args, common).await,
            Self::History(args) => lists::history(&args, common).await,
            Self::Schedule(args) => lists::schedule(&args, common).await,
            Self::Audit(args) => audit::run(&args, common).await,
            Self::Channels(args) => channels::run(&args, common).await,
            Self::Demo(arguments) => demo::run(&arguments, common).await,
            Self::Alerts(args) => alerts::run(&args, common).await,
            Self::Ops(command) => ops::run(&command, common).await,
            Self::Push(args) => push::run(&args, common).await,
            Self::Token(command) => token::run(&command, common),
            Self::Rules(args) => Ok(rules::run(&args)),
            Self::Openapi => openapi::run(),
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let CommandLine { common, command } = CommandLine::parse();
    let command = command.unwrap_or_else(|| Command::Serve(serve::Args::default()));
    let result = actix_web::rt::System::new().block_on(command.run(&common));
    match result {
        Ok(exit) => exit.into(),
        // A reader that closes the pipe early is not an error.
        Err(error) if is_closed_pipe(&error) => Exit::Fine.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            let usage = error.is::<InvalidSettings>() || error.is::<InvalidPlan>();
            let bad_file = error.is::<InvalidFile>() || error.is::<InvalidTokens>();
            if usage || bad_file { Exit::Usage } else { Exit::NoData }.into()
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The environment variables that commands read.
#[cfg(test)]
pub(crate) fn variables() -> std::collections::BTreeSet<String> {
    fn of(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|argument| argument.get_env());
        let own = own.map(|name| name.to_string_lossy().into_owned());
        own.chain(command.get_subcommands().flat_map(of)).collect()
    }
    let options = of(&<CommandLine as clap::CommandFactory>::command());
    options.into_iter().chain([server::TOKEN.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
