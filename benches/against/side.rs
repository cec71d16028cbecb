//! A server that is measured: this build's, or one that runs already.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use flamewarden::storage::Embedded;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, StatusCode};
use sqlx::{ConnectOptions, Connection};

use crate::cluster::Cluster;
use crate::process::{Process, cpu_us, memory_mib};
use crate::workload::Upload;

/// Where a server's processes and files are.
enum Place {
    /// The release binary, with its database in this directory.
    Own { process: Process, data: tempfile::TempDir },
    /// A server of somebody else.
    Other { pid: u32, data: PathBuf },
}

/// A server that is measured.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) base: String,
    pub(crate) client: Client,
    place: Place,
}

/// Answers are not packed: that would be most of what a large one costs.
fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().no_gzip().timeout(Duration::from_secs(60)).build()?)
}

impl Side {
    /// This build's server, which listens at `address`.
    pub(crate) async fn own(address: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let directory = data.path().to_str().context("a temporary directory with a plain name")?.to_owned();
        let process = crate::process::start(address, "all", &[("DATA_DIR", &directory)])?;
        let place = Place::Own { process, data };
        Self { name: "ours", base: format!("http://{address}"), client: client()?, place }.ready().await
    }

    /// The server at `AGAINST`, a process with the id `AGAINST_PID`, which keeps profiles in the directory
    /// `AGAINST_DATA`; none if the first is not set.
    pub(crate) async fn other() -> Result<Option<Self>> {
        let Ok(base) = std::env::var("AGAINST") else { return Ok(None) };
        let pid = std::env::var("AGAINST_PID").context("AGAINST_PID")?.parse()?;
        let data = std::env::var("AGAINST_DATA").context("AGAINST_DATA")?.into();
        Ok(Some(Self { name: "theirs", base, client: client()?, place: Place::Other { pid, data } }.ready().await?))
    }

    /// A server of ours without a database, which is not measured itself.
    pub(crate) async fn behind(address: &str, process: Process) -> Result<Self> {
        let place = Place::Own { process, data: tempfile::tempdir()? };
        Self { name: "behind", base: format!("http://{address}"), client: client()?, place }.ready().await
    }

    async fn ready(self) -> Result<Self> {
        for _ in 0..600 {
            let answer = self.client.get(format!("{}/ready", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(self);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{} is not ready", self.base)
    }

    /// CPU seconds so far, with the database's.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let us = match &self.place {
            Place::Own { process, data } => cpu_us(process.id())? + Cluster::of(data.path())?.cpu_us()?,
            Place::Other { pid, .. } => cpu_us(*pid)?,
        };
        Ok(us / 1e6)
    }

    /// Resident memory, and what the database's processes have of it.
    pub(crate) fn resident_mib(&self) -> Result<(f64, f64)> {
        match &self.place {
            Place::Own { process, data } => {
                let database = proportional_mib(&Cluster::of(data.path())?.processes()?);
                Ok((memory_mib(process.id(), "VmRSS:")? + database, database))
            }
            Place::Other { pid, .. } => Ok((memory_mib(*pid, "VmRSS:")?, 0.0)),
        }
    }

    /// Bytes on disk of profiles: of our tables with their indexes, or of their files.
    pub(crate) async fn bytes(&self) -> Result<f64> {
        let Place::Own { data, .. } = &self.place else { return self.file_bytes() };
        let options = Embedded::options_of_running(data.path()).context("the server's database")?;
        let mut database = options.connect().await?;
        for table in ["block", "dict"] {
            let vacuum = sqlx::AssertSqlSafe(format!("VACUUM (ANALYZE) profile_store.{table}"));
            sqlx::raw_sql(vacuum).execute(&mut database).await?;
        }
        let sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c \
                   JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'profile_store' AND c.relkind = 'r'";
        let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&mut database).await?;
        database.close().await?;
        Ok(bytes as f64)
    }

    fn file_bytes(&self) -> Result<f64> {
        let Place::Other { data, .. } = &self.place else { return Ok(0.0) };
        let (mut open, mut sum) = (vec![data.clone()], 0);
        while let Some(directory) = open.pop() {
            // What is compacted may go while it is read.
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(file) if file.is_dir() => open.push(entry.path()),
                    Ok(file) => sum += file.len(),
                    Err(_) => {}
                }
            }
        }
        Ok(sum as f64)
    }

    /// Sends these, so many at once. Returns the seconds it took.
    pub(crate) async fn push(&self, uploads: &[Upload], at_once: usize) -> Result<f64> {
        let begun = Instant::now();
        stream::iter(uploads)
            .map(|upload| self.upload(upload))
            .buffer_unordered(at_once)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Sends one, again where the server has too much to do.
    async fn upload(&self, upload: &Upload) -> Result<()> {
        loop {
            let answer = upload.request(&self.client, &self.base).send().await?;
            match answer.status() {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                status => {
                    let why = if status.is_success() { String::new() } else { answer.text().await? };
                    ensure!(status.is_success(), "{}: {status} {why}", self.name);
                    return Ok(());
                }
            }
        }
    }
}

/// Memory of processes, where what several share counts once.
fn proportional_mib(processes: &[(String, f64)]) -> f64 {
    let of = |pid: &str| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()
    };
    processes.iter().filter_map(|(pid, _)| of(pid)).sum::<f64>() / 1024.0
}
