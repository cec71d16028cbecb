//! The requests, by system of record, and those for decisions.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use flamewarden::kernel::{Clock as _, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::pyroscope::{AFTER, BOTH};

/// One request: method, path, body, and a header.
pub(super) type Asked = (Method, String, Option<Value>, Option<(&'static str, &'static str)>);

pub(super) fn get(path: impl Into<String>) -> Asked {
    (Method::GET, path.into(), None, None)
}

fn delete(path: &str) -> Asked {
    (Method::DELETE, path.to_owned(), None, None)
}

fn post(path: &str, body: Value) -> Asked {
    (Method::POST, path.to_owned(), Some(body), None)
}

fn put(path: &str, body: Value) -> Asked {
    (Method::PUT, path.to_owned(), Some(body), None)
}

fn with(asked: Asked, name: &'static str, value: &'static str) -> Asked {
    (asked.0, asked.1, asked.2, Some((name, value)))
}

/// Every request, in order.
pub(super) fn all() -> Vec<Asked> {
    let of_records = [baselines(), history(), services(), rules(), core(), alerts(), notifications(), operations()];
    [of_records.concat(), profiles(), decisions()].concat()
}

fn baselines() -> Vec<Asked> {
    let limit = |function: &str, percent: f64| {
        json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": percent,
            "createdBy": "ada"})
    };
    vec![
        post("/baselines", limit("shop.Cart.toJson", 5.0)),
        post("/baselines", limit("shop.Gone.away", 1.0)),
        post("/baselines", limit("shop.Gone.away", 2.5)),
        post("/baselines", limit("too.much", 100.5)),
        post("/baselines", json!({"appName": "shop", "nope": 1})),
        with(post("/baselines", json!([])), "content-type", "text/plain"),
        get("/baselines"),
        get("/baselines?type=cpu&limit=1"),
        get("/baselines?type=disk"),
        get("/baselines/shop"),
        get("/baselines/shop/cpu"),
        get("/baselines/shop/disk"),
        get("/baselines/nobody"),
        get("/baselines/shop?nope=1"),
        put("/baselines/1", json!({"maxSelfPercent": 7.25, "severity": "critical"})),
        put("/baselines/1", json!({})),
        put("/baselines/999", json!({"maxSelfPercent": 7.25})),
        put("/baselines/x", json!({"maxSelfPercent": 7.25})),
        delete("/baselines/2"),
        delete("/baselines/2"),
        (Method::PATCH, "/baselines/2".to_owned(), None, None),
    ]
}

fn history() -> Vec<Asked> {
    let entry = |at: &str| {
        json!({"appName": "cart", "diagnosis": "cpu_bound", "severity": "high", "profileTypes": "cpu,alloc",
            "topFunctions": {"cpu": [{"name": "main", "selfPercent": 12.34}]}, "recommendation": "less", "assessedAt": at})
    };
    let key = "018d3f3e-7c1a-7000-8000-000000000002";
    let keyed = |key: &str| {
        json!({"appName": "cart", "diagnosis": "cpu_bound", "severity": "low", "idempotencyKey": key,
            "assessedAt": "2026-01-22T08:53:20Z"})
    };
    vec![
        with(post("/history", entry("2026-01-23T08:53:20Z")), "idempotency-key", key),
        with(post("/history", entry("2026-01-23T08:53:20Z")), "idempotency-key", key),
        post("/history", entry("2026-01-24T08:53:20.123456Z")),
        post("/history", entry("2099-01-24T08:53:20Z")),
        with(post("/history", entry("2026-01-23T08:53:20Z")), "idempotency-key", "no key"),
        post("/history", json!({"appName": "cart", "diagnosis": "cpu_bound", "severity": "dreadful"})),
        post("/history/batch", json!({"entries": [keyed(key), keyed("018d3f3e-7c1a-7000-8000-000000000003"), {}]})),
        post("/history/batch", json!({"entries": []})),
        get("/history/batch"),
        get("/history/cart"),
        get("/history/cart?limit=1"),
        get("/history/cart?from=2026-01-24T00:00:00Z"),
        get("/history/cart?cursor=nonsense"),
        get("/history/nobody"),
        get("/history/cart/latest"),
        get("/history/nobody/latest"),
        delete("/history/1"),
        delete("/history/1"),
    ]
}

