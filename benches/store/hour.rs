//! An hour of many apps, pushed over HTTP to the server's own binary, which keeps it in its own, durable PostgreSQL.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::profile::{PprofHeader, ReadLimits, SampleType, read_pprof, write_pprof};
use flamewarden::storage::Embedded;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use super::{Input, later, made_up, read, shared};

/// Between two pushes of an app.
const EVERY_S: i64 = 15;
/// How far ahead of the clock profiles are dated at most; the server takes ten minutes.
const AHEAD_S: i64 = 540;
/// Different profiles of each source; they come again and again, as hours are alike.
const VARIANTS: usize = 240;
/// Pushes in flight.
const SENDERS: usize = 8;
/// Ticks of the operating system's clock for processes.
const TICKS_PER_S: f64 = 100.0;

/// As much of a push as is needed to take the profiles out of a recorded one.
#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
}

/// What real profilers sent: profiles of several languages, and the bodies of recorded pushes.
fn sources() -> Vec<Input> {
    let file = |name: &str| std::fs::read(shared().join(name)).ok();
    let profiles = ["go-cpu", "go-heap", "java-cpu", "node-wall", "node-heap", "python-cpu", "dotnet-3"];
    let mut sources: Vec<Input> = profiles
        .into_iter()
        .filter_map(|name| Some(Input { name, gzip: file(&format!("profiles/{name}.pb.gz"))? }))
        .collect();
    for (name, bodies) in [("python", 3), ("rust", 3), ("node", 5)] {
        for body in (0..bodies).filter_map(|n| file(&format!("captures/{name}/{n}.body"))) {
            let raw = if name == "node" { vec![body] } else { pushed(&body) };
            sources.extend(raw.into_iter().map(|gzip| Input { name, gzip }));
        }
    }
    sources.retain(|input| read_pprof(&input.gzip, &ReadLimits::default()).is_ok_and(|f| f.profile.stack_count() > 0));
    if sources.is_empty() {
        sources.push(made_up());
    }
    sources
}

fn pushed(body: &[u8]) -> Vec<Vec<u8>> {
    let mut plain = Vec::new();
    let read = std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(body), &mut plain);
    let push = read.ok().and_then(|_| Push::decode(plain.as_slice()).ok()).unwrap_or_default();
    push.series.into_iter().flat_map(|series| series.samples).map(|sample| sample.raw_profile).collect()
}

/// The source as it might look at other times, without a time of its own: the server goes by the push's.
fn variants(input: &Input) -> Vec<bytes::Bytes> {
    let (profile, mut state) = (read(input), 1);
    let header = PprofHeader {
        period_type: Some(SampleType::new("cpu", "nanoseconds")),
        period: 10_000_000,
        ..PprofHeader::default()
    };
    (0..VARIANTS).map(|_| write_pprof(&later(&profile, &mut state), &header).into()).collect()
}

/// The server, with a database of its own in a directory that goes with it.
struct Server {
    child: Child,
    base: String,
    data: tempfile::TempDir,
}

