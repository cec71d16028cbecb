//! Closed hours: what rolling one up costs and weighs, and how long a day of them takes, with rollups and without.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use flamewarden::kernel::{Call, FixedClock, ProfileType, Selector, Tenant, TimeWindow};
use flamewarden::profile::{FunctionTable, Profile, ProfileBuilder, SampleType};
use flamewarden::sor::profile_data::store::{ProfileStore, PushId, Pushed, StoreSettings};
use flamewarden::sor::profile_data::{ProfileDataSor, ProfileQuery};
use sqlx::{ConnectOptions, Connection};

use super::{Input, PER_HOUR, later, random, read, shared};
use crate::testing;

/// Tables asked for, of which the fastest and the median are shown.
const ROUNDS: usize = 9;

const SOURCES: [(&str, &str, ProfileType); 4] = [
    ("go-cpu", "process_cpu", ProfileType::Cpu),
    ("java-cpu", "process_cpu", ProfileType::Cpu),
    ("go-heap", "memory", ProfileType::Inuse),
    ("node-wall", "wall", ProfileType::Wall),
];

/// Prints what rollups of so many hours do for each source.
pub(crate) async fn measure(hours: u32) -> Result<()> {
    for (name, called, kind) in SOURCES {
        if let Ok(gzip) = std::fs::read(shared().join(format!("profiles/{name}.pb.gz"))) {
            let (profile, mut state) = (read(&Input { name, gzip }), 1);
            of((name, called, kind), || later(&profile, &mut state), hours).await?;
        }
    }
    let mut state = 1;
    of(("long-tail", "process_cpu", ProfileType::Cpu), || long_tail(&mut state), hours).await
}

/// A busy core for 15 s, 1,500 samples: most of its stacks are never seen again.
fn long_tail(state: &mut u32) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let functions: Vec<_> =
        (0..2_000).map(|i| builder.function(&format!("service.Handler.process{i}"), "Handler.java")).collect();
    let mut stacks: BTreeMap<Vec<usize>, i64> = BTreeMap::new();
    for _ in 0..1_500 {
        let mut stack = vec![0];
        for _ in 0..20 + random(state, 10) {
            let branch = if random(state, 16) > 0 { 0 } else { 1 + random(state, 3) as usize };
            let caller = stack.last().copied().unwrap_or(0);
            stack.push((caller * 31 + 7 + branch * 613) % 2_000);
        }
        stack.reverse();
        *stacks.entry(stack).or_default() += 10_000_000;
    }
    for (stack, value) in stacks {
        builder.add(stack.into_iter().filter_map(|f| functions.get(f).copied()), &[value]);
    }
    builder.build()
}

async fn of(
    (name, called, kind): (&str, &str, ProfileType),
    mut next: impl FnMut() -> Profile,
    hours: u32,
) -> Result<()> {
    let database = testing::database().await;
    let begin: DateTime<Utc> = "2026-11-20T00:00:00Z".parse()?;
    let clock = Arc::new(FixedClock::at(begin));
    let store = ProfileStore::new(database.db.clone(), clock.clone(), StoreSettings::default());
    store.maintain().await?;
    for n in 0..hours * PER_HOUR {
        let time = begin + TimeDelta::seconds(i64::from(n) * 3_600 / i64::from(PER_HOUR));
        clock.set(time);
        let profile = next();
        let pushed = Pushed {
            app: name.parse()?,
            name: called.to_owned(),
            labels: BTreeMap::new(),
            tenant: Tenant::default(),
            sample_types: profile.sample_types().to_vec(),
            profile,
            period_type: Some(SampleType::new("cpu", "nanoseconds")),
            period: 10_000_000,
            time,
            duration: TimeDelta::seconds(15),
            id: PushId::of([n.to_le_bytes().as_slice()]),
        };
        store.push(vec![pushed]).await?;
    }
    let end = begin + TimeDelta::hours(i64::from(hours));
    clock.set(end + TimeDelta::hours(1));
    let selector = Selector::default();
    let (app, window, tenant) = (name.parse()?, TimeWindow::new(begin, end)?, None);
    let query = ProfileQuery { app, kind, window, selector, tenant };
    let (before, from_blocks) = timed(&store, &query).await?;
    let started = Instant::now();
    let rolled = store.maintain().await?.rolled;
    let each = started.elapsed().as_secs_f64() * 1_000.0 / f64::from(hours);
    ensure!(rolled == hours as usize, "{rolled} hours were rolled up");
    let (after, from_rollups) = timed(&store, &query).await?;
    ensure!(from_blocks == from_rollups, "rollups answer otherwise than blocks");
    let mut connection = database.connect_options().connect().await?;
    let sizes = "SELECT avg(octet_length(heads))::float8, avg(octet_length(body))::float8,
                        (SELECT sum(octet_length(body))::float8 FROM profile_store.block),
                        (SELECT sum(octet_length(body))::float8 FROM profile_store.dict) FROM profile_store.rollup";
    let (heads, body, blocks, dictionary): (f64, f64, f64, f64) =
        sqlx::query_as(sizes).fetch_one(&mut connection).await?;
    let (blocks, dictionary) = (blocks / f64::from(hours), dictionary / f64::from(hours));
    connection.close().await?;
    println!(
        "{name} for {hours} h: table from blocks {:.1} ms (best {:.1}), from rollups {:.1} ms (best {:.1}); rolling up {each:.1} ms an hour, {heads:.0} B of heads and {body:.0} B of stacks for {blocks:.0} B of blocks and {dictionary:.0} B of dictionaries",
        before.1, before.0, after.1, after.0,
    );
    Ok(())
}

/// Best and median milliseconds of the function table, and the table.
async fn timed(store: &ProfileStore, query: &ProfileQuery) -> Result<((f64, f64), Vec<(String, i64, i64)>)> {
    let (mut times, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let merged = store.merged(&Call::default(), query).await?.context("nothing was stored")?;
        let table = FunctionTable::of(&merged.profile, 0);
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        rows = table.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks, row.total_ticks)).collect();
    }
    times.sort_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or(0.0);
    Ok(((at(0), at(ROUNDS / 2)), rows))
}