fn services() -> Vec<Asked> {
    vec![
        post(
            "/services",
            json!({"appName": "shop", "teamOwner": "cart", "tier": "critical", "metadata": {"a": [1, 2.5]}}),
        ),
        post("/services", json!({"appName": "shop", "notificationChannel": "#cart"})),
        post("/services", json!({"appName": "billing", "pyroscopeLabels": {"env": "prod"}})),
        post("/services", json!({"appName": "bad", "pyroscopeLabels": {"env": 1}})),
        post("/services", json!({"appName": "bad", "metadata": {"pyroscopeTenant": "a|b"}})),
        get("/services"),
        get("/services?tier=critical"),
        get("/services?limit=1"),
        get("/services?limit=-1"),
        get("/services/shop"),
        get("/services/nobody"),
        put("/services/shop", json!({"teamOwner": null, "environment": "eu"})),
        put("/services/nobody", json!({"teamOwner": "x"})),
        put("/services/shop", json!({"appName": "other"})),
        delete("/services/billing"),
        delete("/services/billing"),
    ]
}

fn rules() -> Vec<Asked> {
    vec![
        post(
            "/rules",
            json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20, "functionPattern": "^shop"}),
        ),
        post("/rules", json!({"appName": "shop", "profileType": "alloc", "thresholdPercent": 30.5, "enabled": false})),
        post(
            "/rules",
            json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20, "functionPattern": "("}),
        ),
        post(
            "/rules",
            json!({"appName": "*", "profileType": "cpu", "thresholdPercent": 30, "category": "gc_pressure",
                "services": {"tier": "critical"}, "windowSeconds": 900, "forSeconds": 0, "keepFiringSeconds": 60,
                "runbookUrl": "https://wiki.example/gc"}),
        ),
        post("/rules", json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30, "measure": "sum"})),
        get("/rules"),
        get("/rules?appName=shop&limit=1"),
        get("/rules/1"),
        get("/rules/999"),
        get("/rules/1/state"),
        get("/rules/999/state"),
        get("/rules/active/state"),
        get("/rules/active/shop"),
        get("/rules/active/nobody"),
        put("/rules/1", json!({"functionPattern": null, "severity": "critical"})),
        put("/rules/1", json!({"functionPattern": "["})),
        put("/rules/1", json!({"category": "regex", "measure": "self"})),
        put("/rules/3", json!({"services": null, "windowSeconds": null})),
        put("/rules/999", json!({"enabled": false})),
        delete("/rules/2"),
        delete("/rules/2"),
    ]
}

fn core() -> Vec<Asked> {
    let process = |number: u8| format!("018d3f3e-7c1a-7000-8000-00000000000{number}");
    let group = |group: &str, number: u8| json!({"group": group, "holder": process(number)});
    let run = |term: i64| {
        json!({"job": "alike", "group": "alike", "timetable": {"periodSeconds": 60, "offsetSeconds": 30},
            "due": "2026-01-23T08:53:30Z", "holder": process(1), "term": term})
    };
    let end = |error: Option<&str>| json!({"job": "alike", "holder": process(1), "term": 1, "durationMs": 12, "error": error});
    let bare = |path: &str| (Method::POST, path.to_owned(), None, None);
    let denied = json!({"entries": [{"userId": "token:ci", "accessMethod": "token", "action": "request.denied",
        "resourceType": "route", "resourceId": "GET /audit", "result": "denied", "times": 3, "clientIp": "192.0.2.7",
        "userAgent": "curl/8.5", "requestId": "r-1", "metadata": {"reason": "forbidden"}}]});
    vec![
        get("/schedule"),
        get("/schedule?nope=1"),
        post("/core/schedule/lead", group("alike", 1)),
        post("/core/schedule/lead", group("alike", 2)),
        post("/core/schedule/lead", group("No group", 2)),
        post("/core/schedule/begin", run(0)),
        post("/core/schedule/begin", run(1)),
        post("/core/schedule/end", end(Some("no space"))),
        post("/core/schedule/end", end(None)),
        post("/core/schedule/begin", run(1)),
        bare("/schedule/alike/run"),
        bare("/schedule/nobody/run"),
        bare("/schedule/No-job/run"),
        get("/schedule"),
        post("/core/schedule/begin", run(1)),
        post("/core/schedule/resign", group("alike", 2)),
        post("/core/schedule/resign", group("alike", 1)),
        bare("/core/schedule/forget"),
        get("/audit?limit=5"),
        get("/audit?action=baseline.update"),
        get("/audit?resourceType=service&resourceId=shop&userId=open:local&result=success"),
        get("/audit?appName=nobody"),
        get("/audit?nope=1"),
        get("/audit/verify?fromSeq=1000000"),
        get("/audit/verify?fromSeq=0"),
        post("/core/audit/append", json!({"entries": []})),
        post("/core/audit/append", denied),
        get("/audit?action=request.denied"),
    ]
}

