//! Tests of what SQL callers use: functions, views, rights and errors.

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row as _};

use crate::storage::testing::{TestDatabase, database};

/// A session of a role that may use the schema, and has no other right.
pub(in crate::sor::performance) async fn tool(test: &TestDatabase) -> PgConnection {
    let mut session = test.connect_options().connect().await.unwrap();
    // Roles are of the whole cluster.
    run(
        &mut session,
        "DO $$ BEGIN
             EXECUTE format('CREATE ROLE %I', 'tool_' || current_database());
             EXECUTE format('GRANT USAGE ON SCHEMA perf TO %I', 'tool_' || current_database());
             EXECUTE format('SET ROLE %I', 'tool_' || current_database());
         END $$",
    )
    .await;
    session
}

pub(in crate::sor::performance) async fn run(session: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session).await.expect(sql);
}

/// The only value of a statement's only row, as text.
pub(in crate::sor::performance) async fn value(session: &mut PgConnection, sql: &str) -> String {
    let sql = format!("SELECT value::text FROM ({sql}) AS answer(value)");
    let row = sqlx::query(AssertSqlSafe(sql.clone())).fetch_one(session).await.expect(&sql);
    row.get::<Option<String>, _>(0).unwrap_or_else(|| "NULL".to_owned())
}

/// The SQLSTATE of what a statement fails with, and the name of the constraint.
pub(in crate::sor::performance) async fn refused(session: &mut PgConnection, sql: &str) -> (String, String) {
    let failed = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session).await;
    let error = failed.expect_err(sql);
    let error = error.as_database_error().unwrap();
    (error.code().unwrap_or_default().into_owned(), error.constraint().unwrap_or_default().to_owned())
}

#[actix_web::test]
async fn usage_of_the_schema_is_all_that_a_recording_role_needs() {
    let test = database().await;
    let mut tool = tool(&test).await;
    let id = value(&mut tool, "SELECT perf.record_performance_metric('commit', 5120, p_branch_id => 7)").await;
    let row = format!(
        "SELECT operation_type || ' ' || duration_ms || ' ' || branch_id || ' ' || scope || ' ' || (user_name = current_user)
         FROM perf.performance_metrics WHERE metric_id = {id}"
    );
    assert_eq!(value(&mut tool, &row).await, "commit 5.120 7 branch:7 true");
    let begun =
        value(&mut tool, "SELECT perf.start_performance_trace(p_span_id => 'root', p_operation_type => 'merge')").await;
    assert_eq!(begun, "root");
    let child =
        value(&mut tool, "SELECT perf.start_performance_trace(p_parent_span_id => 'root', p_span_name => 'c')").await;
    assert_eq!(child.len(), 16);
    let open = "SELECT string_agg(span_name || ' ' || span_status, ', ' ORDER BY span_name) FROM perf.operation_traces";
    assert_eq!(value(&mut tool, open).await, "c RUNNING, unnamed RUNNING");
    run(&mut tool, &format!("SELECT perf.end_performance_trace('{child}', 'FAILED', 'boom', 'E1', '{{\"at\": 7}}')"))
        .await;
    run(&mut tool, "SELECT perf.end_performance_trace('root')").await;
    let spans = "SELECT string_agg(concat_ws(' ', span_name, span_status, error_message, error_code, error_details ->> 'at'), ', '
                                   ORDER BY span_name), count(DISTINCT trace_id)::text
                 FROM perf.operation_traces";
    let spans = format!("SELECT a || ' ' || b FROM ({spans}) AS s(a, b)");
    assert_eq!(value(&mut tool, &spans).await, "c FAILED boom E1 7, unnamed SUCCESS 1");
    for denied in [
        "SELECT * FROM perf.operation",
        "INSERT INTO perf.late_hour VALUES (now())",
        "SELECT perf.reap_spans('1 s')",
        "SELECT * FROM perf.record_operations('{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}','{}')",
        "DELETE FROM perf.performance_metrics",
    ] {
        assert_eq!(refused(&mut tool, denied).await.0, "42501", "{denied}");
    }
}

