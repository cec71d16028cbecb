//! The committed OpenAPI document must be the one that is served.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Flamewarden, Setup};

/// `UPDATE_GENERATED=1` rewrites the committed document.
#[actix_web::test]
async fn the_committed_document_is_the_served_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    // One process: in a split, another one has the receivers.
    let database = crate::testing::database().await;
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

/// Clients read it: every operation describes what it does and with which errors it answers.
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
                let shared = answer["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
                let answer = shared.unwrap_or(answer);
                let health = path.starts_with("/ready") || path.starts_with("/api/v1/health");
                let problem = answer["content"].get("application/problem+json").is_some()
                    || answer["content"].get("application/json").is_some_and(|_| speaks_as_pyroscope(path));
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

/// Routes whose errors are those of Pyroscope.
fn speaks_as_pyroscope(path: &str) -> bool {
    ["/push.", "/querier.", "/pyroscope/render", "/pyroscope/label-values"].iter().any(|start| path.starts_with(start))
}

/// What the document shows for a body: its content type, and an example as bytes.
fn example_body(document: &Value, operation: &Value) -> Option<(String, String)> {
    let content = operation["requestBody"]["content"].as_object()?;
    content.iter().find_map(|(kind, media)| {
        let named = media["schema"]["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
        let example = media.get("example").or_else(|| named?.get("example"))?;
        Some((kind.clone(), example.as_str().map_or_else(|| example.to_string(), str::to_owned)))
    })
}

/// The path with its example parameters. Optional parameters without an example are left out.
fn example_path(path: &str, operation: &Value) -> String {
    let (mut path, mut query) = (path.to_owned(), url::form_urlencoded::Serializer::new(String::new()));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let example = match parameter.get("example").or_else(|| parameter["schema"].get("example")) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => continue,
        };
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &example),
            "query" => drop(query.append_pair(name, &example)),
            _ => {}
        }
    }
    format!("{path}?{}", query.finish())
}

/// Every example can be executed in Swagger UI: pushes and writes come first, then the reads that find them.
#[actix_web::test]
async fn every_example_runs() {
    let database = crate::testing::database().await;
    // The channel of the examples, at which nobody listens.
    let folder = tempfile::tempdir().unwrap();
    let channels = folder.path().join("channels.toml");
    std::fs::write(&channels, "[channel.ops]\nkind = \"slack\"\nurl = \"http://127.0.0.1:9/\"\n").unwrap();
    let setup = Setup::of(&[("DATABASE_URL", &database.url()), ("CHANNELS_FILE", channels.to_str().unwrap())]);
    let server = setup.start().await;
    server.ready().await;
    let document: Value = server.get("/api-docs/openapi.json").send().await.unwrap().json().await.unwrap();
    // A new server has its own profiles.
    let own = server
        .request(Method::POST, "/ingest?name=flamewarden%7Bfunction=all%7D&from=now-60s&until=now-50s")
        .body("main;serve 300\n")
        .send()
        .await
        .unwrap();
    assert_eq!(own.status(), 200);
    // And people do something about an alert, which is there already.
    let observe = "/core/incident/observe";
    let (seen, body) = example(&server, &document, "post", observe, &document["paths"][observe]["post"]).await;
    assert_eq!((seen, body.contains("\"id\":1,")), (200, true), "{body}");
    // Operations have a past, which the one of the examples is slower than.
    let past = |kind: &str| json!({"operationType": kind, "durationUs": 1_000});
    let past = [vec![past("commit"); 10], vec![past("triage")]].concat();
    let recorded = server
        .request(Method::POST, "/performance/metrics/batch")
        .json(&json!({"metrics": past}))
        .send()
        .await
        .unwrap();
    assert_eq!(recorded.status(), 200);
    let mut ran = 0;
    for method in ["post", "get", "put", "delete"] {
        for (path, item) in document["paths"].as_object().unwrap() {
            let Some(operation) = item.get(method) else { continue };
            let (answered, body) = example(&server, &document, method, path, operation).await;
            // A row with an id is not there: the id of the example is one that no row has.
            let unknown = matches!(method, "put" | "delete") && answered == 404;
            // Only what was given up is tried again.
            let in_time = path == "/notifications/{id}/retry" && [404, 409].contains(&answered);
            assert!((200..300).contains(&answered) || unknown || in_time, "{method} {path}: {answered} {body}");
            assert!(operation["responses"].get(answered.to_string()).is_some(), "{method} {path}: {answered}");
            if path == "/triage/{appName}" || path == "/profiles/{appName}" {
                assert!(body.contains("serve"), "{path} shows what was pushed: {body}");
            }
            ran += 1;
        }
    }
    assert!(ran > 20, "{ran}");
}

async fn example(server: &Flamewarden, document: &Value, method: &str, path: &str, operation: &Value) -> (u16, String) {
    let request =
        server.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &example_path(path, operation));
    let request = match example_body(document, operation) {
        Some((kind, body)) => request.header("content-type", kind).body(body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
}
