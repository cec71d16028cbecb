//! Figures of real rows: percentiles, what is rolled up and what is not yet, and what the views show.

use sqlx::{ConnectOptions, PgConnection};

use crate::kernel::CALL;
use crate::sor::performance::tests::sql::{run, tool, value};
use crate::sor::performance::{AlertSettings, OperationRounds};
use crate::storage::testing::{TestDatabase, database};

async fn session(test: &TestDatabase) -> PgConnection {
    test.connect_options().connect().await.unwrap()
}

/// Puts operations into an hour, so many hours ago, past the functions that record; `micros` is SQL over `i`.
async fn put(session: &mut PgConnection, hours_ago: i32, kind: &str, count: i32, micros: &str) {
    let insert = format!(
        "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name)
         SELECT date_trunc('hour', now(), 'UTC') - interval '{hours_ago} hours' + interval '1 second', {micros}, '{kind}', 'u'
         FROM generate_series(1, {count}) AS i"
    );
    run(session, &insert).await;
}

fn rounds(test: &TestDatabase) -> OperationRounds {
    let alerts = AlertSettings { quiet: std::time::Duration::from_mins(15), least_count: 3, least_percent: 5 };
    OperationRounds::new(test.db.clone(), alerts)
}

/// Rolls up all hours that are over. It waits for transactions that are older, of other tests too.
pub(in crate::sor::performance) async fn roll_up(test: &TestDatabase) {
    let mut session = session(test).await;
    let left = "SELECT coalesce((SELECT rolled_through < date_trunc('hour', now() - interval '5 s', 'UTC') FROM perf.rollup_state), true)
                       OR EXISTS (SELECT FROM perf.late_hour)";
    while value(&mut session, left).await == "true" {
        rounds(test).roll_up(&CALL).await.unwrap();
    }
}

const FIGURES: &str =
    "SELECT concat_ws(' ', sample_count, p50_us, p75_us, p90_us, p95_us, p99_us, mean_us, stddev_us, is_exact)
                       FROM perf.statistics(perf.days_back(7), 'infinity')";

#[actix_web::test]
async fn percentiles_of_rows_are_exact() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "SELECT perf.record_performance_metric('commit', 1000 * i) FROM generate_series(1, 100) AS i").await;
    assert_eq!(value(&mut tool, FIGURES).await, "100 50500 75250 90100 95050 99010 50500.00 29011.49 t");
}

#[actix_web::test]
async fn milliseconds_are_shown_to_the_microsecond() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(
        &mut tool,
        "SELECT perf.record_performance_metric('c', us) FROM unnest(ARRAY[500, 750, 999, 1500, 1999]) AS us",
    )
    .await;
    let trend = "SELECT concat_ws(' ', min_duration_ms, max_duration_ms, p50_ms, p99_ms, is_exact) FROM perf.get_performance_trend('c')";
    assert_eq!(value(&mut tool, trend).await, "0.500 1.999 0.999 1.979 t");
}

#[actix_web::test]
async fn hours_that_were_rolled_up_are_merged_within_one_percent() {
    let test = database().await;
    let mut session = session(&test).await;
    put(&mut session, 3, "commit", 100, "1000 * i").await;
    put(&mut session, 2, "commit", 100, "1000000").await;
    roll_up(&test).await;
    let merged = "SELECT concat_ws(' ', sample_count, p50_us / 1000.0, p99_us / 1000.0, is_exact)
                  FROM perf.statistics(perf.days_back(7), 'infinity')";
    let merged = value(&mut session, merged).await;
    assert!(merged.starts_with("200 100.226") && merged.contains(" 996.778") && merged.ends_with('f'), "{merged}");
    // Each hour alone keeps its own.
    let own = "SELECT string_agg(p50_us || ' ' || p99_us, ', ' ORDER BY start_at)
               FROM perf.statistics(perf.days_back(7), 'infinity', step => interval '1 hour')";
    assert_eq!(value(&mut session, own).await, "50500 99010, 1000000 1000000");
}

