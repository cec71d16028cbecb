//! One suite for every adapter of the port of merges.

use serde_json::{Value, json};

use super::{MergeQuery, MergeStatus, NewMerge};
use crate::kernel::{CALL, Call, Caller, PortError};
use crate::sor::performance::PerformancePorts;
use crate::sor::performance::conformance::{http, postgres};
use crate::sor::performance::statistics::StatisticsQuery;
use crate::sor::performance::statistics::conformance::all;
use crate::sor::testing::suite;

fn merge(change: &Value) -> NewMerge {
    let mut body = json!({"sourceScope": "größe/ %", "targetScope": "branch:1", "totalMergeUs": 50_000});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}

async fn a_merge_is_answered_as_it_was_recorded(ports: &PerformancePorts) {
    let ana = Call::default().by(Caller { actor: "token:ana".parse().unwrap(), client: None, projects: None });
    let all = json!({"mergeBaseHash": "4be91c", "mergeBaseCalcUs": 8_000, "conflictDetectionUs": 20_000,
        "conflictCount": 4, "autoResolutionUs": 15_000, "autoSuccessCount": 2, "autoFailureCount": 1,
        "mergeStatus": "partial_success", "mergeOutcome": {"left": ["a"]}, "sessionId": "s 1"});
    let recorded = ports.merges.record(&ana, merge(&all)).await.unwrap();
    let shown = serde_json::to_value(&recorded).unwrap();
    for (member, value) in all.as_object().unwrap() {
        assert_eq!(&shown[member], value, "{member}");
    }
    assert_eq!((&*recorded.source_scope, &*recorded.user_name), ("größe/ %", "token:ana"));
    assert_eq!(recorded.auto_resolution_success_rate, Some(66.7));
    let took = recorded.completed_at.unwrap() - recorded.started_at;
    assert_eq!(took.num_microseconds(), Some(50_000));

    let bare = ports.merges.record(&CALL, merge(&json!({"totalMergeUs": 0, "userName": "bob"}))).await.unwrap();
    assert_eq!((bare.merge_status, bare.conflict_count, &*bare.user_name), (MergeStatus::Success, 0, "bob"));
    assert_eq!((bare.total_merge_us, bare.auto_resolution_success_rate), (0, None));
}

async fn a_merge_is_a_metric_of_its_target_too(ports: &PerformancePorts) {
    ports.merges.record(&CALL, merge(&json!({}))).await.unwrap();
    for status in ["partial_success", "failed", "abandoned"] {
        ports.merges.record(&CALL, merge(&json!({"mergeStatus": status}))).await.unwrap();
    }
    let query = StatisticsQuery { scope: Some("branch:1".parse().unwrap()), ..all() };
    let operations = ports.statistics.operations(&CALL, &query).await.unwrap();
    let shown: Vec<_> =
        operations.iter().map(|one| (&*one.operation_type, one.figures.count, one.figures.failed)).collect();
    assert_eq!(shown, [("merge", 4, 3)]);
}

async fn merges_are_listed_page_by_page(ports: &PerformancePorts) {
    let mut ids = Vec::new();
    for (source, status) in [("a", "success"), ("b", "failed"), ("a", "failed")] {
        let new = merge(&json!({"sourceScope": source, "mergeStatus": status}));
        ids.push(ports.merges.record(&CALL, new).await.unwrap().id);
    }
    let all = MergeQuery { limit: 100, ..MergeQuery::default() };
    let listed = async |query: MergeQuery| {
        let page = ports.merges.page(&CALL, &query).await.unwrap();
        (page.entries.iter().map(|merge| merge.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(listed(all.clone()).await, (vec![ids[2], ids[1], ids[0]], None));
    let of_a = MergeQuery { source_scope: Some("a".parse().unwrap()), ..all.clone() };
    assert_eq!(listed(of_a.clone()).await.0, [ids[2], ids[0]]);
    assert_eq!(listed(MergeQuery { status: Some(MergeStatus::Failed), ..of_a }).await.0, [ids[2]]);
    let elsewhere = MergeQuery { target_scope: Some("nowhere".parse().unwrap()), ..all.clone() };
    assert_eq!(listed(elsewhere).await.0, [] as [i64; 0]);
    let paged = MergeQuery { limit: 2, ..all };
    let (first, next) = listed(paged.clone()).await;
    let (second, end) = listed(MergeQuery { after: next, ..paged }).await;
    assert_eq!((first, second, end), (vec![ids[2], ids[1]], vec![ids[0]], None));
}

async fn figures_are_of_each_source_and_target(ports: &PerformancePorts) {
    for (source, micros, conflicts, status) in
        [("a", 10_000, 0, "success"), ("a", 20_000, 3, "failed"), ("a", 30_000, 0, "abandoned"), ("b", 5, 0, "success")]
    {
        let new =
            json!({"sourceScope": source, "totalMergeUs": micros, "conflictCount": conflicts, "mergeStatus": status});
        ports.merges.record(&CALL, merge(&new)).await.unwrap();
    }
    let figures = serde_json::to_value(ports.merges.statistics(&CALL, 10).await.unwrap()).unwrap();
    let expected = json!({"sourceBranch": "a", "targetBranch": "branch:1", "mergeCount": 3, "avgDurationMs": 20.0,
        "maxDurationMs": 30.0, "minDurationMs": 10.0, "avgConflicts": 1.0, "maxConflicts": 3, "successfulMerges": 1,
        "failedMerges": 1, "lastMerge": figures[0]["lastMerge"]});
    assert_eq!((&figures[0], &figures[1]["mergeCount"]), (&expected, &json!(1)));
    assert_eq!(ports.merges.statistics(&CALL, 1).await.unwrap().len(), 1);
}

async fn figures_that_contradict_each_other_are_refused(ports: &PerformancePorts) {
    let into_itself = ports.merges.record(&CALL, merge(&json!({"sourceScope": "branch:1"}))).await;
    let expected = "/targetScope: must not be the same as sourceScope".to_owned();
    assert_eq!(into_itself, Err(PortError::Invalid(expected)));
}

suite! {
    a_merge_is_answered_as_it_was_recorded
    a_merge_is_a_metric_of_its_target_too
    merges_are_listed_page_by_page
    figures_are_of_each_source_and_target
    figures_that_contradict_each_other_are_refused
}
