//! App names may be any text: slashes, spaces and umlauts are sent percent-encoded.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::pushing::collecting;
use crate::harness::Flamewarden;
use crate::processes::until;

#[rstest]
#[case("shop/eu", "shop%2Feu")]
#[case("my shop", "my%20shop")]
#[case("gr\u{f6}\u{df}e \u{1f525}", "gr%C3%B6%C3%9Fe%20%F0%9F%94%A5")]
#[case("50%", "50%25")]
#[actix_web::test]
async fn a_name_is_the_same_on_every_route(#[case] name: &'static str, #[case] encoded: &str) {
    let server = Flamewarden::start().await;
    collecting(name).ingest(&server).await;
    let baseline = json!({"appName": name, "profileType": "cpu", "functionName": "runtime.scanobject",
                          "maxSelfPercent": 15});
    let set = server.request(Method::POST, "/baselines").json(&baseline).send().await.unwrap();
    assert_eq!(set.status(), 201);
    assert_eq!(server.json("/profiles/apps").await.1, json!({"apps": [name]}));
    for path in ["/profiles/{}", "/profiles/{}/diff", "/triage/{}", "/baselines/{}", "/baselines/{}/cpu"] {
        let (status, body) = server.json(&path.replace("{}", encoded)).await;
        assert_eq!((status, &body["appName"]), (200, &json!(name)), "{path}: {body}");
    }
    for path in ["/profiles/{}/export", "/profiles/{}/flamegraph"] {
        assert_eq!(server.get(&path.replace("{}", encoded)).send().await.unwrap().status(), 200, "{path}");
    }
    let (_, body) = server.json(&format!("/triage/{encoded}")).await;
    assert_eq!(body["summary"]["baselineViolations"], 1, "{body}");
    let history = format!("/history/{encoded}");
    until("the assessment", || async { server.json(&history).await.1["count"] == 2 }).await;
    assert_eq!(server.json(&format!("{history}/latest")).await.1["appName"], name);
}

#[rstest]
#[case("/profiles/a%00b")]
#[case("/profiles/a%00b/diff")]
#[case("/profiles/a%00b/export")]
#[case("/profiles/a%00b/flamegraph")]
#[case("/triage/a%00b")]
#[case("/baselines/a%00b")]
#[case("/baselines/a%00b/cpu")]
#[case("/history/a%00b")]
#[case("/history/a%00b/latest")]
#[case("/profiles/a%FFb")]
#[case("/profiles/%20")]
#[actix_web::test]
async fn what_is_no_name_is_refused(#[case] path: &str) {
    let server = Flamewarden::start().await;
    let (status, body) = server.json(path).await;
    assert_eq!((status, &body["code"]), (400, &json!("parameter_invalid")), "{body}");
}

#[actix_web::test]
async fn a_pushed_name_with_u0000_is_refused() {
    let server = Flamewarden::start().await;
    let push = server.receiver().request(Method::POST, "/ingest?name=a%00b").body("main 1");
    assert_eq!(push.send().await.unwrap().status(), 400);
}
