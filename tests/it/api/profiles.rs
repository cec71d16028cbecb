//! Profiles that are pushed, ranked, compared, drawn and exported.

use flamewarden::profile::{FunctionTable, ReadLimits, read_pprof};
use rstest::rstest;
use serde_json::{Value, json};

use super::pushing::{COLLECTOR, Made, PERIOD, PRICES, collecting};
use crate::harness::Flamewarden;

/// Name, self share, self ticks and total ticks of each function.
fn rows(window: &Value) -> Vec<(&str, f64, i64, i64)> {
    let row = |f: &'_ Value| (f["selfPercent"].as_f64(), f["selfSamples"].as_i64(), f["totalSamples"].as_i64());
    let functions = window["functions"].as_array().unwrap().iter();
    functions
        .map(|f| {
            let (percent, own, total) = row(f);
            (f["name"].as_str().unwrap(), percent.unwrap(), own.unwrap(), total.unwrap())
        })
        .collect()
}

#[actix_web::test]
async fn both_receivers_lead_to_the_same_table() {
    let server = Flamewarden::start().await;
    collecting("ingested").ingest(&server).await;
    collecting("pushed").push(&server).await;
    for app in ["ingested", "pushed"] {
        let (status, body) = server.json(&format!("/profiles/{app}?from=now-10m&to=now&limit=3")).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["appName"], app);
        assert_eq!((&body["profileType"], &body["unit"]), (&json!("cpu"), &json!("nanoseconds")));
        assert_eq!(body["totalSamples"], 1_000 * PERIOD);
        let expected = [
            ("runtime.scanobject", 70.0, 700 * PERIOD, 700 * PERIOD),
            ("shop.Price.sum", 30.0, 300 * PERIOD, 300 * PERIOD),
            ("main.main", 0.0, 0, 300 * PERIOD),
        ];
        assert_eq!(rows(&body), expected, "{app}");
    }
    let (_, body) = server.json("/profiles/apps").await;
    assert_eq!(body, json!({"apps": ["ingested", "pushed"]}));
}

#[actix_web::test]
async fn a_diff_ranks_each_window_by_its_own_total() {
    let server = Flamewarden::start().await;
    Made::cpu("shop", 45).with(&COLLECTOR, 10).with(&PRICES, 90).ingest(&server).await;
    collecting("shop").ingest(&server).await;
    let windows = "baselineFrom=now-1h&baselineTo=now-30m&from=now-30m&to=now";
    let (status, body) = server.json(&format!("/profiles/shop/diff?{windows}&limit=2")).await;
    assert_eq!(status, 200, "{body}");
    let shares = |side: &str| -> Vec<(String, f64)> {
        rows(&body[side]).into_iter().map(|(name, percent, ..)| (name.to_owned(), percent)).collect()
    };
    let row = |name: &str, percent| (name.to_owned(), percent);
    assert_eq!(shares("baseline"), [row("shop.Price.sum", 90.0), row("runtime.scanobject", 10.0)]);
    assert_eq!(shares("current"), [row("runtime.scanobject", 70.0), row("shop.Price.sum", 30.0)]);
    let svg = server.get(&format!("/profiles/shop/flamegraph?{windows}")).send().await.unwrap();
    assert_eq!(svg.status(), 200);
    assert!(svg.text().await.unwrap().contains("runtime.scanobject"));
}

#[actix_web::test]
async fn an_export_read_back_is_the_same_table() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let (_, body) = server.json("/profiles/shop?limit=0").await;
    let answer = server.get("/profiles/shop/export").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-profile-types"], "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    assert_eq!(answer.headers()["x-truncated-percent"], "0");
    let file = read_pprof(&answer.bytes().await.unwrap(), &ReadLimits::default()).unwrap();
    let table = FunctionTable::of(&file.profile, 0);
    let exported: Vec<_> = table.rows().iter().map(|row| (row.name, row.self_ticks, row.total_ticks)).collect();
    let served: Vec<_> = rows(&body).into_iter().map(|(name, _, own, total)| (name, own, total)).collect();
    assert_eq!(exported.len(), 6);
    assert_eq!(exported, served);
}

#[actix_web::test]
async fn a_flame_graph_is_an_svg_of_the_stacks() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let answer = server.get("/profiles/shop/flamegraph").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/svg+xml".parse().unwrap()));
    let svg = answer.text().await.unwrap();
    assert!(svg.contains("<svg") && svg.contains("shop.Price.sum"), "{svg}");
}

#[actix_web::test]
async fn a_known_app_without_data_in_the_window_has_an_empty_table() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let (status, body) = server.json("/profiles/shop?from=now-5h&to=now-4h").await;
    assert_eq!((status, &body["totalSamples"], &body["functions"]), (200, &json!(0), &json!([])), "{body}");
    let export = server.get("/profiles/shop/export?from=now-5h&to=now-4h").send().await.unwrap();
    let file = read_pprof(&export.bytes().await.unwrap(), &ReadLimits::default()).unwrap();
    assert_eq!(file.profile.stack_count(), 0);
}

#[rstest]
#[case("", 404, "app_unknown", "nobody")]
#[case("/export", 404, "app_unknown", "nobody")]
#[case("/flamegraph", 404, "app_unknown", "nobody")]
#[case("/diff", 404, "app_unknown", "nobody")]
#[case("?nope=1", 400, "parameter_unknown", "nope")]
#[case("?type=disk", 400, "profile_type_unknown", "goroutine")]
#[case("?limit=-1", 400, "parameter_invalid", "limit")]
#[case("?from=1706000000000", 400, "parameter_invalid", "epoch seconds, not milliseconds")]
#[case("?from=now&to=now-1h", 400, "window_invalid", "before")]
#[case("?from=1706000000&to=1710000000", 400, "window_invalid", "31 days")]
#[case("?selector=service_name%3D%22x%22", 400, "parameter_invalid", "service_name")]
#[actix_web::test]
async fn what_cannot_be_answered_is_told_why(
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
    #[case] says: &str,
) {
    let server = Flamewarden::start().await;
    let (answered, body) = server.json(&format!("/profiles/nobody{path}")).await;
    assert_eq!((answered, body["code"].as_str().unwrap()), (status, code), "{body}");
    assert!(body.to_string().contains(says), "{body}");
}
