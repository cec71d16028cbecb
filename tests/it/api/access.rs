//! Who may ask for what: every route with every role and every way to be known.

use std::io::Write as _;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use flamewarden::kernel::TokenDigest;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::pushing::collecting;
use crate::harness::{Flamewarden, Setup};

/// The token of a name. Each is used by these tests alone.
fn token(name: &str) -> String {
    format!("fw_{name:_<43}")
}

const ROLES: [&str; 5] = ["ingest", "viewer", "editor", "admin", "service"];

/// A file with a token for each role, named as the role.
fn tokens(more: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let entry = |name: &str, role: &str, more: &str| {
        format!(
            "[[token]]\nname = \"{name}\"\nhash = \"{}\"\nrole = \"{role}\"\n{more}\n",
            TokenDigest::of(&token(name))
        )
    };
    for role in ROLES {
        file.write_all(entry(role, role, "").as_bytes()).unwrap();
    }
    let old = entry("old", "admin", "expires = \"2020-01-01T00:00:00Z\"");
    let limited = entry("limited", "admin", "projects = [\"checkout\"]");
    write!(file, "{old}{limited}{more}").unwrap();
    file
}

/// A server with these tokens, and with 127.0.0.1 as its gateway.
async fn guarded(file: &tempfile::NamedTempFile) -> Flamewarden {
    let path = file.path().display().to_string();
    Flamewarden::start_whole(Setup::of(&[("AUTH_TOKENS_FILE", &path), ("TRUSTED_PROXIES", "127.0.0.1")])).await
}

/// How a caller is known.
#[derive(Debug, Clone, Copy)]
enum Known {
    Bearer,
    Basic,
    Gateway,
}

impl Known {
    fn show(self, request: RequestBuilder, name: &str) -> RequestBuilder {
        match self {
            Self::Bearer => request.bearer_auth(token(name)),
            Self::Basic => request.basic_auth("anybody", Some(token(name))),
            Self::Gateway => request.header("X-User", "ada").header("X-Role", name),
        }
    }
}

/// The least role of a route, as its users were told. Not taken from the document: that must agree.
fn least_role(method: &str, path: &str) -> Option<&'static str> {
    const PUSHED: [&str; 5] =
        ["/ingest", "/pyroscope/ingest", "/push.v1.PusherService/Push", "/v1development/profiles", "/v1/traces"];
    const RECORDED: [&str; 3] = ["/performance/metrics", "/performance/spans", "/performance/merges"];
    const WRITTEN: [&str; 7] =
        ["/baselines", "/services", "/rules", "/history", "/alerts/{id}/", "/silences", "/performance/"];
    match (method, path) {
        (_, "/health" | "/live" | "/ready") => None,
        ("get", "/whoami") => Some("any"),
        (_, path) if path.starts_with("/core/") => Some("service"),
        (_, path) if path.starts_with("/audit") => Some("admin"),
        ("post", "/schedule/{job}/run" | "/channels/{name}/test" | "/notifications/{id}/retry") => Some("admin"),
        (_, path) if PUSHED.contains(&path) => Some("ingest"),
        ("post" | "put", path) if RECORDED.iter().any(|start| path.starts_with(start)) => Some("ingest"),
        ("delete", "/history/{key}") => Some("admin"),
        ("get", _) => Some("viewer"),
        (_, path) if path.starts_with("/querier.v1.") => Some("viewer"),
        (_, path) if WRITTEN.iter().any(|start| path.starts_with(start)) => Some("editor"),
        other => panic!("nobody says who may {other:?}"),
    }
}

fn may(role: &str, least: Option<&str>) -> bool {
    match least {
        None | Some("any") => true,
        Some("ingest") => role != "viewer",
        Some("viewer") => role != "ingest",
        Some("editor") => ["editor", "admin", "service"].contains(&role),
        Some("admin") => ["admin", "service"].contains(&role),
        Some(_) => role == "service",
    }
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
        })
        .collect()
}

