//! What recording costs: beside a plain INSERT, a COPY, and a batch over HTTP beside one without it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::SecondsFormat;
use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::sor::performance::{self, Ended, MetricBatch, Micros, NewMetric, OperationSor, SpanIds};
use futures::future::try_join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::data::{Filled, call, run};
use crate::process::start;
use crate::{RUNS, ratio, readable, show};

const CLIENTS: usize = 4;
const BATCH: usize = 500;
const SERVER: &str = "127.0.0.1:19058";

/// Prints the figures.
pub(crate) async fn measure(filled: &Filled, length: Duration) -> Result<()> {
    run(
        &mut filled.session().await?,
        "CREATE TABLE heap (at timestamptz, id bigint, us bigint, kind text, scope text, who text)",
    )
    .await?;
    let mut pairs = Vec::new();
    for _ in 0..RUNS {
        let record = "SELECT perf.record_performance_metric($1, $2, p_scope => $3)";
        let insert = "INSERT INTO heap SELECT now(), 1, $2::bigint, $1::text, $3::text, current_user";
        pairs.push((one_by_one(filled, record, length).await?, one_by_one(filled, insert, length).await?));
    }
    let (of_record, record, insert) = ratio(&pairs);
    show("record ÷ durable INSERT, 4 clients", of_record, "≥ 0.7 (0.5)", &format!("{record:.0}/s ÷ {insert:.0}/s"));

    let operations = performance::local(filled.db.clone()).operations;
    let (mut session, directory) = (filled.session().await?, tempfile::tempdir()?);
    readable(directory.path())?;
    let mut pairs = Vec::new();
    for _ in 0..RUNS {
        let batch = batched(&*operations, length).await?;
        pairs.push((batch, copied(&mut session, &directory.path().join("rows"), length).await?));
    }
    let (of_batch, batch, copy) = ratio(&pairs);
    show("batch of 500 ÷ COPY of the same rows", of_batch, "≥ 0.8 (0.6)", &format!("{batch:.0}/s ÷ {copy:.0}/s"));
    over_http(filled, &operations, length).await
}

/// How many statements of 4 clients succeed in a second.
async fn one_by_one(filled: &Filled, sql: &'static str, length: Duration) -> Result<f64> {
    let mut sessions = Vec::new();
    for _ in 0..CLIENTS {
        sessions.push(filled.session().await?);
    }
    let began = Instant::now();
    let clients = sessions.into_iter().enumerate().map(|(client, mut session)| async move {
        let mut done = 0_u32;
        while began.elapsed() < length {
            let (kind, scope) = (format!("type {}", done % 10), format!("scope {client}"));
            sqlx::query(sql).bind(kind).bind(20_000 + i64::from(done)).bind(scope).execute(&mut session).await?;
            done += 1;
        }
        anyhow::Ok(done)
    });
    let done: u32 = try_join_all(clients).await?.into_iter().sum();
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

fn metric(place: usize) -> Result<NewMetric> {
    let id =
        |prefix: u64| format!("{:016x}", prefix.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(place as u64 + 1));
    let now = SystemClock.now();
    let nanos = now.timestamp_nanos_opt().unwrap_or_default().unsigned_abs();
    let kind = format!("type {}", place % 10).parse()?;
    let duration = Micros::try_from(20_000 + i64::try_from(place)?).map_err(anyhow::Error::msg)?;
    let trace = format!("{}{}", id(nanos), id(7)).parse()?;
    Ok(NewMetric {
        scope: format!("scope {}", place / 10 % 10).parse()?,
        user_name: Some("bench".parse()?),
        ended: Ended::At(now),
        span: Some(SpanIds { trace, span: id(nanos).parse()?, parent: None }),
        ..NewMetric::new(kind, duration)
    })
}

fn metrics() -> Result<Vec<NewMetric>> {
    (0..BATCH).map(metric).collect()
}

/// Rows a second of one client that records batches.
async fn batched(operations: &dyn OperationSor, length: Duration) -> Result<f64> {
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < length {
        let batch = MetricBatch { metrics: metrics()?.into_iter().enumerate().collect(), rejected: Vec::new() };
        rows += operations.record_all(&call(), batch, None).await?.accepted;
    }
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

/// Rows a second of one client that copies such rows into the same table, from a file of the server: the driver's own COPY
/// waits 40 ms for an acknowledgement each time.
async fn copied(session: &mut PgConnection, file: &Path, length: Duration) -> Result<f64> {
    let columns = "ended_at, duration_us, operation_type, scope, user_name, trace_id, span_id";
    let copy = format!("COPY perf.operation ({columns}) FROM '{}'", file.display());
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < length {
        let lines = metrics()?.into_iter().filter_map(|metric| {
            let span = metric.span?;
            let Ended::At(ended) = metric.ended else { return None };
            let number = u64::from_str_radix(span.span.as_str(), 16).ok()?.cast_signed();
            Some(format!(
                "{}\t{}\t{}\t{}\tbench\t{}\t{number}\n",
                ended.to_rfc3339_opts(SecondsFormat::Micros, true),
                metric.duration.get(),
                metric.operation_type,
                metric.scope,
                span.trace
            ))
        });
        let lines: String = lines.collect();
        std::fs::write(file, lines)?;
        rows += sqlx::query(AssertSqlSafe(copy.clone())).execute(&mut *session).await?.rows_affected();
    }
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

/// Batches over HTTP with 4 connections, beside those without it.
async fn over_http(filled: &Filled, operations: &Arc<dyn OperationSor>, length: Duration) -> Result<()> {
    let options = &filled.options;
    let url = sqlx::ConnectOptions::to_url_lossy(options).to_string();
    let data = tempfile::tempdir()?;
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("DATA_DIR", data.path().to_str().unwrap_or_default()),
        ("SELF_RECORD", "false"),
        ("MIGRATE", "false"),
    ];
    let _server = start(SERVER, "ReadPyroscopePerformance.sor.v1", &variables)?;
    let client = reqwest::Client::new();
    let address = format!("http://{SERVER}/performance/metrics/batch");
    let body = json!({"metrics": metrics()?.iter().map(body_of).collect::<Vec<_>>()});
    let mut ready = false;
    for _ in 0..300 {
        let sent = client.post(&address).json(&json!({"metrics": []})).send().await;
        ready = sent.is_ok_and(|answer| answer.status().is_success());
        if ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(ready, "the server does not answer at {address}");
    let mut pairs = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|_| async {
            let mut rows = 0;
            while began.elapsed() < length {
                let answer: Value = client.post(&address).json(&body).send().await?.error_for_status()?.json().await?;
                rows += answer.get("accepted").and_then(Value::as_u64).unwrap_or_default();
            }
            anyhow::Ok(rows)
        });
        let rows: u64 = try_join_all(clients).await?.into_iter().sum();
        let http = rows as f64 / began.elapsed().as_secs_f64();
        pairs.push((http, batched(&**operations, length).await?));
    }
    let (of_http, http, batch) = ratio(&pairs);
    show("over REST, 4 connections ÷ that batch", of_http, "≥ 0.3 (0.15)", &format!("{http:.0}/s ÷ {batch:.0}/s"));
    Ok(())
}

fn body_of(metric: &NewMetric) -> Value {
    let span = metric.span.as_ref();
    json!({"operationType": metric.operation_type, "durationUs": metric.duration.get(), "scope": metric.scope,
        "userName": "bench", "traceId": span.map(|span| &span.trace), "spanId": span.map(|span| &span.span)})
}
