//! No token, key, password or address of a channel is in a log or an answer, whatever goes wrong and however much is logged.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flamewarden::kernel::TokenDigest;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::database::address;
use super::proxy::{Fault, Proxy};
use crate::processes::{Node, free_port, until};
use crate::testing::{self, TestDatabase};

const PYROSCOPE_TOKEN: &str = "secretTokenOfPyroscope";
const PYROSCOPE_PASSWORD: &str = "secretPasswordOfPyroscope";
const ROUTING_KEY: &str = "secretRoutingKeyOfPagerDuty";
const ALERTMANAGER_TOKEN: &str = "secretTokenOfAlertmanager";
/// A part of each channel's address.
const PATH: &str = "secretPathOfAChannel";
const SIGNS: &[u8] = b"secret key that signs webhooks";
/// What somebody sends who knows no password.
const GUESSED: &str = "secretThatSomebodyGuessed";

fn token(name: &str) -> String {
    format!("fw_secret_{name:_<36}")
}

fn signing_key() -> String {
    format!("whsec_{}", STANDARD.encode(SIGNS))
}

/// Everything that is to be in no log, and how it would look there.
fn secrets() -> Vec<String> {
    let plain = [PYROSCOPE_TOKEN, PYROSCOPE_PASSWORD, ROUTING_KEY, ALERTMANAGER_TOKEN, PATH, GUESSED];
    let tokens = ["admin", "service", "viewer", "stranger"].map(token);
    let keys = [STANDARD.encode(SIGNS), String::from_utf8(SIGNS.to_vec()).unwrap(), format!("{SIGNS:?}")];
    let basic = |name: &str, password: &str| STANDARD.encode(format!("{name}:{password}"));
    let of_basic = [basic("1234", PYROSCOPE_PASSWORD), basic("ada", GUESSED), basic("ada", &token("viewer"))];
    plain.map(str::to_owned).into_iter().chain(tokens).chain(keys).chain(of_basic).collect()
}

/// A server that answers everything with this status.
async fn answering(status: u16) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    server
}

/// The address of a database, with a password, behind a proxy.
fn behind(proxy: &Proxy, database: &TestDatabase) -> String {
    database.connect_options().port(proxy.port()).to_url_lossy().to_string()
}

/// A channel of each kind at this receiver, and one of Slack at which nobody listens.
fn channels(receiver: &MockServer) -> String {
    let url = |name: &str| format!("url = \"{}/{PATH}/{name}\"\n", receiver.uri());
    format!(
        "default = \"ops\"\n[channel.ops]\nkind = \"slack\"\n{}[channel.robot]\nkind = \"webhook\"\n{}secret = \"{}\"\n\
         [channel.pager]\nkind = \"pagerduty\"\n{}secret = \"{ROUTING_KEY}\"\n\
         [channel.mirror]\nkind = \"alertmanager\"\n{}secret = \"{ALERTMANAGER_TOKEN}\"\n\
         [channel.nobody]\nkind = \"slack\"\nurl = \"http://127.0.0.1:1/{PATH}\"\n",
        url("ops"),
        url("robot"),
        signing_key(),
        url("pager"),
        url("mirror"),
    )
}

fn tokens() -> String {
    let entry = |name: &str| {
        format!("[[token]]\nname = \"{name}\"\nhash = \"{}\"\nrole = \"viewer\"\n", TokenDigest::of(&token(name)))
    };
    entry("viewer")
}

/// Asks with every kind of credentials, good and bad.
async fn ask_as_everybody(node: &Node, path: &str) {
    let get = || node.client().get(format!("{}{path}", node.url));
    let each = [
        get(),
        get().bearer_auth(token("admin")),
        get().bearer_auth(token("service")).header("x-flamewarden-actor", "token:ci"),
        get().bearer_auth(token("stranger")),
        get().basic_auth("ada", Some(token("viewer"))),
        get().basic_auth("ada", Some(GUESSED)),
        get().header("authorization", format!("Digest {GUESSED}")),
        get().header("authorization", token("admin")).header("authorization", token("viewer")),
    ];
    for request in each {
        request.send().await.unwrap();
    }
}