#[actix_web::test]
async fn a_row_of_an_hour_that_was_rolled_up_counts_at_once_and_later() {
    let test = database().await;
    let mut session = session(&test).await;
    put(&mut session, 2, "commit", 3, "1000").await;
    roll_up(&test).await;
    let late = "SELECT perf.record_performance_metric('commit', 9000, p_start_time => now() - interval '{}')";
    for ago in ["6 days", "2 hours"] {
        run(&mut session, &late.replace("{}", ago)).await;
    }
    let counted = "SELECT sum(sample_count) || ' ' || max(max_duration_ms) || ' ' || count(*)
                   FROM perf.get_performance_trend('commit')";
    let at_once = value(&mut session, counted).await;
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.late_hour").await, "2");
    roll_up(&test).await;
    assert_eq!((at_once.as_str(), value(&mut session, counted).await.as_str()), ("5 9.000 2", "5 9.000 2"));
}

const ROLLED_AND_RAW: &str = "SELECT coalesce((SELECT sum(metric_count) FROM perf.rolled_hour), 0) || ' '
                                     || (SELECT count(*) FROM perf.operation WHERE is_metric
                                         AND ended_at < (SELECT rolled_through FROM perf.rollup_state))";

#[actix_web::test]
async fn an_hour_is_not_rolled_up_while_somebody_who_wrote_to_it_goes_on() {
    let test = database().await;
    let (mut reader, mut writer) = (session(&test).await, session(&test).await);
    put(&mut reader, 2, "commit", 1, "1").await;
    run(&mut writer, "BEGIN").await;
    put(&mut writer, 1, "commit", 1, "1").await;
    for _ in 0..3 {
        rounds(&test).roll_up(&CALL).await.unwrap();
    }
    assert_eq!(value(&mut reader, ROLLED_AND_RAW).await, "0 0", "an older transaction goes on");
    run(&mut writer, "COMMIT").await;
    roll_up(&test).await;
    assert_eq!(value(&mut reader, ROLLED_AND_RAW).await, "2 2");
}

#[actix_web::test]
async fn writers_of_old_hours_beside_a_refresh_leave_rollups_that_equal_the_rows() {
    let test = database().await;
    put(&mut session(&test).await, 30, "commit", 1, "1").await;
    let writer = async |number: i32| {
        let mut session = session(&test).await;
        for at in 0..25 {
            let hours = (number * 7 + at) % 28;
            let record = format!(
                "SELECT perf.record_performance_metric('commit', {at}, p_start_time => now() - interval '{hours} hours')"
            );
            run(&mut session, &record).await;
        }
    };
    let refreshing = async {
        for _ in 0..20 {
            rounds(&test).roll_up(&CALL).await.unwrap();
        }
    };
    futures::join!(futures::future::join_all((0..8).map(writer)), refreshing,);
    roll_up(&test).await;
    let mut session = session(&test).await;
    let compared = value(&mut session, ROLLED_AND_RAW).await;
    let (rolled, raw) = compared.split_once(' ').unwrap();
    assert!(rolled == raw && raw.parse::<i32>().unwrap() > 150, "{compared}");
    let counted = "SELECT sum(sample_count) FROM perf.statistics(perf.days_back(7), 'infinity')";
    assert_eq!(value(&mut session, counted).await, "201");
    let days = "SELECT count(*) FROM (SELECT start_at, sum(sample_count) AS n FROM perf.rollup_day WHERE scope IS NULL GROUP BY 1) AS d
                WHERE d.n <> (SELECT sum(h.sample_count) FROM perf.rollup_hour AS h
                              WHERE h.scope IS NULL AND date_trunc('day', h.start_at, 'UTC') = d.start_at)";
    assert_eq!(value(&mut session, days).await, "0");
}

