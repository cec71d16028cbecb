//! What the server does to operations, while others record: rolling up an hour, and dropping a day.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::TimeDelta;
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::data::{DAYS, Filled, call, days, rounds, run};
use crate::process::median;
use crate::{RUNS, show};

const WRITERS: usize = 4;

/// Prints the figures.
pub(crate) async fn measure(filled: &Filled) -> Result<()> {
    let mut session = filled.session().await?;
    let (mut rolled, mut dropped, mut waited) = (Vec::new(), Vec::new(), Vec::new());
    for again in 0..RUNS {
        // An hour that a late row was written to is rolled up anew.
        let late = format!(
            "INSERT INTO perf.late_hour VALUES (date_trunc('hour', now(), 'UTC') - interval '{} hours')",
            50 + 24 * again
        );
        run(&mut session, &late).await?;
        let began = Instant::now();
        rounds(&filled.db).roll_up(&call()).await?;
        rolled.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    let of_an_hour = filled.rows / DAYS / 24;
    show("rolling up an hour, ms", median(rolled.into_iter()), "≤ 250 (500)", &format!("{of_an_hour} rows"));
    for again in 0..RUNS {
        let stop = CancellationToken::new();
        let writers = (0..WRITERS).map(|_| longest_wait(filled, stop.clone()));
        let drop_a_day = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let kept = TimeDelta::days(i64::try_from(DAYS)? - 1 - i64::try_from(again)?);
            let began = Instant::now();
            let mut expired = days(Some(kept)).drop_expired(&filled.db, filled.now).await?;
            while expired.dropped.is_empty() && !expired.held.is_empty() {
                expired = days(Some(kept)).drop_expired(&filled.db, filled.now).await?;
            }
            let took = began.elapsed().as_secs_f64() * 1_000.0;
            tokio::time::sleep(Duration::from_millis(500)).await;
            stop.cancel();
            anyhow::Ok(took)
        };
        let (waits, took) = tokio::try_join!(try_join_all(writers), drop_a_day)?;
        dropped.push(took);
        waited.push(waits.into_iter().fold(0.0, f64::max));
    }
    let of_a_day = filled.rows / DAYS;
    show("dropping a day, ms", median(dropped.into_iter()), "≤ 100", &format!("{of_a_day} rows"));
    show("longest wait of 4 writers meanwhile, ms", median(waited.into_iter()), "≤ 100 (250)", "");
    Ok(())
}

/// The longest that one recording of a client takes, in milliseconds.
async fn longest_wait(filled: &Filled, stop: CancellationToken) -> Result<f64> {
    let mut session = filled.session().await?;
    let mut longest: f64 = 0.0;
    while !stop.is_cancelled() {
        let began = Instant::now();
        sqlx::query("SELECT perf.record_performance_metric('type 1', 20000)").execute(&mut session).await?;
        longest = longest.max(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(longest)
}
