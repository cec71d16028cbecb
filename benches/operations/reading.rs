//! What is read from rollups, beside the same from rows; and how large both are.

use anyhow::Result;

use crate::data::{Filled, timed};
use crate::{RUNS, ratio, show};

/// A name, the goal, the question of rows, and ours.
const QUESTIONS: [(&str, &str, &str, &str); 4] = [
    (
        "raw ÷ ours: summary of 7 days",
        "≥ 40 (15)",
        "SELECT operation_type, count(*), avg(duration_us), min(duration_us), max(duration_us),
                percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY duration_us)
         FROM perf.operation WHERE is_metric AND ended_at >= perf.days_back(7) GROUP BY 1",
        "SELECT * FROM perf.v_operation_performance_summary",
    ),
    (
        "raw ÷ ours: hours of 7 days",
        "≥ 20 (10)",
        "SELECT operation_type, date_trunc('hour', ended_at), count(*), avg(duration_us),
                percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_us)
         FROM perf.operation WHERE is_metric AND ended_at >= now() - interval '168 hours' GROUP BY 1, 2",
        "SELECT * FROM perf.v_performance_trend_hourly",
    ),
    (
        "raw ÷ ours: days of 30 days, one type",
        "≥ 20 (10)",
        "SELECT date_trunc('day', ended_at), count(*), avg(duration_us), min(duration_us), max(duration_us),
                percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_us)
         FROM perf.operation WHERE is_metric AND operation_type = 'type 3' AND ended_at >= perf.days_back(30) GROUP BY 1",
        "SELECT * FROM perf.get_performance_trend('type 3', p_days => 30)",
    ),
    (
        "raw ÷ ours: slowest 20 of 7 days",
        "≥ 50 (20)",
        "SELECT metric_id, operation_type, duration_us FROM perf.operation
         WHERE is_metric AND ended_at >= perf.days_back(7) ORDER BY duration_us DESC LIMIT 20",
        "SELECT * FROM perf.get_slowest_operations()",
    ),
];

/// Prints the figures.
pub(crate) async fn measure(filled: &Filled) -> Result<()> {
    let rows = filled.rows as f64;
    show("bytes a row with indexes", filled.bytes("^operation_").await? / rows, "≤ 160 (200)", "");
    show("bytes of rollups a row", filled.bytes("^roll").await? / rows, "≤ 12", "");
    let mut session = filled.session().await?;
    for (name, goal, raw, ours) in QUESTIONS {
        let mut pairs = Vec::new();
        for _ in 0..RUNS {
            pairs.push((timed(&mut session, raw).await?, timed(&mut session, ours).await?));
        }
        let (ratio, raw, ours) = ratio(&pairs);
        show(name, ratio, goal, &format!("{raw:.0} ms ÷ {ours:.1} ms"));
    }
    let mut dashboard = Vec::new();
    for _ in 0..RUNS {
        dashboard.push((timed(&mut session, "SELECT * FROM perf.v_performance_dashboard_summary").await?, 1.0));
    }
    show("dashboard, ms", ratio(&dashboard).0, "≤ 10 (20)", "");
    let plain = "SELECT count(*), avg(duration_us), stddev(duration_us), min(duration_us), max(duration_us),
                        percentile_cont(ARRAY[0.5, 0.75, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_us)
                 FROM perf.operation WHERE is_metric AND operation_type = 'type 3' AND ended_at >= perf.days_back(7)";
    let mut pairs = Vec::new();
    for _ in 0..RUNS {
        let learnt = timed(&mut session, "SELECT perf.calculate_performance_baseline('type 3')").await?;
        pairs.push((learnt, timed(&mut session, plain).await?));
    }
    let (ratio, ours, plain) = ratio(&pairs);
    show("baseline of 7 days ÷ plain percentile_cont", ratio, "≤ 0.1 (0.3)", &format!("{ours:.0} ms ÷ {plain:.0} ms"));
    Ok(())
}