#[actix_web::test]
async fn every_route_asks_for_its_role_however_the_caller_is_known() {
    let file = tokens("");
    let server = guarded(&file).await;
    let document = server.json("/api-docs/openapi.json").await.1;
    let mut wrong = Vec::new();
    for (method, path, operation) in operations(&document) {
        let least = least_role(&method, &path);
        let scopes = |least| match path.as_str() {
            "/whoami" => json!([]),
            "/audit" => json!([least, "projects"]),
            _ => json!([least]),
        };
        let scopes = least.map_or(json!([{}]), |least| json!([{"bearer": scopes(least)}, {"basic": scopes(least)}]));
        assert_eq!(operation["security"], scopes, "{method} {path}");
        let ask = || {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            server.request(method, &path.replace(['{', '}'], "")).header("content-type", "application/json").body("?")
        };
        let mut check = async |who: String, request: RequestBuilder, expected: Option<u16>| {
            let status = request.send().await.unwrap().status().as_u16();
            let refused = [401, 403].contains(&status).then_some(status);
            if refused != expected {
                wrong.push(format!("{method} {path} as {who}: {status}"));
            }
        };
        check("nobody".to_owned(), ask(), least.map(|_| 401)).await;
        for role in ROLES {
            let expected = (!may(role, least)).then_some(403);
            for known in [Known::Bearer, Known::Basic, Known::Gateway] {
                // No gateway makes a caller another Flamewarden.
                let by_gateway = matches!(known, Known::Gateway) && role == "service";
                let expected = if by_gateway { least.map(|_| 401) } else { expected };
                check(format!("{role} by {known:?}"), known.show(ask(), role), expected).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rstest]
#[case::bearer(Known::Bearer, "editor", "token:editor", "editor", json!(null))]
#[case::basic(Known::Basic, "viewer", "token:viewer", "viewer", json!(null))]
#[case::gateway(Known::Gateway, "admin", "gateway:ada", "admin", json!(null))]
#[case::projects(Known::Bearer, "limited", "token:limited", "admin", json!(["checkout"]))]
#[case::service(Known::Bearer, "service", "token:service", "service", json!(null))]
#[actix_web::test]
async fn whoami_says_as_whom_the_caller_is_known(
    #[case] known: Known,
    #[case] name: &str,
    #[case] actor: &str,
    #[case] role: &str,
    #[case] projects: Value,
) {
    let file = tokens("");
    let server = guarded(&file).await;
    let body: Value = known.show(server.get("/whoami"), name).send().await.unwrap().json().await.unwrap();
    assert_eq!(body, json!({"actor": actor, "role": role, "projects": projects, "mode": "required"}));
}

#[actix_web::test]
async fn an_open_server_knows_everybody_as_local_and_believes_no_header() {
    let server = Flamewarden::start().await;
    let request = server.get("/whoami").header("X-User", "eve").header("X-Flamewarden-Actor", "token:eve");
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(body, json!({"actor": "open:local", "role": "admin", "projects": null, "mode": "open"}));
}

/// Status, code and detail of an answer.
async fn refusal(request: RequestBuilder) -> (u16, String, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("detail"))
}

#[actix_web::test]
async fn what_is_wrong_with_credentials_is_said() {
    let file = tokens("");
    let path = file.path().display().to_string();
    let server = Flamewarden::start_whole(Setup::of(&[("AUTH_TOKENS_FILE", &path)])).await;
    let get = || server.get("/services");
    let twice = get().header("authorization", "Bearer a").header("authorization", "Bearer b");
    for (request, status, says) in [
        (get(), 401, "no credentials"),
        (get().bearer_auth(token("old")), 401, "the token old expired at 2020-01-01T00:00:00Z"),
        (get().bearer_auth(token("nobody")), 401, "the token is not known"),
        (get().header("authorization", "Digest x"), 401, "must be Bearer or Basic"),
        (twice, 401, "given twice"),
        // Strangers name no users.
        (get().header("X-User", "ada").header("X-Role", "admin"), 401, "no credentials"),
        (get().bearer_auth(token("ingest")), 403, "this needs the role viewer, and token:ingest has the role ingest"),
        // A token with projects reads elsewhere, and no more.
        (server.request(Method::DELETE, "/rules/1").bearer_auth(token("limited")), 403, "has the role viewer"),
        // The path that the router reads is the one that is checked.
        (server.request(Method::DELETE, "/h%69story/1").bearer_auth(token("viewer")), 403, "needs the role admin"),
        (server.request(Method::DELETE, "/h%69story/1"), 401, "no credentials"),
        (server.request(Method::POST, "/querier.v1.QuerierService/Nope"), 401, "no credentials"),
        (server.request(Method::OPTIONS, "/services"), 401, "no credentials"),
    ] {
        let (answered, code, detail) = refusal(request).await;
        let expected = if status == 401 { "unauthenticated" } else { "forbidden" };
        assert_eq!((answered, code.as_str()), (status, expected), "{detail}");
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
        assert!(!detail.contains("fw_"), "{detail}");
    }
    let answer = get().send().await.unwrap();
    let asks: Vec<_> = answer.headers().get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(asks, ["Basic realm=\"flamewarden\"", "Bearer"]);
}

#[actix_web::test]
async fn the_twenty_first_bad_credential_of_an_address_is_refused_with_429_and_good_ones_go_on() {
    let file = tokens("");
    let path = file.path().display().to_string();
    let server = Flamewarden::start_whole(Setup::of(&[("AUTH_TOKENS_FILE", &path)])).await;
    for _ in 0..20 {
        assert_eq!(refusal(server.get("/services").bearer_auth("x")).await.0, 401);
    }
    let answer = server.get("/services").bearer_auth("x").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"60".parse().unwrap()));
    assert_eq!(server.get("/services").bearer_auth(token("viewer")).send().await.unwrap().status(), 200);
    // No credentials are no attempt.
    assert_eq!(server.get("/services").send().await.unwrap().status(), 401);
    assert_eq!(server.request(Method::HEAD, "/services").send().await.unwrap().status(), 401);
}