/// An alert of a rule that nobody has, which an evaluation hands in, and what people do about it.
fn alerts() -> Vec<Asked> {
    let bare = |path: &str| (Method::POST, path.to_owned(), None, None);
    let found = json!({"fingerprint": "rule/99/alike", "source": "rule", "state": "firing", "severity": "warning",
        "title": "gc_pressure over 30 % of cpu", "appName": "alike", "ruleId": 99, "value": 41.3, "worstValue": 45.0,
        "threshold": 30.0, "unit": "percent", "occurrences": 6, "detail": {"headline": "x"},
        "activeSince": "2026-01-23T08:53:20Z", "firedAt": "2026-01-23T08:58:20Z", "lastSeenAt": "2026-01-23T08:58:20Z",
        "clearSince": null, "noDataSince": null, "resolvedAt": null, "resolveReason": null});
    let mut never = found.clone();
    never["occurrences"] = json!(0);
    let hand_in = |found: &Value| json!({"writes": [{"kind": "open", "found": found}], "states": [{"ruleId": 99, "evaluatedAt": "2026-01-23T08:53:20Z", "body": {}}]});
    let seen = |occurrences: i64| {
        json!({"fingerprint": "system/alike", "source": "system", "severity": "info", "title": "alike", "appName": null,
            "value": null, "threshold": null, "unit": null, "occurrences": occurrences, "detail": {}, "quietSeconds": 86_400})
    };
    vec![
        get("/alerts?appName=alike"),
        post("/core/incident/apply", hand_in(&found)),
        post("/core/incident/apply", hand_in(&never)),
        post("/core/incident/observe", seen(1)),
        post("/core/incident/observe", seen(0)),
        bare("/core/incident/standing"),
        post("/core/incident/rule_state", json!({"ruleId": 99})),
        post("/core/incident/untold", json!({"repeatedBefore": "2026-01-23T08:53:20Z", "least": "critical"})),
        get("/alerts?appName=alike&limit=1"),
        get("/alerts?state=all&source=system&acknowledged=false&severity=info"),
        get("/alerts?state=open"),
        get("/alerts/1"),
        get("/alerts/999"),
        post("/alerts/1/acknowledge", json!({"note": "on it", "by": "ana"})),
        post("/alerts/1/acknowledge", json!({})),
        post("/alerts/999/acknowledge", json!({})),
        post("/alerts/1/snooze", json!({"minutes": 60, "reason": "deploying"})),
        post("/alerts/1/snooze", json!({"minutes": 0, "reason": "deploying"})),
        delete("/alerts/1/snooze"),
        post(
            "/core/incident/told",
            json!({"told": [{"id": 1, "state": "acknowledged", "severity": "warning",
            "at": "2026-01-23T08:59:20Z", "channel": "ops"}]}),
        ),
        post("/silences", json!({"appName": "alike", "minutes": 60, "reason": "load test"})),
        post("/silences", json!({"minutes": 60, "reason": "load test"})),
        get("/silences?limit=1"),
        get("/silences?active=perhaps"),
        delete("/silences/1"),
        delete("/silences/1"),
        get("/alerts/1"),
    ]
}

fn profiles() -> Vec<Asked> {
    vec![
        get(format!("/profiles/apps?{AFTER}")),
        get(format!("/profiles/shop?{AFTER}")),
        get(format!("/profiles/shop?{AFTER}&limit=3&type=cpu")),
        get(format!("/profiles/shop?{AFTER}&type=alloc")),
        get(format!("/profiles/shop?{AFTER}&type=disk")),
        get(format!("/profiles/nobody?{AFTER}")),
        get("/profiles/shop?from=1795179600&to=1795176000"),
        get(format!("/profiles/shop/diff?{BOTH}")),
        get(format!("/profiles/nobody/diff?{BOTH}")),
        get(format!("/profiles/shop/export?{AFTER}")),
        get(format!("/profiles/shop/export?{BOTH}")),
        get(format!("/profiles/shop/export?type=lock&{AFTER}")),
        get(format!("/profiles/shop/export?{AFTER}&step=60s")),
        get(format!("/profiles/shop/export?{AFTER}&step=60s&stacks=false")),
        get(format!("/profiles/shop/series?{AFTER}")),
        get(format!("/profiles/shop/series?{AFTER}&step=15s&function=runtime.mallocgc")),
        get(format!("/profiles/shop/series?{AFTER}&category=allocation")),
        get(format!("/profiles/shop/series?{AFTER}&type=disk")),
        get(format!("/profiles/nobody/series?{AFTER}")),
        get("/profiles/shop/series?from=now-3d&step=1m"),
        get(format!("/profiles/shop/flamegraph?{AFTER}")),
        get(format!("/profiles/shop/flamegraph?{BOTH}")),
        get(format!("/profiles/nobody/flamegraph?{AFTER}")),
    ]
}

