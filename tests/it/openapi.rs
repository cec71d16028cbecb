//! The committed document is the served one.

use std::fs;
use std::path::Path;

use crate::harness::Setup;

/// `UPDATE_GENERATED=1` rewrites the committed document.
#[actix_web::test]
async fn the_committed_document_is_the_served_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    // One process: split, the receivers are elsewhere.
    let database = flamewarden::storage::testing::database().await;
    let server = Setup::of(&[("DATABASE_URL", &database.url())]).start().await;
    let served: serde_json::Value = server.get("/api-docs/openapi.json").send().await.unwrap().json().await.unwrap();
    let printed = flamewarden::app::openapi().to_pretty_json().unwrap() + "\n";
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(&printed).unwrap(), "served and printed differ");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, printed).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == printed, "openapi/openapi.json is stale: run `just gen`");
}

/// A customer reads it: every operation says what it does and which errors it answers with.
#[test]
fn every_operation_is_described() {
    let document: serde_json::Value = serde_json::from_str(&flamewarden::app::openapi().to_json().unwrap()).unwrap();
    let mut lacking = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(_, o)| o.get("responses").is_some()) {
            let mut lack = |what: &str| lacking.push(format!("{method} {path} lacks {what}"));
            if operation["summary"].as_str().unwrap_or("").is_empty() {
                lack("a summary");
            }
            if operation["description"].as_str().unwrap_or("").is_empty() {
                lack("a description");
            }
            if operation["tags"].as_array().is_none_or(Vec::is_empty) {
                lack("a tag");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let health = path.starts_with("/ready") || path.starts_with("/api/v1/health");
                let problem = answer["content"].get("application/problem+json").is_some()
                    || answer["content"].get("application/json").is_some_and(|_| path.starts_with("/push"));
                if status.as_str() >= "400" && !problem && !health {
                    lack(&format!("the problem document of {status}"));
                }
            }
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            if path.contains('{') && parameters == 0 {
                lack("its path parameters");
            }
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}
