//! `flamewarden channels`: where a server tells people of alerts, and whether that works.

use anyhow::Context as _;
use serde_json::Value;

use super::lists::{Column, Shown, list};
use super::server::{self, Server};
use super::{Common, Exit};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ChannelsArgs {
    #[command(subcommand)]
    command: Option<ChannelsCommand>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, clap::Subcommand)]
enum ChannelsCommand {
    /// Send a message to a channel, and say what its receiver answered. Exits with 1 where it was not delivered.
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    #[command(flatten)]
    shown: Shown,
    /// The channel.
    #[arg(value_name = "NAME")]
    name: String,
}

const CHANNELS: &[Column] = &[
    ("channel", "name"),
    ("kind", "kind"),
    ("state", "state"),
    ("pending", "pending"),
    ("last ok", "lastOkAt"),
    ("failing since", "failingSince"),
    ("error", "lastError"),
];

pub(super) async fn run(args: &ChannelsArgs, common: &Common) -> anyhow::Result<Exit> {
    if let Some(ChannelsCommand::Test(args)) = &args.command {
        return test(args, common).await;
    }
    list(&args.shown, common, &["channels"], &[], ("channels", CHANNELS)).await
}

async fn test(args: &TestArgs, common: &Common) -> anyhow::Result<Exit> {
    let url = &args.shown.server.url;
    let answer = Server::at(url)?.post(&["channels", &args.name, "test"], &[], &Value::Null).await;
    let text = match server::accepted(url, answer)? {
        Ok(text) => text,
        Err(exit) => return Ok(exit),
    };
    let tested: Value =
        serde_json::from_str(&text).with_context(|| format!("{url} gave an answer that says nothing of a channel"))?;
    let delivered = tested.get("delivered") == Some(&Value::Bool(true));
    let error = tested.get("error").and_then(Value::as_str).unwrap_or_default();
    common.show(&match (args.shown.json, delivered) {
        (true, _) => text + "\n",
        (false, true) => format!("OK: {} took the message\n", args.name),
        (false, false) => format!("PROBLEM: {} did not take the message: {error}\n", args.name),
    })?;
    Ok(if delivered { Exit::Fine } else { Exit::CheckFailed })
}