#[actix_web::test]
async fn what_is_refused_has_a_name() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "SELECT perf.start_performance_trace(p_span_id => 's')").await;
    for (sql, code, name) in [
        ("record_performance_metric('commit', -1)", "23514", "perf_micros_check"),
        ("record_performance_metric('commit', 2678400000001)", "23514", "perf_micros_check"),
        ("record_performance_metric('commit', NULL)", "22023", "argument_invalid"),
        ("record_performance_metric(NULL, 1)", "22023", "argument_invalid"),
        ("record_performance_metric(' ', 1)", "23514", "perf_type_name_check"),
        ("record_performance_metric(repeat('t', 129), 1)", "23514", "perf_type_name_check"),
        ("record_performance_metric('commit', 1, p_branch_id => 1, p_scope => 'x')", "22023", "argument_invalid"),
        (
            "record_performance_metric('commit', 1, p_start_time => now() - interval '8 days')",
            "22008",
            "time_out_of_range",
        ),
        (
            "record_performance_metric('commit', 1, p_start_time => now() + interval '11 min')",
            "22008",
            "time_out_of_range",
        ),
        ("start_performance_trace(p_span_id => '')", "22023", "argument_invalid"),
        ("start_performance_trace(p_span_id => 's')", "23505", "perf_open_span_pkey"),
        ("start_performance_trace(p_start_time => now() - interval '8 days')", "22008", "time_out_of_range"),
        ("end_performance_trace('nobody')", "P0002", "span_unknown"),
        ("end_performance_trace(NULL)", "P0002", "span_unknown"),
        ("end_performance_trace('s', 'RUNNING')", "22023", "argument_invalid"),
        ("end_performance_trace('s', p_end_time => now() - interval '1 day')", "22008", "time_out_of_range"),
    ] {
        assert_eq!(
            refused(&mut tool, &format!("SELECT perf.{sql}")).await,
            (code.to_owned(), name.to_owned()),
            "{sql}"
        );
    }
    run(&mut tool, "SELECT perf.end_performance_trace('s')").await;
    let again = refused(&mut tool, "SELECT perf.end_performance_trace('s')").await;
    assert_eq!(again, ("55000".to_owned(), "span_ended".to_owned()));
}

#[actix_web::test]
async fn durations_from_nothing_to_hours_are_stored() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(
        &mut tool,
        "SELECT perf.record_performance_metric('merge', 0), perf.record_performance_metric('merge', 10800000000)",
    )
    .await;
    let stored = "SELECT string_agg(duration_ms::text, ' ' ORDER BY duration_ms) FROM perf.performance_metrics";
    assert_eq!(value(&mut tool, stored).await, "0.000 10800000.000");
}

#[actix_web::test]
async fn a_span_within_one_transaction_takes_time() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "BEGIN; SELECT perf.start_performance_trace(p_span_id => 's'); SELECT pg_sleep(0.01)").await;
    let took: i64 = value(&mut tool, "SELECT perf.end_performance_trace('s')").await.parse().unwrap();
    assert!(took >= 10_000, "{took}");
}

#[actix_web::test]
async fn sessions_of_any_time_zone_record_the_same() {
    let test = database().await;
    let mut tool = tool(&test).await;
    // Berlin's clocks are put back or forward within these days of a year; the length of an operation is not.
    for zone in ["UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin"] {
        let record = format!(
            "SET timezone = '{zone}';
             SELECT perf.record_performance_metric('merge', 432000000000, p_session_id => '{zone}',
                                                   p_start_time => date_trunc('hour', now(), 'UTC') - interval '120 hours')"
        );
        run(&mut tool, &record).await;
    }
    let same = "SELECT count(DISTINCT (start_time, end_time, period_start)) || ' ' || min(end_time - start_time)
                FROM perf.performance_metrics";
    assert_eq!(value(&mut tool, same).await, "1 5 days");
}

#[actix_web::test]
async fn rows_inserted_into_the_view_are_recorded() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(
        &mut tool,
        "INSERT INTO perf.performance_metrics (operation_type, duration_ms, branch_id, metric_id, is_failed)
         VALUES ('commit', 1.5, 9, 4711, true)",
    )
    .await;
    let row = "SELECT duration_microseconds || ' ' || scope || ' ' || is_failed || ' ' || (metric_id = 4711) || ' '
                      || (user_name = current_user)
               FROM perf.performance_metrics";
    assert_eq!(value(&mut tool, row).await, "1500 branch:9 true false true");
}

#[actix_web::test]
async fn ids_are_taken_in_any_spelling() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    for (call, expected) in [
        ("trace_ref('4BF92F3577B34DA6A3CE929D0E0E4736')", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
        ("trace_ref('4bf92f35-77b3-4da6-a3ce-929d0e0e4736')", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
        ("trace_ref('any')", "100b8cad-7cf2-a56f-6df7-8f171f97a1ec"),
        ("span_text(perf.span_ref('FFF067AA0BA902B7'))", "fff067aa0ba902b7"),
        ("span_text(perf.span_ref('any'))", "100b8cad7cf2a56f"),
        ("branch_of('branch:-7')", "-7"),
        ("branch_of('branch:2147483648')", "NULL"),
        ("branch_of('branch:7 ')", "NULL"),
        ("branch_of('shop')", "NULL"),
    ] {
        assert_eq!(value(&mut session, &format!("SELECT perf.{call}")).await, expected, "{call}");
    }
}