fn decisions() -> Vec<Asked> {
    vec![
        with(get(format!("/triage/shop?{AFTER}")), "x-requested-by", "ada"),
        get(format!("/triage/shop?types=cpu&compare=day&{AFTER}")),
        get(format!("/triage/shop?types=cpu,wall&limit=3&{AFTER}")),
        get(format!("/triage/shop?types=lock&{AFTER}")),
        get(format!("/triage/nobody?{AFTER}")),
        get(format!("/triage/shop?types=disk&{AFTER}")),
        get(format!("/diff/shop?{BOTH}")),
        get(format!("/diff/shop?{BOTH}&format=markdown")),
        get(format!("/diff/shop?{BOTH}&type=alloc")),
        get(format!("/diff/nobody?{BOTH}")),
        get("/diff/shop?baselineFrom=1795172400&baselineTo=1795176000&from=1795175000&to=1795179600"),
        post(&format!("/rules/test?{AFTER}"), json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 5})),
        post(
            &format!("/rules/test?{AFTER}"),
            json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 5, "category": "allocation"}),
        ),
        post(
            &format!("/rules/test?{AFTER}"),
            json!({"appName": "nobody", "profileType": "cpu", "thresholdPercent": 5}),
        ),
        post("/rules/test", json!({"appName": "*", "profileType": "cpu", "thresholdPercent": 5})),
        get(format!("/search?function=cart&{AFTER}")),
        get(format!("/search?{AFTER}")),
        get(format!("/fleet/hotspots?{AFTER}")),
        get(format!("/fleet/hotspots?apps=shop,nobody&{AFTER}")),
        get("/nope"),
    ]
}

/// Messages with these keys, about incident 7.
pub(super) fn messages(keys: &[&str]) -> Value {
    let one = |key: &&str| {
        let notice = json!({"event": "firing", "severity": "critical", "headline": "FIRING", "lines": ["größe"],
            "links": [{"name": "alert", "url": "http://localhost/alerts/7"}], "alert": {"id": 7}});
        json!({"key": key, "incidentId": 7, "meantFor": ["#gone", "https://hooks.example/secret"], "notice": notice})
    };
    json!({"messages": keys.iter().map(one).collect::<Vec<_>>()})
}

fn notifications() -> Vec<Asked> {
    let bare = |path: &str| (Method::POST, path.to_owned(), None, None);
    vec![
        get("/channels"),
        get("/channels?nope=1"),
        bare("/channels/slack/test"),
        bare("/channels/nobody/test"),
        get("/notifications"),
        get("/notifications?state=dead&channel=slack&alertId=7"),
        get("/notifications?alertId=8"),
        get("/notifications?limit=0"),
        // Its key is there already, so nothing waits and nothing is sent.
        post("/core/notification/enqueue", messages(&["refused"])),
        post("/core/notification/enqueue", messages(&[])),
        post("/core/notification/mirror", json!({"alerts": []})),
        bare("/notifications/999/retry"),
        bare("/notifications/x/retry"),
        bare("/notifications/1/retry"),
    ]
}

