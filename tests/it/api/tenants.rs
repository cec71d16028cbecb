//! Apps of tenants other than the configured one, on a Pyroscope with several tenants.

use serde_json::{Value, json};

use crate::harness::{Flamewarden, Setup};
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing;

async fn asked(server: &Flamewarden, path: &str) -> (u16, Value) {
    let (status, body) = server.json(path).await;
    let said = if status == 200 { body.get("labels").cloned().unwrap_or_default() } else { body["code"].clone() };
    (status, said)
}

#[actix_web::test]
async fn an_app_is_read_from_the_tenant_that_it_is_registered_with() {
    let (source, database) = (Canned::of_tenant("team-a").await, testing::database().await);
    let setup = Setup::of(&[("PYROSCOPE_URL", &source.url()), ("DATABASE_URL", &database.url())]);
    let whole = setup.with("PYROSCOPE_TENANT", "team-b").start().await;
    whole.ready().await;
    let before = |functions: &str, registry: &str| {
        let setup = Setup::of(&[("FUNCTION", functions), ("PROFILE_DATA_URL", whole.base())]);
        setup.with("REGISTRY_URL", registry)
    };
    let decisions = "ReadPyroscopeTriageAssessment.v2,ReadPyroscopeDiffReport.v2,ReadPyroscopeFleetSearch.v2";
    let split = before(decisions, whole.base()).start().await;
    let unknown = (404, json!("app_unknown"));
    let (triage, diff) = (format!("/triage/shop?types=cpu&{AFTER}"), format!("/diff/shop?{BOTH}"));
    for server in [&whole, &split] {
        assert_eq!((asked(server, &triage).await, asked(server, &diff).await), (unknown.clone(), unknown.clone()));
    }

    let service = json!({"appName": "shop", "metadata": {"pyroscopeTenant": "team-a"}});
    let registered = whole.request(reqwest::Method::POST, "/services").json(&service).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    for server in [&whole, &split] {
        assert_eq!(asked(server, &triage).await, (200, Value::Null));
        assert_eq!(asked(server, &diff).await, (200, Value::Null));
        let (_, named) = server.json(&format!("/fleet/hotspots?apps=shop,billing&{AFTER}")).await;
        assert_eq!((&named["appsWithData"], &named["errors"][0]["app"]), (&json!(1), &json!("billing")), "{named}");
        let (_, discovered) = server.json(&format!("/fleet/hotspots?{AFTER}")).await;
        assert_eq!(discovered["appCount"], 0, "{discovered}");
    }
    // One request is over the one tenant that its header names, whatever the registry says.
    for path in ["/fleet/hotspots?", "/search?function=toJson&"] {
        for (tenant, counts) in [("team-a", [2, 2]), ("team-b", [0, 0])] {
            for server in [&whole, &split] {
                let request = server.get(&format!("{path}{AFTER}")).header("X-Scope-OrgID", tenant);
                let all: Value = request.send().await.unwrap().json().await.unwrap();
                assert_eq!(json!([all["appCount"], all["appsWithData"]]), json!(counts), "{path} {tenant}: {all}");
            }
        }
        let request = whole.get(&format!("{path}apps=shop&{AFTER}")).header("X-Scope-OrgID", "team-b");
        let theirs: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(theirs["appsWithData"].as_u64().unwrap_or(0), 0, "{theirs}");
    }
    let lost = before("ReadPyroscopeTriageAssessment.v2", "http://127.0.0.1:9").start().await;
    assert_eq!(asked(&lost, &triage).await, unknown, "without the registry it is looked for where it is not");

    let profile = format!("/profiles/shop?{AFTER}");
    assert_eq!(asked(&whole, &profile).await, unknown);
    let theirs = whole.get(&profile).header("X-Scope-OrgID", "team-a").send().await.unwrap();
    assert_eq!(theirs.status(), 200);
    let none = whole.get(&profile).header("X-Scope-OrgID", "team a").send().await.unwrap();
    assert_eq!(
        (none.status().as_u16(), &none.json::<Value>().await.unwrap()["code"]),
        (400, &json!("parameter_invalid"))
    );
}
