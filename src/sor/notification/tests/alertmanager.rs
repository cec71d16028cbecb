//! A real Alertmanager takes what is mirrored to it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::ChannelSource;
use crate::kernel::{CALL, Clock, SystemClock};
use crate::sor::notification::MirroredAlert;
use crate::sor::notification::conformance::parts;
use crate::storage::testing::database;

const PROGRAM: &str = "prometheus-alertmanager";

/// An Alertmanager that ends with this value.
struct Alertmanager(Child, String, #[expect(dead_code, reason = "it is removed when dropped")] tempfile::TempDir);

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one on a free port; `None` where none is installed.
async fn start() -> Option<Alertmanager> {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(PROGRAM);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", directory.path().display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let started = Alertmanager(child, format!("http://127.0.0.1:{port}"), directory);
    for _ in 0..400 {
        if reqwest::get(format!("{}/-/ready", started.1)).await.is_ok_and(|answer| answer.status().is_success()) {
            return Some(started);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the Alertmanager does not start");
}

#[actix_web::test]
async fn a_real_alertmanager_takes_the_mirror() {
    let Some(server) = start().await else {
        assert!(std::env::var_os("CI").is_none(), "{PROGRAM} must be installed where CI runs");
        println!("not tested: {PROGRAM} is not installed");
        return;
    };
    let source = ChannelSource::Settings { slack: None, alertmanager: Some(server.1.clone().into()) };
    let test = database().await;
    let port = crate::sor::notification::local(test.db.clone(), parts(&source));
    let now = SystemClock.now();
    let alert = |name: &str, minutes: i64| MirroredAlert {
        labels: [("alertname".to_owned(), name.to_owned()), ("app".to_owned(), "größe 🔥".to_owned())].into(),
        annotations: [("summary".to_owned(), "gc_pressure over 30 % of cpu".to_owned())].into(),
        starts_at: now - chrono::TimeDelta::minutes(10),
        ends_at: now + chrono::TimeDelta::minutes(minutes),
        generator_url: "http://localhost:8080/alerts/7".to_owned(),
    };
    port.mirror(&CALL, vec![alert("FlamewardenRule", 5), alert("FlamewardenOver", -1)]).await.unwrap();
    let alerts: Value = reqwest::get(format!("{}/api/v2/alerts", server.1)).await.unwrap().json().await.unwrap();
    assert_eq!(alerts.as_array().map(Vec::len), Some(1), "{alerts}");
    assert_eq!(alerts[0]["labels"], json!({"alertname": "FlamewardenRule", "app": "größe 🔥"}));
    assert_eq!(alerts[0]["generatorURL"], "http://localhost:8080/alerts/7");
    let tested = port.test(&CALL, &"alertmanager".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((tested.delivered, tested.status), (true, Some(200)));
}