#[actix_web::test]
async fn a_changed_file_of_tokens_is_read_again_and_a_bad_one_changes_nothing() {
    let file = tokens("");
    let server = guarded(&file).await;
    let status = async |name: &str| server.get("/services").bearer_auth(token(name)).send().await.unwrap().status();
    let checks = async || {
        let health = server.get("/api/v1/health").bearer_auth(token("viewer")).send().await.unwrap();
        health.json::<Value>().await.unwrap()["checks"]["auth"].clone()
    };
    assert_eq!(checks().await["details"], json!({"mode": "required", "tokensOfFile": 7}));
    let good = std::fs::read_to_string(file.path()).unwrap();
    std::fs::write(file.path(), format!("{good}[[token]]\nname = \"x\"\n")).unwrap();
    let told = async || {
        for _ in 0..150 {
            let check = checks().await;
            if check["status"] == "warn" {
                return check;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody looked at the file")
    };
    let problem = told().await["details"]["problem"].as_str().unwrap().to_owned();
    assert!(problem.starts_with("line 36: ") && problem.contains("hash"), "{problem}");
    assert_eq!(status("editor").await, 200);
    std::fs::write(
        file.path(),
        good.replace("name = \"editor\"", "name = \"writer\"")
            .replace(&TokenDigest::of(&token("editor")).to_string(), &TokenDigest::of(&token("writer")).to_string()),
    )
    .unwrap();
    // Fewer times than bad credentials are let through.
    for _ in 0..15 {
        if status("writer").await == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((status("writer").await.as_u16(), status("editor").await.as_u16()), (200, 401));
    assert_eq!(checks().await["status"], "pass");
}

/// The status of a GET with this host.
async fn with_host(server: &Flamewarden, path: &str, host: &str) -> u16 {
    let address = server.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[actix_web::test]
async fn a_server_that_is_open_by_default_answers_to_names_of_this_machine_alone() {
    let server = Flamewarden::start().await;
    for (path, host, status) in [
        ("/services", "localhost:8080", 200),
        ("/services", "flame.localhost", 200),
        ("/services", "[::1]:8080", 200),
        ("/services", "evil.example", 403),
        ("/", "evil.example", 403),
        ("/swagger-ui/", "evil.example", 403),
        ("/whoami", "127.0.0.1.evil.example:8080", 403),
        ("/ready", "evil.example", 200),
    ] {
        assert_eq!(with_host(&server, path, host).await, status, "{path} of {host}");
    }
    let open = Setup::of(&[
        ("AUTH", "open"),
        ("FUNCTION", "ReadPyroscopeProfile.sor.v1"),
        ("PYROSCOPE_URL", "http://127.0.0.1:9"),
    ]);
    let chosen = open.start().await;
    assert_eq!(with_host(&chosen, "/whoami", "flame.example").await, 200);
}

#[actix_web::test]
async fn the_page_of_another_site_changes_nothing() {
    let server = Flamewarden::start().await;
    let push = || server.receiver().request(Method::POST, "/ingest?name=shop").body("main;work 1");
    let from = |site: &str| push().header("Sec-Fetch-Site", site);
    let (status, code, detail) = refusal(from("cross-site")).await;
    assert_eq!((status, code.as_str()), (403, "forbidden"), "{detail}");
    assert_eq!(from("same-origin").send().await.unwrap().status(), 200);
    assert_eq!(server.get("/services").header("Sec-Fetch-Site", "cross-site").send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn what_was_denied_is_in_the_audit_log() {
    let database = crate::testing::database().await;
    let file = tokens("");
    let path = file.path().display().to_string();
    let start = || Setup::of(&[("AUTH_TOKENS_FILE", &path), ("DATABASE_URL", &database.url())]).start();
    let server = start().await;
    server.ready().await;
    for (token, times) in [(token("viewer"), 2), (token("nobody"), 1)] {
        for _ in 0..times {
            let denied = server.request(Method::DELETE, "/rules/7").bearer_auth(&token).header("User-Agent", "curl");
            assert!(denied.send().await.unwrap().status().is_client_error());
        }
    }
    // No credential is no attempt. A server that stops writes what waits for the end of its minute.
    server.get("/services").send().await.unwrap();
    server.stop().await;
    let next = start().await;
    next.ready().await;
    for _ in 0..200 {
        let log = next.get("/audit?action=request.denied").bearer_auth(token("admin")).send().await.unwrap();
        let log: Value = log.json().await.unwrap();
        if log["count"] == 2 {
            let mut rows: Vec<_> = log["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| {
                    json!([entry["userId"], entry["times"], entry["result"], entry["clientIp"], entry["userAgent"]])
                })
                .collect();
            rows.sort_by_key(ToString::to_string);
            let denied = |user: &str, times: u8| json!([user, times, "denied", "127.0.0.1", "curl"]);
            assert_eq!(rows, [denied("anonymous", 1), denied("token:viewer", 2)], "{log}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was denied never came to the log");
}

/// A front and a history of its own, which know each other by `service`, if at all.
async fn split(front: &str, back: &str) -> (Flamewarden, Flamewarden, crate::testing::TestDatabase) {
    let database = crate::testing::database().await;
    let with = |service: &str| {
        Setup::of(&[("DATABASE_URL", &database.url()), ("ADMIN_TOKEN", &token("admin")), ("SERVICE_TOKEN", service)])
    };
    let other = with(back).with("FUNCTION", "CreatePyroscopeTriageHistory.sor.v1").start().await;
    other.ready().await;
    let first = with(front).with("HISTORY_URL", other.base()).start().await;
    first.ready().await;
    (first, other, database)
}

#[actix_web::test]
async fn processes_of_a_split_know_each_other_and_for_whom_they_ask() {
    let (front, _other, _database) = split(&token("split"), &token("split")).await;
    let push = front.request(Method::POST, "/ingest?name=shop&format=pprof").bearer_auth(token("admin"));
    assert_eq!(push.body(collecting("shop").pprof()).send().await.unwrap().status(), 200);
    let triaged = front.get("/triage/shop").bearer_auth(token("admin")).send().await.unwrap();
    assert_eq!(triaged.status(), 200);
    for _ in 0..100 {
        let history = front.get("/history/shop").bearer_auth(token("admin")).send().await.unwrap();
        let body: Value = history.json().await.unwrap();
        if body["history"].as_array().is_some_and(|entries| !entries.is_empty()) {
            // The name of the token is who asked.
            assert_eq!(body["history"][0]["requestedBy"], "ADMIN_TOKEN", "{body}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the assessment never came to the history");
}

#[actix_web::test]
async fn a_process_that_the_other_does_not_know_finds_it_unavailable() {
    let (front, _other, _database) = split(&token("one"), &token("another")).await;
    let (status, code, detail) = refusal(front.get("/history/shop").bearer_auth(token("admin"))).await;
    assert_eq!((status, code.as_str()), (503, "database_unavailable"), "{detail}");
}