async fn ask(node: &Node, method: Method, path: &str, body: Value) -> (u16, String) {
    let role = if path.starts_with("/core/") { "service" } else { "admin" };
    let request = node.client().request(method, format!("{}{path}", node.url)).bearer_auth(token(role));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn get(node: &Node, path: &str) -> (u16, String) {
    ask(node, Method::GET, path, Value::Null).await
}

fn observation() -> Value {
    json!({"fingerprint": "system/x", "source": "system", "severity": "critical", "title": "x", "appName": "shop",
        "value": null, "threshold": null, "unit": null, "occurrences": 1, "detail": {}, "quietSeconds": 900})
}

/// Lets a server do all that it does with its secrets, and lets it fail.
async fn drive(node: &Node, channels: &[&str]) -> Vec<String> {
    for path in ["/whoami", "/alerts", "/audit", "/baselines/shop", "/nowhere", "/rules?limit=0"] {
        ask_as_everybody(node, path).await;
    }
    let mut said = Vec::new();
    for name in channels {
        said.push(ask(node, Method::POST, &format!("/channels/{name}/test"), Value::Null).await.1);
    }
    assert_eq!(ask(node, Method::POST, "/core/incident/observe", observation()).await.0, 200);
    let told = || async { get(node, "/notifications").await.1.contains("\"attempts\":1") };
    until("a message that was sent", told).await;
    assert_eq!(ask(node, Method::POST, "/schedule/alertmanager_mirror/run", Value::Null).await.0, 202);
    assert_eq!(get(node, "/triage/shop").await.0, 502);
    said
}

/// What a server answers about itself.
async fn asked(node: &Node) -> Vec<String> {
    let mut said = Vec::new();
    for path in [
        "/metrics",
        "/health",
        "/api/v1/health",
        "/ready",
        "/whoami",
        "/channels",
        "/notifications",
        "/alerts?state=all",
        "/schedule",
        "/audit",
    ] {
        said.push(get(node, path).await.1);
    }
    said
}

/// The password of a database, which is another for each run: as a part of a URL, and as it is.
fn passwords(url: &str) -> [String; 2] {
    let encoded = url::Url::parse(url).unwrap().password().unwrap().to_owned();
    assert!(encoded.len() >= 20, "long enough to be found nowhere by chance");
    let plain = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap().into_owned();
    [encoded, plain]
}

fn assert_no_secret(text: &str, passwords: &[String], of: &str) {
    for secret in secrets().iter().chain(passwords) {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + 300).min(text.len()));
            panic!("{secret} is in {of}: {}", &text[from..to]);
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_of_a_server_that_logs_all_it_can_nor_in_what_it_says_of_itself() {
    let (database, data) = (testing::database().await, tempfile::tempdir().unwrap());
    let (receiver, pyroscope) = (answering(500).await, answering(401).await);
    let proxy = Proxy::before_address(address(&database.connect_options()));
    let (channels_file, tokens_file) =
        (write(data.path(), "channels.toml", &channels(&receiver)), write(data.path(), "tokens.toml", &tokens()));
    let (url, admin, service) = (behind(&proxy, &database), token("admin"), token("service"));
    let shared = [
        ("DATABASE_URL", url.as_str()),
        ("ADMIN_TOKEN", &admin),
        ("SERVICE_TOKEN", &service),
        ("LOG_LEVEL", "trace"),
        ("PYROSCOPE_URL", &pyroscope.uri()),
        ("DB_POOL_SIZE", "5"),
        ("DB_CONNECT_TIMEOUT", "2s"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let start = |name: &str, more: &[(&str, &str)]| {
        let settings: Vec<_> =
            shared.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect();
        Node::start(free_port(), &data.path().join(name), &settings)
    };
    let first = start(
        "first",
        &[("CHANNELS_FILE", &channels_file), ("AUTH_TOKENS_FILE", &tokens_file), ("PYROSCOPE_TOKEN", PYROSCOPE_TOKEN)],
    );
    let hook = format!("{}/{PATH}/slack", receiver.uri());
    let alertmanager = format!("{}/{PATH}/alertmanager", receiver.uri());
    let second = start(
        "second",
        &[
            ("SLACK_WEBHOOK_URL", &hook),
            ("ALERTMANAGER_URL", &alertmanager),
            ("PYROSCOPE_BASIC_AUTH", &format!("1234:{PYROSCOPE_PASSWORD}")),
            // It sends the token of the service to the other one.
            ("BASELINE_URL", &first.url),
        ],
    );
    let nodes = [&first, &second];
    for node in nodes {
        node.ready().await;
    }
    let mut said = drive(&first, &["ops", "robot", "pager", "mirror", "nobody", "stranger"]).await;
    said.extend(drive(&second, &["slack", "alertmanager"]).await);
    assert_eq!(get(&second, "/baselines/shop").await.0, 200);
    // All of them are used.
    let sent = receiver.received_requests().await.unwrap();
    let was_sent = |what: &str| sent.iter().any(|request| request.url.path().ends_with(what));
    assert!(["/ops", "/robot", "/pager", "/slack", "/alerts"].iter().all(|what| was_sent(what)), "{sent:?}");
    assert!(!pyroscope.received_requests().await.unwrap().is_empty());

    proxy.set(Fault::Down).await;
    for node in nodes {
        for path in ["/baselines/shop", "/alerts", "/channels", "/schedule"] {
            assert_eq!(get(node, path).await.0, 503, "{path}");
        }
        said.extend(asked(node).await);
    }
    proxy.set(Fault::Stranger).await;
    for node in nodes {
        said.push(get(node, "/alerts").await.1);
    }
    proxy.set(Fault::None).await;

    // Files with a wrong line: they are refused, and the line is named.
    write(data.path(), "channels.toml", &channels(&receiver).replace("whsec_", "whsec"));
    write(data.path(), "tokens.toml", &format!("{}[[token]]\nname = \"{}\"\n", tokens(), token("stranger")));
    until("both files to be refused", || async {
        let log = first.log();
        ["channels.toml", "tokens.toml"]
            .iter()
            .all(|name| log.lines().any(|line| line.contains(name) && line.contains("line ")))
    })
    .await;
    for node in nodes {
        node.ready().await;
        said.extend(asked(node).await);
    }
    let passwords = passwords(&url);
    assert_no_secret(&said.join("\n"), &passwords, "an answer");
    for (node, name) in nodes.into_iter().zip(["the log with a file of channels", "the log without one"]) {
        let log = node.log();
        for level in ["TRACE", "DEBUG", "INFO", "WARN"] {
            assert!(log.contains(level), "{level} is logged in {name}");
        }
        assert_no_secret(&log, &passwords, name);
    }
}

#[tokio::test]
async fn a_start_that_is_refused_names_no_secret() {
    let data = tempfile::tempdir().unwrap();
    let file =
        write(data.path(), "channels.toml", &format!("[channel.ops]\nkind = \"slack\"\nurl = \"ftp://x/{PATH}\"\n"));
    let short = &token("admin")[..20];
    for (name, value) in [
        ("ALERTMANAGER_URL", format!("http://ada:{GUESSED}@127.0.0.1:1/{PATH}")),
        ("SLACK_WEBHOOK_URL", format!("ftp://hooks.example/{PATH}")),
        ("CHANNELS_FILE", file),
        ("DATABASE_URL", format!("mysql://ada:{GUESSED}@127.0.0.1:1/x")),
        ("PYROSCOPE_BASIC_AUTH", PYROSCOPE_PASSWORD.to_owned()),
        ("ADMIN_TOKEN", short.to_owned()),
        ("SERVICE_TOKEN", short.to_owned()),
    ] {
        let settings = [(name, value.as_str()), ("LOG_LEVEL", "trace"), ("PYROSCOPE_URL", "http://127.0.0.1:1")];
        let mut node = Node::start(free_port(), &data.path().join(name), &settings);
        assert_eq!(node.ended().await, Some(2), "{name}: {}", node.log());
        let log = node.log();
        assert!(!log.is_empty() && !log.contains(short), "{name}: {log}");
        assert_no_secret(&log, &[], name);
    }
}