#[actix_web::test]
async fn failures_are_counted_beside_what_succeeded() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(
        &mut tool,
        "SELECT perf.record_performance_metric('c', 1000), perf.record_performance_metric('c', 9000, p_failed => true),
                perf.record_performance_metric('only failed', 1, p_error_details => '{}')",
    )
    .await;
    let trend =
        "SELECT concat_ws(' ', sample_count, failed_count, max_duration_ms) FROM perf.get_performance_trend('c')";
    assert_eq!(value(&mut tool, trend).await, "1 1 1.000");
    let all = "SELECT concat_ws(' ', total_executions, coalesce(p50_ms::text, 'none')) FROM perf.get_operation_statistics('only failed')";
    assert_eq!(value(&mut tool, all).await, "1 none");
}

#[actix_web::test]
async fn seven_days_are_seven_calendar_days_in_every_time_zone() {
    let test = database().await;
    let mut session = session(&test).await;
    run(
        &mut session,
        "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name)
         SELECT date_trunc('day', now(), 'UTC') - days * interval '24 hours', 1, 'c', 'u' FROM generate_series(0, 7) AS days",
    )
    .await;
    let days = "SELECT count(*) || ' ' || max(trend_date) - min(trend_date) || ' ' || (max(trend_date) = (now() AT TIME ZONE 'UTC')::date)
                FROM perf.get_performance_trend('c')";
    for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
        run(&mut session, &format!("SET timezone = '{zone}'")).await;
        assert_eq!(value(&mut session, days).await, "7 6 true", "{zone}");
    }
}

#[actix_web::test]
async fn the_slowest_are_found_before_and_after_they_were_rolled_up() {
    let test = database().await;
    let mut session = session(&test).await;
    put(&mut session, 3, "a", 50, "i").await;
    put(&mut session, 2, "b", 50, "100 + i").await;
    run(&mut session, "SELECT perf.record_performance_metric('a', 140, p_scope => 's')").await;
    let slowest = "SELECT string_agg(operation_type || duration_ms * 1000, ' ' ORDER BY duration_ms DESC)
                   FROM perf.get_slowest_operations(p_limit => 3)";
    for _ in 0..2 {
        assert_eq!(value(&mut session, slowest).await, "b150.000 b149.000 b148.000");
        let of_scope =
            "SELECT string_agg(duration_ms::text, ' ') FROM perf.get_slowest_operations('a', p_scope => 's')";
        assert_eq!(value(&mut session, of_scope).await, "0.140");
        roll_up(&test).await;
    }
}

#[actix_web::test]
async fn types_are_known_from_the_start_and_others_once_they_were_seen() {
    let test = database().await;
    let mut session = session(&test).await;
    put(&mut session, 2, "of a tool", 1, "1").await;
    roll_up(&test).await;
    let types = "SELECT string_agg(concat_ws(' ', operation_type, category, typical_duration_ms, is_tracked), ', ' ORDER BY operation_type)
                 FROM perf.performance_operation_types WHERE operation_type IN ('commit', 'triage', 'of a tool')";
    assert_eq!(value(&mut session, types).await, "commit WRITE 5.0 t, of a tool f, triage WORKFLOW t");
}

#[actix_web::test]
async fn a_span_without_its_parent_is_a_root_until_the_parent_comes() {
    let test = database().await;
    let mut session = session(&test).await;
    let span = |span: &str, parent: &str| {
        format!(
            "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name, trace_id, span_id, parent_span_id)
             VALUES (now(), 1, '{span}', 'u', perf.trace_ref('t'), perf.span_ref('{span}'), perf.span_ref('{parent}'))"
        )
    };
    run(&mut session, &span("child", "root")).await;
    // And spans that are each other's parents end.
    run(&mut session, &span("x", "y")).await;
    run(&mut session, &span("y", "x")).await;
    run(&mut session, &span("self", "self")).await;
    let tree =
        "SELECT string_agg(trace_path || ' ' || is_orphan, ', ' ORDER BY trace_path) FROM perf.v_trace_hierarchy";
    assert_eq!(value(&mut session, tree).await, "child true, self false");
    run(&mut session, &span("root", "root")).await;
    assert_eq!(value(&mut session, tree).await, "root false, root → child false, self false");
}
