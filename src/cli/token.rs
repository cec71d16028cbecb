//! `flamewarden token`: makes, lists and revokes tokens of a file. The server reads a changed file within seconds.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};

use super::{Common, Exit};
use crate::identity::{Token, TokenEntry, TokenFile, TokenName};
use crate::kernel::{Clock, Role, SystemClock, Text255, parse_duration};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, once. Its entry goes into a file, or to standard error.
    New(NewArgs),
    /// List the tokens of a file: names, roles, projects and ends.
    List(ListArgs),
    /// Take a token out of a file.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Its name, which the audit log shows: a-z, 0-9, '.', '_' and '-'.
    #[arg(long)]
    name: TokenName,
    /// What its bearer may do: ingest, viewer, editor, admin, or service for another Flamewarden.
    #[arg(long)]
    role: Role,
    /// A project that it is limited to; may be given several times. Without one: all.
    #[arg(long = "project", value_name = "PROJECT")]
    projects: Vec<Text255>,
    /// When it ends, from now, such as 90d or 12h. Without: never.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<std::time::Duration>,
    /// The file to put it into, which is made where it is absent. Without: the entry is printed to standard error.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The file.
    #[arg(long, value_name = "FILE", env = "AUTH_TOKENS_FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// The name of the token.
    name: TokenName,
    /// The file.
    #[arg(long, value_name = "FILE", env = "AUTH_TOKENS_FILE")]
    file: PathBuf,
}

fn lifetime(text: &str) -> Result<std::time::Duration, &'static str> {
    parse_duration(text).filter(|time| !time.is_zero()).ok_or("must be a length of time such as 90d or 12h")
}

pub(super) fn run(command: &Command, common: &Common) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    match command {
        Command::New(args) => new(args, now),
        Command::List(args) => {
            common.show(&table(&TokenFile::read(&args.file)?, now))?;
            Ok(Exit::Fine)
        }
        Command::Revoke(args) => revoke(args),
    }
}

fn new(args: &NewArgs, now: DateTime<Utc>) -> anyhow::Result<Exit> {
    let token = Token::random().context("the system has no random bytes")?;
    let expires = args.expires.map(|time| now.checked_add_signed(chrono::Duration::from_std(time).ok()?));
    let entry = TokenEntry {
        name: args.name.clone(),
        digest: token.digest(),
        role: args.role,
        projects: (!args.projects.is_empty()).then(|| args.projects.clone()),
        expires: expires.map(|end| end.context("--expires is too far away")).transpose()?,
    };
    match &args.file {
        None => {
            // The same checks as in a file.
            TokenFile::default().with(&entry)?;
            eprint!("{entry}");
        }
        Some(path) => {
            let _lock = lock(path)?;
            let file = if path.exists() { TokenFile::read(path)? } else { TokenFile::default() };
            write(path, &file.with(&entry)?)?;
        }
    }
    writeln!(std::io::stdout(), "{}", token.reveal())?;
    Ok(Exit::Fine)
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<Exit> {
    let _lock = lock(&args.file)?;
    let Some(left) = TokenFile::read(&args.file)?.without(&args.name)? else {
        eprintln!("error: {} has no token {}", args.file.display(), args.name);
        return Ok(Exit::NoData);
    };
    write(&args.file, &left)?;
    Ok(Exit::Fine)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Keeps other commands from changing the tokens in a folder meanwhile, as long as the answer lives.
fn lock(path: &Path) -> anyhow::Result<fs::File> {
    let folder = folder(path);
    let locked = fs::File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.with_context(|| format!("{} cannot be locked", folder.display()))
}

/// Replaces a file by renaming, so that a server never reads half of it. A new file may be read by its owner alone;
/// another keeps its owner and mode, so that a server that could read it still can.
fn write(path: &Path, file: &TokenFile) -> anyhow::Result<()> {
    // Behind a link the file itself is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(path).ok();
    let name = path.file_name().context("the file has no name")?.to_string_lossy();
    let beside = folder(path).join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        out.write_all(file.text().as_bytes())?;
        if let Some(before) = &before {
            fchown(&out, Some(before.uid()), Some(before.gid()))?;
            out.set_permissions(before.permissions())?;
        }
        out.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| format!("{} cannot be written with its owner and mode", path.display()))
}

fn table(file: &TokenFile, now: DateTime<Utc>) -> String {
    let width = file.entries().iter().map(|entry| entry.name.text().as_str().len()).max().unwrap_or(0).max(4);
    let mut text = format!("{:width$}  {:7}  {:20}  projects\n", "name", "role", "expires");
    for TokenEntry { name, role, projects, expires, .. } in file.entries() {
        let end = match expires {
            None => "never".to_owned(),
            Some(end) if *end <= now => "expired".to_owned(),
            Some(end) => end.to_rfc3339_opts(SecondsFormat::Secs, true),
        };
        let projects = projects.as_ref().map_or_else(
            || "all".to_owned(),
            |projects| projects.iter().map(Text255::as_str).collect::<Vec<_>>().join(", "),
        );
        let (name, role) = (name.to_string(), role.as_str());
        let _ = writeln!(text, "{name:width$}  {role:7}  {end:20}  {projects}");
    }
    text
}
