//! `flamewarden migrate`: updates a schema, reverts it, and shows its state.

use std::path::Path;

use clap::Subcommand;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{Common, Exit};
use crate::storage::migrate::{self, State};
use crate::storage::{self, Embedded, EmbeddedError};

/// What to do with the schema of the configured database (without one, the embedded database).
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Apply pending migrations, in order.
    Up {
        /// Stop after the migration of this number.
        #[arg(long, value_name = "NUMBER")]
        to: Option<i64>,
    },
    /// Revert the newest migration.
    Down {
        /// Revert all migrations newer than this number.
        #[arg(long, value_name = "NUMBER", conflicts_with = "all")]
        to: Option<i64>,
        /// Revert all migrations.
        #[arg(long)]
        all: bool,
        /// Delete the rows of tables and columns that are dropped.
        #[arg(long)]
        yes: bool,
    },
    /// List all migrations and their state; exits with 1 if one is pending or changed.
    Status,
    /// Print the DDL, to run it by hand; needs no database.
    Sql,
}

pub(super) async fn run(command: &Command, common: &Common) -> anyhow::Result<Exit> {
    if matches!(command, Command::Sql) {
        print!("{}", migrate::sql());
        return Ok(Exit::Fine);
    }
    let settings = common.settings()?;
    let data_dir = &settings.server.data_dir;
    if matches!(command, Command::Status)
        && storage::options_of(&settings.database)?.is_none()
        && !Embedded::has_cluster(data_dir)
    {
        eprintln!("there is no embedded database in {} yet: the first start makes it", data_dir.display());
        return Ok(report(migrate::status_without_database()));
    }
    let (mut connection, embedded) = connect(&settings.database, data_dir).await?;
    let exit = act(command, &mut connection).await;
    let _ = connection.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    exit
}

async fn connect(
    settings: &crate::config::DatabaseSettings,
    data_dir: &Path,
) -> anyhow::Result<(PgConnection, Option<Embedded>)> {
    if let Some(options) = storage::options_of(settings)? {
        return Ok((options.connect().await?, None));
    }
    match Embedded::start(storage::embedded_settings(settings, data_dir)).await {
        Ok(embedded) => Ok((embedded.connect_options().connect().await?, Some(embedded))),
        // A server is running on this directory. Its database is used here too.
        Err(error @ EmbeddedError::InUse { .. }) => match Embedded::options_of_running(data_dir) {
            Some(options) => Ok((options.connect().await?, None)),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn act(command: &Command, connection: &mut PgConnection) -> anyhow::Result<Exit> {
    match command {
        Command::Up { to } => {
            say("applied", &migrate::up(connection, *to).await?);
            Ok(Exit::Fine)
        }
        Command::Down { to, all, yes } => {
            let target = if *all { Some(0) } else { *to };
            match migrate::down(connection, target, *yes).await {
                Ok(done) => {
                    say("taken back", &done);
                    Ok(Exit::Fine)
                }
                Err(error @ migrate::MigrateError::HoldsRows(_)) => {
                    eprintln!("error: {error}");
                    Ok(Exit::CheckFailed)
                }
                Err(error) => Err(error.into()),
            }
        }
        Command::Status => Ok(report(migrate::status(connection).await?)),
        Command::Sql => Ok(Exit::Fine),
    }
}

fn say(what: &str, versions: &[i64]) {
    if versions.is_empty() {
        println!("nothing to do");
    }
    for version in versions {
        println!("{what}: {version:04}");
    }
}

/// Prints the state of migrations.
fn report(statuses: Vec<migrate::Status>) -> Exit {
    let mut exit = Exit::Fine;
    for migrate::Status { version, name, state } in statuses {
        let state = match state {
            State::Pending => {
                exit = Exit::CheckFailed;
                "pending".to_owned()
            }
            State::Applied(at) => format!("applied {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
            State::Changed(at) => {
                exit = Exit::CheckFailed;
                format!("applied {} in another form", at.format("%Y-%m-%dT%H:%M:%SZ"))
            }
            State::Newer(at) => format!("applied {} by a newer binary", at.format("%Y-%m-%dT%H:%M:%SZ")),
        };
        println!("{version:04}  {name:<40}  {state}");
    }
    exit
}
