//! What the commands that ask about a whole fleet have in common.

use std::fmt::Write as _;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use super::server::{self, ServerAddress};
use super::{Common, Exit};
use crate::bor::Absence;
use crate::bor::fleet::AppErrorBody;
use crate::kernel::ProfileType;

/// The profiles to read, and how to print the answer.
#[derive(Debug, clap::Args)]
pub(super) struct FleetArgs {
    #[command(flatten)]
    server: ServerAddress,
    /// The kind of profile.
    #[arg(long = "type", value_name = "KIND", default_value = "cpu")]
    kind: ProfileType,
    /// The window's start: epoch seconds, RFC 3339, now-90m [default: an hour before its end].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The window's end [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The apps, comma-separated [default: all that have profiles in the window].
    #[arg(long, value_name = "LIST")]
    apps: Option<String>,
    /// Select series of each app: name="value", also !=, =~, !~, joined by commas.
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl FleetArgs {
    /// Asks the server and prints its answer, as it is or as a table.
    pub(super) async fn print<B: DeserializeOwned>(
        &self,
        common: &Common,
        path: &[&str],
        more: &[(&str, Option<String>)],
        table: fn(&B) -> String,
        with_data: fn(&B) -> usize,
    ) -> anyhow::Result<Exit> {
        let mut parameters = vec![
            ("type", Some(self.kind.to_string())),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("apps", self.apps.clone()),
            ("selector", self.selector.clone()),
        ];
        parameters.extend_from_slice(more);
        let text = match server::ask(&self.server.url, path.iter().copied(), &parameters).await? {
            Ok(text) => text,
            Err(exit) => return Ok(exit),
        };
        let body = serde_json::from_str(&text);
        let body = body.with_context(|| format!("{} gave an answer that is none of a fleet", self.server.url))?;
        common.show(&if self.json { text + "\n" } else { table(&body) })?;
        // If no app has data, there is no result to rely on.
        Ok(if with_data(&body) == 0 { Exit::NoData } else { Exit::Fine })
    }
}

/// The first line: what was read, and from which window.
pub(super) fn head(kind: &str, (from, to): (i64, i64), apps: usize, with_data: usize) -> String {
    let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let (from, to) = (at(from).format("%Y-%m-%d %H:%M:%S"), at(to).format("%Y-%m-%d %H:%M:%S"));
    let plural = if apps == 1 { "" } else { "s" };
    format!("{kind} of {apps} app{plural}, {with_data} with data  {from} – {to} UTC\n")
}

/// The last lines: what the answer lacks.
pub(super) fn notes(text: &mut String, errors: &[AppErrorBody], owners: Option<Absence>, few_samples: bool) {
    if few_samples {
        let _ = writeln!(text, "\nnote: ? marks apps with under 100 samples: their shares say little");
    }
    for error in errors {
        let _ = writeln!(text, "\nnote: {} could not be read: {}", error.app, error.detail);
    }
    if owners == Some(Absence::Unavailable) {
        let _ = writeln!(text, "\nnote: owners could not be reached");
    }
}

/// The marks of an app: few samples, and the kind of profile that it was read by in place of the one that was asked for.
pub(super) fn marks(few_samples: bool, read_as: Option<&str>) -> String {
    let read_as = read_as.map_or_else(String::new, |kind| format!(" ({kind})"));
    format!("{}{read_as}", if few_samples { "?" } else { "" })
}
