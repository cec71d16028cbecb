//! Each value of FUNCTION by itself: what it opens, what it documents, and what it works without.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::Value;

use crate::harness::{Flamewarden, Setup};
use crate::testing;

/// The addresses of other servers. Nothing listens there, and nothing is called before a request comes.
const NOBODY: &str = "http://127.0.0.1:9";

async fn document(server: &Flamewarden) -> Value {
    server.json("/api-docs/openapi.json").await.1
}

/// The paths of a document that have only these tags.
fn paths(document: &Value, tags: &[&str]) -> BTreeSet<String> {
    let of_a_room = |item: &Value| {
        let operations = item.as_object().unwrap().values();
        operations.flat_map(|o| o["tags"].as_array().unwrap()).any(|tag| tags.contains(&tag.as_str().unwrap()))
    };
    let all = document["paths"].as_object().unwrap().iter();
    all.filter(|(_, item)| of_a_room(item)).map(|(path, _)| path.clone()).collect()
}

/// The chapters of the core.
const OF_THE_CORE: &[&str] = &["alerts", "silences", "schedule", "audit", "channels", "notifications"];

/// What the process of a function serves besides its health: rooms, by their tags; and what it has: a database, a
/// spool.
#[rstest]
#[case("ReadPyroscopeProfile.sor.v1", &["PYROSCOPE_URL"], &["profiles"], &[])]
#[case("ReadPyroscopeProfile.sor.v1", &["PROFILE_DATA_URL"], &["profiles"], &[])]
#[case("ReadPyroscopeProfile.sor.v1", &["DATABASE_URL"], &["profiles", "receivers", "pyroscope"], &["database"])]
#[case("ReadPyroscopeBaseline.sor.v1", &["DATABASE_URL"], &["baselines"], &["database"])]
#[case("ReadPyroscopeBaseline.sor.v1", &["BASELINE_URL"], &["baselines"], &[])]
#[case("CreatePyroscopeTriageHistory.sor.v1", &["DATABASE_URL"], &["history"], &["database"])]
#[case("CreatePyroscopeTriageHistory.sor.v1", &["HISTORY_URL"], &["history"], &[])]
#[case("ReadPyroscopeServiceRegistry.sor.v1", &["DATABASE_URL"], &["services"], &["database"])]
#[case("ReadPyroscopeServiceRegistry.sor.v1", &["REGISTRY_URL"], &["services"], &[])]
#[case("ReadPyroscopeAlertRule.sor.v1", &["DATABASE_URL"], &["rules"], &["database"])]
#[case("ReadPyroscopeAlertRule.sor.v1", &["ALERT_RULE_URL"], &["rules"], &[])]
#[case("ReadPyroscopeCore.sor.v1", &["DATABASE_URL"], OF_THE_CORE, &["database", "audit", "notifications"])]
#[case("ReadPyroscopeCore.sor.v1", &["CORE_URL"], OF_THE_CORE, &[])]
#[case("ReadPyroscopePerformance.sor.v1", &["DATABASE_URL"], &["performance"], &["database", "performance"])]
#[case("ReadPyroscopePerformance.sor.v1", &["PERFORMANCE_URL"], &["performance"], &["performance"])]
#[case("ReadPyroscopeTriageAssessment.v1", &["PYROSCOPE_URL"], &["triage"], &[])]
#[case("ReadPyroscopeTriageAssessment.v1", &["PROFILE_DATA_URL", "HISTORY_URL", "DATABASE_URL"], &["triage"], &[])]
#[case("ReadPyroscopeTriageAssessment.v2", &["PYROSCOPE_URL", "DATABASE_URL"], &["triage"], &[])]
#[case("ReadPyroscopeTriageAssessment.v2", &["PROFILE_DATA_URL", "HISTORY_URL"], &["triage"], &["spool"])]
#[case("ReadPyroscopeDiffReport.v1", &["PYROSCOPE_URL"], &["diff"], &[])]
#[case("ReadPyroscopeDiffReport.v1", &["PROFILE_DATA_URL", "HISTORY_URL", "DATABASE_URL"], &["diff"], &[])]
#[case("ReadPyroscopeDiffReport.v2", &["PYROSCOPE_URL", "DATABASE_URL"], &["diff"], &[])]
#[case("ReadPyroscopeDiffReport.v2", &["PROFILE_DATA_URL", "HISTORY_URL"], &["diff"], &["spool"])]
#[case("EvaluatePyroscopeAlert.v1", &["PROFILE_DATA_URL", "ALERT_RULE_URL", "CORE_URL"], &["evaluation"], &["alerting"])]
#[case(
    "EvaluatePyroscopeAlert.v1, ReadPyroscopeAlertRule.sor.v1",
    &["PYROSCOPE_URL", "ALERT_RULE_URL", "CORE_URL"],
    &["evaluation", "rules"],
    &["alerting"]
)]
#[case("ReadPyroscopeFleetSearch.v1", &["PYROSCOPE_URL"], &["fleet"], &[])]
#[case("ReadPyroscopeFleetSearch.v1", &["PROFILE_DATA_URL", "REGISTRY_URL", "DATABASE_URL"], &["fleet"], &[])]
#[case("ReadPyroscopeFleetSearch.v2", &["PYROSCOPE_URL", "DATABASE_URL"], &["fleet"], &[])]
#[case("ReadPyroscopeFleetSearch.v2", &["PROFILE_DATA_URL", "REGISTRY_URL", "HISTORY_URL"], &["fleet"], &[])]
#[case(
    "ReadPyroscopeDiffReport.v2, CreatePyroscopeTriageHistory.sor.v1",
    &["PYROSCOPE_URL", "DATABASE_URL"],
    &["diff", "history"],
    &["database", "spool"]
)]
#[actix_web::test]
async fn a_process_opens_and_documents_the_rooms_of_its_function_alone(
    #[case] function: &str,
    #[case] told: &[&str],
    #[case] rooms: &[&str],
    #[case] holds: &[&str],
) {
    let whole: Value = serde_json::from_str(&flamewarden::app::openapi().to_json().unwrap()).unwrap();
    let database = testing::database().await;
    let setup = Setup::of(&[("FUNCTION", function)]);
    let setup = told.iter().fold(setup, |setup, variable| match *variable {
        "DATABASE_URL" => setup.with(variable, &database.url()),
        other => setup.with(other, NOBODY),
    });
    let server = setup.start().await;
    server.ready().await;
    let own = document(&server).await;
    let open: Vec<_> = rooms.iter().copied().chain(["health"]).collect();
    let (every, expected) = (whole["paths"].as_object().unwrap(), paths(&whole, &open));
    assert_eq!(own["paths"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), expected);
    let is_elsewhere = |path: &String| !expected.iter().any(|own| takes(own, path)) && !is_of_the_store(&whole, path);
    for path in every.keys().filter(|path| is_elsewhere(path)) {
        let (status, body) = server.json(&path.replace(['{', '}'], "")).await;
        assert_eq!((status, body["code"].as_str()), (404, Some("route_unknown")), "{path}");
    }
    // The pages show this document, which has only the process's own tags.
    let chapters: BTreeSet<_> =
        own["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(chapters, open.into_iter().collect());
    let page = server.get("/swagger-ui/").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("\"/api-docs/openapi.json\""), "{page}");
    let health = server.json("/api/v1/health").await.1;
    for part in ["database", "spool", "audit", "notifications", "alerting", "performance"] {
        assert_eq!(health["checks"].get(part).is_some(), holds.contains(&part), "{part}: {health}");
    }
}

/// Whether a path is one of the paths that another stands for: `/rules/{id}` takes `/rules/test` for an id.
fn takes(own: &str, path: &str) -> bool {
    let (own, path) = (own.split('/'), path.split('/'));
    own.clone().count() == path.clone().count()
        && own.zip(path).all(|(own, given)| own == given || own.starts_with('{'))
}

/// If profiles are read from elsewhere, what only an embedded store answers has a code of its own that says where to ask.
fn is_of_the_store(whole: &Value, path: &str) -> bool {
    paths(whole, &["receivers", "pyroscope"]).contains(path)
}