impl Server {
    async fn start() -> Result<Self> {
        let data =
            tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(env!("CARGO_BIN_EXE_flamewarden"))
            .env_remove("DATABASE_URL")
            .env_remove("FUNCTION")
            .env("DATA_DIR", data.path())
            .envs([("PORT", port.to_string().as_str()), ("SELF_PROFILE", "false"), ("LOG_LEVEL", "warn")])
            .stdin(Stdio::null())
            .spawn()?;
        let server = Self { child, base: format!("http://127.0.0.1:{port}"), data };
        for _ in 0..600 {
            if reqwest::get(format!("{}/ready", server.base)).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the server is not ready")
    }

    async fn database(&self) -> Result<PgConnection> {
        let options = Embedded::options_of_running(self.data.path()).context("the server's database")?;
        Ok(options.connect().await?)
    }

    /// CPU seconds so far: of the server, and of all processes of its database.
    fn cpu(&self) -> Result<(f64, f64)> {
        let server = self.child.id();
        let mut all: Vec<(u32, u32, f64, f64)> = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let number = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0) / TICKS_PER_S;
            let parent = fields.get(1).and_then(|f| f.parse().ok()).unwrap_or(0);
            all.push((pid, parent, number(11) + number(12), number(13) + number(14)));
        }
        let of = |pid| all.iter().filter(move |process| process.0 == pid).map(|p| p.2).sum::<f64>();
        let children = |pid| all.iter().filter(move |process| process.1 == pid);
        // A backend that ended is counted with its postmaster.
        let database = children(server).flat_map(|p| children(p.0).map(|p| p.2).chain([p.2, p.3])).sum();
        Ok((of(server), database))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that it stops its database.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Pushes the hour and prints what it took.
pub(crate) async fn measure() -> Result<()> {
    let (apps, minutes) = (setting("STORE_APPS", 50), setting("STORE_MINUTES", 60));
    let sources = sources();
    let bodies: Arc<Vec<Vec<bytes::Bytes>>> = Arc::new(sources.iter().map(variants).collect());
    let mean = bodies.iter().flatten().map(|body| body.len() as f64).sum::<f64>() / (bodies.len() * VARIANTS) as f64;
    let server = Server::start().await?;
    // One epoch of each app, as every hour has, and none that is late: what there is of the present hour, and a little
    // of the future, holds as many profiles as a whole one.
    let now = SystemClock.now().timestamp();
    let from = now / 3_600 * 3_600;
    let (times, span) = (i64::try_from(minutes)? * 60 / EVERY_S, (now + AHEAD_S - from).min(3_600));
    let pushes: Vec<(usize, i64)> = (0..times).flat_map(|time| (0..apps).map(move |app| (app, time))).collect();
    let client = reqwest::Client::new();
    let (cpu, begun) = (server.cpu()?, Instant::now());
    stream::iter(pushes.iter().copied())
        .map(|(app, time)| {
            let at = from + span * time / times;
            let bodies = bodies.get(app % bodies.len()).map_or(&[][..], Vec::as_slice);
            let variant = usize::try_from(time).unwrap_or(0).wrapping_add(app) % VARIANTS;
            let url = format!("{}/ingest?format=pprof&name=app-{app}&from={at}&until={}", server.base, at + EVERY_S);
            let request = client.post(url).body(bodies.get(variant).cloned().unwrap_or_default());
            async move { anyhow::Ok(request.send().await?.error_for_status()?) }
        })
        .buffer_unordered(SENDERS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let (wall, after) = (begun.elapsed().as_secs_f64(), server.cpu()?);
    let (own, database) = (after.0 - cpu.0, after.1 - cpu.1);
    let n = pushes.len() as f64;
    println!(
        "{minutes} minutes of {apps} apps ({} sources, {mean:.0} B of gzip a profile): {n} profiles in {wall:.1} s over {SENDERS} connections",
        sources.len(),
    );
    println!(
        "  on one core {:.0} profiles/s, the database with it ({:.2} ms of the server, {:.2} ms of PostgreSQL each); the server alone {:.0}/s",
        n / (own + database),
        own * 1_000.0 / n,
        database * 1_000.0 / n,
        n / own,
    );
    sizes(&server, n).await?;
    tables(&server, apps, from, from + 3_600).await
}

/// What is on disk, indexes and all.
async fn sizes(server: &Server, profiles: f64) -> Result<()> {
    let mut database = server.database().await?;
    sqlx::raw_sql("VACUUM (ANALYZE) profile_store.block").execute(&mut database).await?;
    sqlx::raw_sql("VACUUM (ANALYZE) profile_store.dict").execute(&mut database).await?;
    let mut size = Vec::new();
    for table in ["block", "dict"] {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::int8 FROM pg_inherits WHERE inhparent = ('profile_store.' || $1)::regclass";
        let bytes: i64 = sqlx::query_scalar(sql).bind(table).fetch_one(&mut database).await?;
        size.push(bytes as f64);
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM profile_store.block").fetch_one(&mut database).await?;
    database.close().await?;
    ensure!(rows as f64 >= profiles, "{rows} rows of {profiles} profiles");
    let (blocks, dictionaries) = (size.first().copied().unwrap_or(0.0), size.get(1).copied().unwrap_or(0.0));
    println!(
        "  on disk after a vacuum {:.0} B a profile: {:.0} of values, {:.0} of dictionary ({:.0} %)",
        (blocks + dictionaries) / profiles,
        blocks / profiles,
        dictionaries / profiles,
        dictionaries * 100.0 / (blocks + dictionaries),
    );
    Ok(())
}

/// How long the function table of the hour takes, app by app: first with nothing in memory, then again.
async fn tables(server: &Server, apps: usize, from: i64, to: i64) -> Result<()> {
    let client = reqwest::Client::new();
    let kinds = ["cpu", "alloc", "wall", "inuse"];
    for round in ["first", "again"] {
        let mut times = Vec::new();
        for app in 0..apps {
            for kind in kinds {
                let url = format!("{}/profiles/app-{app}?type={kind}&from={from}&to={to}&limit=0", server.base);
                let begun = Instant::now();
                let answer = client.get(url).send().await?.error_for_status()?.text().await?;
                if !answer.contains("\"totalSamples\":0,") {
                    times.push(begun.elapsed().as_secs_f64() * 1_000.0);
                    break;
                }
            }
        }
        times.sort_by(f64::total_cmp);
        let at = |share: usize| {
            times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied().unwrap_or(0.0)
        };
        println!(
            "  table of the hour, asked {round}: median {:.1} ms, slowest app {:.1} ms ({} apps)",
            at(50),
            at(100),
            times.len()
        );
    }
    Ok(())
}
