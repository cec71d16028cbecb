//! Thirty days of operations, rolled up.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, Days, TimeDelta, Utc};
use flamewarden::kernel::{Call, Clock, SystemClock};
use flamewarden::sor::performance::{AlertSettings, OperationRounds};
use flamewarden::storage::{Db, Embedded, PartitionedTable, Period, PoolSettings, TableName};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

pub(crate) const DAYS: u64 = 30;

/// A database that holds them.
pub(crate) struct Filled {
    pub(crate) options: PgConnectOptions,
    pub(crate) db: Db,
    pub(crate) now: DateTime<Utc>,
    pub(crate) rows: u64,
}

pub(crate) fn call() -> Call {
    Call::system("bench")
}

pub(crate) fn rounds(db: &Db) -> OperationRounds {
    let alerts = AlertSettings { quiet: Duration::from_secs(900), least_count: 3, least_percent: 5 };
    OperationRounds::new(db.clone(), alerts)
}

pub(crate) fn days(retention: Option<TimeDelta>) -> PartitionedTable {
    PartitionedTable {
        name: const { TableName::new("perf", "operation") },
        period: Period::Day,
        days_ahead: 4,
        retention,
        lock_timeout: Duration::from_millis(50),
    }
}

impl Filled {
    /// Fills a new cluster, evenly over the days until now, and prints how large the tables are.
    pub(crate) async fn of(cluster: &Embedded, rows: u64) -> Result<Self> {
        let options = cluster.connect_options();
        let db = Db::open(
            options.clone(),
            PoolSettings { query_timeout: Duration::from_secs(3_600), ..PoolSettings::of_size(8) },
        );
        db.prepare(true).await?;
        let (now, began) = (SystemClock.now(), Instant::now());
        let first = now.date_naive() - Days::new(DAYS);
        days(None).make(&db, (0..=DAYS + 3).map(|ahead| first + Days::new(ahead))).await?;
        let filled = Self { options, db, now, rows };
        let mut session = filled.session().await?;
        // A log-normal of a median of 20 ms, a hundredth of it failed. Numbers of a row come from its place.
        let insert = format!(
            "INSERT INTO perf.operation (ended_at, duration_us, operation_type, scope, user_name, failed, trace_id, span_id)
             SELECT now() - interval '{DAYS} days' + place * interval '{DAYS} days' / {rows},
                    least(20000 * exp(sqrt(-2 * ln((hash % 1000003 + 1) / 1000004.0)) * cos(6.2832 * (hash / 1000003 % 1009) / 1009.0)), 2e12)::bigint,
                    'type ' || place % 10, 'scope ' || place / 10 % 10, 'user ' || hash % 20, hash % 100 = 0,
                    md5(place::text)::uuid, hash
             FROM (SELECT place, abs(hashint8extended(place, 7)) AS hash FROM generate_series(0, {rows} - 1) AS places(place)) AS made"
        );
        run(&mut session, &insert).await?;
        run(&mut session, "VACUUM (ANALYZE) perf.operation").await?;
        println!("{rows} operations of {DAYS} days were written in {:.0} s", began.elapsed().as_secs_f64());
        let began = Instant::now();
        // The first call only notes how far writers may still be.
        while rounds(&filled.db).roll_up(&call()).await?.is_none_or(|through| through < now - TimeDelta::hours(1)) {}
        run(&mut session, "VACUUM (ANALYZE) perf.rollup_hour, perf.rollup_day").await?;
        println!("and rolled up in {:.0} s", began.elapsed().as_secs_f64());
        Ok(filled)
    }

    pub(crate) async fn session(&self) -> Result<PgConnection> {
        Ok(self.options.clone().disable_statement_logging().connect().await?)
    }

    /// Bytes of all tables and indexes of these names.
    pub(crate) async fn bytes(&self, tables: &str) -> Result<f64> {
        let sql = format!(
            "SELECT sum(pg_total_relation_size(c.oid))::float8 FROM pg_class AS c
             WHERE c.relnamespace = 'perf'::regnamespace AND c.relkind = 'r' AND c.relname ~ '{tables}'"
        );
        Ok(sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.session().await?).await?.get(0))
    }
}

/// Runs statements and throws their rows away.
pub(crate) async fn run(session: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session).await?;
    Ok(())
}

/// How long statements take, in milliseconds.
pub(crate) async fn timed(session: &mut PgConnection, sql: &str) -> Result<f64> {
    let began = Instant::now();
    run(session, sql).await?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}
