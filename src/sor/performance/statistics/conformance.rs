//! One suite for both adapters of the port.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::json;

use super::{Bucket, GroupBy, SeriesQuery, SlowestQuery, StatisticsQuery, Step, TrendQuery};
use crate::kernel::{CALL, Clock, SystemClock};
use crate::sor::performance::conformance::{http, metric, postgres};
use crate::sor::performance::{Ended, MetricBatch, NewMetric, PerformancePorts};
use crate::sor::testing::suite;

fn hour() -> DateTime<Utc> {
    SystemClock.now().duration_trunc(TimeDelta::hours(1)).unwrap()
}

/// Three commits of 1, 2 and 9 ms, of which the last failed and belongs to a shop, and a merge of the hour before.
async fn record(ports: &PerformancePorts) {
    let rows = [
        metric("commit", 1_000),
        metric("commit", 2_000),
        NewMetric { failed: true, scope: "shop/ü %".parse().unwrap(), ..metric("commit", 9_000) },
        NewMetric { ended: Ended::At(hour() - TimeDelta::minutes(1)), ..metric("merge /%", 5_000) },
    ];
    let batch = MetricBatch { metrics: rows.into_iter().enumerate().collect(), rejected: Vec::new() };
    ports.operations.record_all(&CALL, batch, None).await.unwrap();
}

pub(in crate::sor::performance) fn all() -> StatisticsQuery {
    StatisticsQuery { from: hour() - TimeDelta::hours(24), to: None, scope: None, limit: 100 }
}

async fn operations_are_listed_with_the_most_frequent_first(ports: &PerformancePorts) {
    record(ports).await;
    let listed = async |query: StatisticsQuery| {
        let operations = ports.statistics.operations(&CALL, &query).await.unwrap();
        let row = |operation: super::Operation| {
            let figures = operation.figures;
            (operation.operation_type, figures.count, figures.failed, figures.p50_ms, figures.exact)
        };
        operations.into_iter().map(row).collect::<Vec<_>>()
    };
    let commits = ("commit".to_owned(), 3, 1, Some(1.5), true);
    let merges = ("merge /%".to_owned(), 1, 0, Some(5.0), true);
    assert_eq!(listed(all()).await, [commits.clone(), merges.clone()]);
    assert_eq!(listed(StatisticsQuery { limit: 1, ..all() }).await, [commits]);
    assert_eq!(listed(StatisticsQuery { to: Some(hour()), ..all() }).await, [merges]);
    let of_the_shop = StatisticsQuery { scope: Some("shop/ü %".parse().unwrap()), ..all() };
    assert_eq!(listed(of_the_shop).await, [("commit".to_owned(), 1, 1, None, true)]);
}

async fn an_operation_is_shown_in_one_row_and_by_hours(ports: &PerformancePorts) {
    record(ports).await;
    let totals = async |kind: &str| ports.statistics.totals(&CALL, &kind.parse().unwrap(), None).await.unwrap();
    let commits = totals("commit").await.unwrap();
    assert_eq!((commits.total_executions, commits.p50_ms, commits.max_duration_ms), (3, Some(1.5), Some(2.0)));
    assert_eq!(totals("merge /%").await.unwrap().p99_ms, Some(5.0));
    assert_eq!(totals("nobody").await, None);
    let trend = async |kind: &str, bucket: Bucket| {
        let query = TrendQuery { operation_type: kind.parse().unwrap(), scope: None, days: 2, bucket };
        ports.statistics.trend(&CALL, &query).await.unwrap()
    };
    let hours = trend("merge /%", Bucket::Hour).await.unwrap();
    assert_eq!((hours.trend.len(), hours.trend[0].start), (1, hour() - TimeDelta::hours(1)));
    assert_eq!(trend("commit", Bucket::Day).await.unwrap().trend[0].figures.count, 3);
    assert_eq!(trend("nobody", Bucket::Day).await, None);
}

async fn operations_over_time_are_grouped_as_asked(ports: &PerformancePorts) {
    record(ports).await;
    let step = |text: &str| serde_json::from_value::<Step>(json!(text)).unwrap();
    let series = async |text: &str, group_by: GroupBy| {
        let (from, to) = (hour() - TimeDelta::hours(1), hour() + TimeDelta::hours(1));
        let query = SeriesQuery { from, to, step: step(text), operation_type: None, scope: None, group_by };
        let answer = ports.statistics.series(&CALL, &query).await.unwrap();
        let line = |series: super::Series| {
            (series.operation_type, series.scope, series.points.iter().map(|p| p.count).sum::<i64>())
        };
        (answer.step, answer.series.into_iter().map(line).collect::<Vec<_>>())
    };
    let name = |name: &str| Some(name.to_owned());
    let by_type = vec![(name("commit"), None, 3), (name("merge /%"), None, 1)];
    assert_eq!(series("1m", GroupBy::Operation).await, ("60s".to_owned(), by_type.clone()));
    assert_eq!(series("1h", GroupBy::Operation).await, ("3600s".to_owned(), by_type));
    let by_scope = vec![(None, name(""), 3), (None, name("shop/ü %"), 1)];
    assert_eq!(series("15s", GroupBy::Scope).await.1, by_scope);
    let both =
        vec![(name("commit"), name(""), 2), (name("commit"), name("shop/ü %"), 1), (name("merge /%"), name(""), 1)];
    assert_eq!(series("2h", GroupBy::Both).await.1, both);
}

async fn the_slowest_come_first(ports: &PerformancePorts) {
    record(ports).await;
    let all = SlowestQuery { operation_type: None, scope: None, days: 2, limit: 2 };
    let slowest = ports.statistics.slowest(&CALL, &all).await.unwrap();
    let shown: Vec<_> = slowest.iter().map(|slow| (&*slow.operation_type, slow.duration_ms, &*slow.scope)).collect();
    assert_eq!(shown, [("commit", 9.0, "shop/ü %"), ("merge /%", 5.0, "")]);
    let commits = SlowestQuery { operation_type: Some("merge /%".parse().unwrap()), ..all };
    assert_eq!(ports.statistics.slowest(&CALL, &commits).await.unwrap().len(), 1);
}

async fn totals_scopes_and_users_are_counted(ports: &PerformancePorts) {
    record(ports).await;
    let overview = ports.statistics.overview(&CALL).await.unwrap();
    assert_eq!((overview.total_metrics_recorded, overview.total_traces, overview.rolled_through), (4, 0, None));
    let scopes = ports.statistics.scopes(&CALL, 10).await.unwrap();
    assert_eq!(
        scopes.iter().map(|scope| (&*scope.scope, scope.operation_count)).collect::<Vec<_>>(),
        [("shop/ü %", 1)]
    );
    let users = ports.statistics.users(&CALL, 10).await.unwrap();
    assert_eq!((users.len(), users[0].operations_performed, users[0].operation_types), (1, 4, 2));
    assert!((users[0].total_time_seconds - 0.017).abs() < 1e-9, "{users:?}");
}

suite! {
    operations_are_listed_with_the_most_frequent_first
    an_operation_is_shown_in_one_row_and_by_hours
    operations_over_time_are_grouped_as_asked
    the_slowest_come_first
    totals_scopes_and_users_are_counted
}