fn operations() -> Vec<Asked> {
    let at = |millis: i64| {
        (SystemClock.now() - TimeDelta::milliseconds(millis)).to_rfc3339_opts(SecondsFormat::Micros, true)
    };
    let span = |id: &str, parent: Option<&str>, failed: bool| {
        json!({"operationType": "merge", "durationUs": 5_000, "endedAt": at(60_000), "traceId": "alike", "spanId": id,
            "parentSpanId": parent, "userName": "ada", "failed": failed, "metadata": {"camelCase": 1}})
    };
    let batch = json!({"metrics": [span("a", None, false), {"operationType": "", "durationUs": 1}, span("b", Some("a"), true)]});
    let begin =
        json!({"operationType": "merge", "spanName": "merge", "spanId": "s/1", "traceId": "t", "userName": "ada"});
    let key = |asked| with(asked, "idempotency-key", "018d3f3e-7c1a-7000-8000-00000000a11c");
    vec![
        post("/performance/metrics", json!({"operationType": "commit", "durationUs": 5, "userName": "ada"})),
        post("/performance/metrics", json!({"operationType": "commit", "durationUs": -5})),
        post("/performance/metrics", json!({"operationType": "commit", "durationUs": 5, "endedAt": at(-700_000)})),
        key(post("/performance/metrics/batch", batch.clone())),
        key(post("/performance/metrics/batch", batch)),
        key(post("/performance/metrics", json!({"operationType": "commit", "durationUs": 5}))),
        get("/performance/metrics/1"),
        get("/performance/metrics/999"),
        get("/performance/metrics/x"),
        get("/performance/traces?operationType=merge&limit=1"),
        get("/performance/traces?status=failed&minDurationUs=1&from=now-1h&to=now&scope="),
        get("/performance/traces?limit=0"),
        get("/performance/traces/alike"),
        get("/performance/traces/nobody"),
        post("/performance/spans", begin.clone()),
        post("/performance/spans", begin),
        put("/performance/spans/s%2F1/end", json!({"status": "success", "endedAt": at(9_000_000)})),
        put("/performance/spans/nobody/end", json!({"status": "success"})),
        put("/performance/spans/s%2F1/end", json!({"status": "failed", "errorMessage": "boom"})),
        put("/performance/spans/s%2F1/end", json!({"status": "failed"})),
        with(
            post(
                "/performance/metrics/batch",
                json!({"metrics": vec![json!({"operationType": "learnt", "durationUs": 7}); 20]}),
            ),
            "idempotency-key",
            "018d3f3e-7c1a-7000-8000-00000000a11d",
        ),
        get("/performance/operations?limit=3"),
        get("/performance/operations?scope=branch:7"),
        get("/performance/operations/merge"),
        get("/performance/operations/learnt/trend?bucket=hour"),
        get("/performance/operations/nobody/trend"),
        get("/performance/series?step=1h"),
        get("/performance/series?step=1m&groupBy=both&operationType=learnt"),
        get("/performance/slowest?operationType=merge&limit=2"),
        get("/performance/dashboard"),
        get("/performance/scopes"),
        get("/performance/users?limit=2"),
        post("/performance/baselines", json!({"operationType": "learnt", "lookbackDays": 2})),
        post("/performance/baselines", json!({"operationType": "nobody"})),
        post("/performance/baselines", json!({"operationType": "learnt", "lookbackDays": 99})),
        get("/performance/baselines?operationType=learnt"),
        get("/performance/baselines/1"),
        get("/performance/baselines/999"),
        get("/performance/baseline-health"),
        post("/performance/metrics", json!({"operationType": "learnt", "durationUs": 15})),
        post("/performance/metrics", json!({"operationType": "learnt", "durationUs": 36})),
        get("/performance/alerts?resolved=false&limit=1"),
        get("/performance/alerts/1"),
        put("/performance/alerts/1/acknowledge", json!({"resolutionNotes": "on it"})),
        put("/performance/alerts/1/acknowledge", json!({})),
        delete("/performance/baselines/1"),
        delete("/performance/baselines/1"),
        post("/performance/operation-types", json!({"operationType": "learnt", "category": "read"})),
        get("/performance/operation-types"),
        get("/performance/anomalies"),
        get("/performance/degradations?days=2"),
        get("/performance/correlations?threshold=0.5"),
        post("/performance/merges", merge("a")),
        post("/performance/merges", merge("b")),
        get("/performance/merges?status=partial_success&limit=1"),
        get("/performance/merges?sourceScope=nobody"),
        get("/performance/merge-statistics"),
        post("/v1/traces", traces(&at(0))),
        post("/v1/traces", json!([])),
        with(post("/v1/traces", json!({})), "content-type", "text/plain"),
        get("/performance/traces/0102030405060708090a0b0c0d0e0f10"),
    ]
}

/// A merge into a scope; into `b` it is none.
fn merge(target: &str) -> Value {
    json!({"sourceScope": "b", "targetScope": target, "totalMergeUs": 50, "conflictCount": 3, "autoSuccessCount": 2,
        "autoFailureCount": 1, "mergeStatus": "partial_success", "userName": "ada"})
}

/// A span of OpenTelemetry that ended at this time, and one that has no id.
fn traces(ended: &str) -> Value {
    let ended = ended.parse::<DateTime<Utc>>().unwrap().timestamp_nanos_opt().unwrap();
    let span = |id: &str| {
        json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": id, "name": "GET /größe", "kind": 2,
            "startTimeUnixNano": (ended - 5_000_000).to_string(), "endTimeUnixNano": ended.to_string()})
    };
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span("0102030405060708"), span("")]}]}]})
}
