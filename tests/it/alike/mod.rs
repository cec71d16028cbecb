//! Sends the same requests for every route to one process with all data, and to one whose systems of record are other
//! processes. The answers must be identical to the byte, apart from times.

mod requests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;

use regex::Regex;
use reqwest::Method;
use serde_json::Value;

use self::requests::{Asked, get, messages};
use crate::harness::{Flamewarden, SORS, Setup, led_elsewhere};
use crate::processes::until;
use crate::pyroscope::Canned;
use crate::testing::{self, TestDatabase};

/// What differs between requests: current times, the id of the request, processes, how long they worked, and what the
/// server's own jobs do meanwhile.
static PASSING: LazyLock<Regex> = LazyLock::new(|| {
    let time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)";
    let member =
        r#""holder":"[0-9a-f-]+"|"durationMs":\d+|"durationUs":\d+|"requestId":"[^"]+"|"userAgent":(null|"[^"]+")"#;
    // The audit log is chained each second, and each other job runs at its own times.
    let jobs = r#""group":"core","periodSeconds"[^{}]*|"head":(null|\{[^{}]*\})|"unchained":\d+"#;
    Regex::new(&format!("{time}|urn:request:[0-9a-f-]+|{member}|{jobs}")).unwrap()
});

static PARAMETER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\w+\}").unwrap());
static CURSOR: LazyLock<Regex> = LazyLock::new(|| Regex::new("\"nextCursor\":\"([^\"]+)\"").unwrap());

/// An answer that can be compared with another.
struct Answer {
    /// The status, the headers that describe the body, and the body without members that differ. A text body is kept as
    /// text.
    said: (u16, Vec<Option<String>>, Result<String, Vec<u8>>),
    /// The cursor of the next page, which contains the time of a row.
    cursor: Option<String>,
}

async fn answer(server: &Flamewarden, (method, path, body, header): &Asked) -> Answer {
    let request = server.request(method.clone(), path);
    // A content type given here replaces the usual one.
    let request = match (body, header) {
        (Some(body), Some(("content-type", _))) => request.body(body.to_string()),
        (Some(body), _) => request.json(body),
        (None, _) => request,
    };
    let request = header.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let names = [
        "content-type",
        "content-disposition",
        "retry-after",
        "allow",
        "location",
        "x-profile-types",
        "x-truncated-percent",
        "x-profile-kinds",
        "x-no-data-reason",
        "x-last-profile-at",
    ];
    let (status, headers) = (answer.status().as_u16(), names.map(text).to_vec());
    let body = String::from_utf8(answer.bytes().await.unwrap().to_vec()).map_err(|error| error.into_bytes());
    let cursor = body.as_ref().ok().and_then(|text| Some(CURSOR.captures(text)?[1].to_owned()));
    let body = body.map(|text| PASSING.replace_all(&CURSOR.replace(&text, "a cursor"), "…").into_owned());
    Answer { said: (status, headers, body), cursor }
}

/// One process with a database of its own, and the same functions split over processes.
async fn both(canned: &Canned) -> ([Flamewarden; 2], Vec<Flamewarden>, [TestDatabase; 2]) {
    let databases = [testing::database().await, testing::database().await];
    // What it does not know it answers with 404.
    let slack = format!("{}/nobody", canned.url());
    let quiet = ("SELF_RECORD", "false");
    let setup = || Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("SLACK_WEBHOOK_URL", &slack), quiet]);
    // Another process leads the rounds: one would tell of incidents, or count alerts, between two requests.
    for database in &databases {
        led_elsewhere(database, &["alert", "performance"]).await;
    }
    let whole = setup().with("DATABASE_URL", &databases[0].url()).start().await;
    let (mut front, mut sors) = (Setup::of(&[quiet]), Vec::new());
    for (variable, function) in SORS {
        let sor = setup().with("DATABASE_URL", &databases[1].url()).with("FUNCTION", function).start().await;
        front = front.with(variable, sor.base());
        sors.push(sor);
    }
    let servers = [whole, front.start().await];
    for server in sors.iter().chain(&servers) {
        server.ready().await;
    }
    (servers, sors, databases)
}

/// The operations of the whole document that these requests do not cover, except those that every process has, and those
/// that only an embedded store answers.
fn left_out(asked: &[Asked]) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&flamewarden::app::openapi().to_json().unwrap()).unwrap();
    let mut left = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let pattern = PARAMETER.replace_all(path, "[^/?]+");
        let pattern = Regex::new(&format!("^{pattern}(\\?|$)")).unwrap();
        for (method, operation) in item.as_object().unwrap() {
            let own = ["health", "receivers", "pyroscope"].iter().any(|tag| operation["tags"][0] == *tag);
            let is = |(m, p, ..): &&Asked| m.as_str().eq_ignore_ascii_case(method) && pattern.is_match(p);
            if !own && !asked.iter().any(|asked| is(&asked)) {
                left.insert(format!("{method} {path}"));
            }
        }
    }
    left
}

/// Hands in a message that its channel refuses, and waits for the incident that this opens.
async fn refused_message(server: &Flamewarden) {
    let body = messages(&["refused"]);
    let answer = server.request(Method::POST, "/core/notification/enqueue").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let count = |path: &'static str| async move { server.json(path).await.1["count"] == 1 };
    until("a dead message", || count("/notifications?state=dead")).await;
    until("the incident of its channel", || count("/alerts?source=system")).await;
}

#[actix_web::test]
async fn every_route_answers_the_same_bytes_with_local_and_with_remote_systems_of_record() {
    let canned = Canned::start().await;
    let (servers, _sors, _databases) = both(&canned).await;
    let asked = requests::all();
    for server in &servers {
        let upkeep = || async {
            let schedule = server.json("/schedule").await.1;
            let ran = |name: &str| {
                schedule["jobs"].as_array().unwrap().iter().any(|job| job["name"] == name && job["outcome"] == "ok")
            };
            ["schedule_upkeep", "audit_upkeep", "audit_chain", "notification_upkeep"].into_iter().all(ran)
        };
        until("the first upkeep", upkeep).await;
        refused_message(server).await;
    }
    let mut succeeded = Vec::new();
    let mut queue: VecDeque<_> = asked.into_iter().map(|asked| [asked.clone(), asked]).collect();
    while let Some(asked) = queue.pop_front() {
        let (local, remote) = (answer(&servers[0], &asked[0]).await, answer(&servers[1], &asked[1]).await);
        assert_eq!(local.said, remote.said, "{} {}", asked[0].0, asked[0].1);
        if local.said.0 < 300 {
            succeeded.push(asked[0].clone());
        }
        // And the next page.
        if let (Some(local), Some(remote)) = (local.cursor, remote.cursor) {
            let after = |asked: &Asked, cursor: &str| get(format!("{}&cursor={cursor}", asked.1));
            queue.push_front([after(&asked[0], &local), after(&asked[1], &remote)]);
        }
    }
    assert_eq!(left_out(&succeeded), BTreeSet::new(), "routes that were never asked with success");
    let recorded = get("/history/shop");
    for server in &servers {
        // Four triages and three reports. Refused requests are not decisions.
        until("the decisions in the history", || async { server.json(&recorded.1).await.1["count"] == 7 }).await;
    }
    assert_eq!(answer(&servers[0], &recorded).await.said, answer(&servers[1], &recorded).await.said);
}
