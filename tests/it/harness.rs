//! A whole server on a free port, with a database of its own.
//!
//! `FLAMEWARDEN_TEST_SORS=remote` runs every system of record in another server, behind real HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use flamewarden::app::Application;
use flamewarden::config::{Pooler, Settings};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use tempfile::TempDir;

use crate::testing::{self, TestDatabase};

/// The functions that hold data.
pub(crate) const SORS: [(&str, &str); 7] = [
    ("PROFILE_DATA_URL", "ReadPyroscopeProfile.sor.v1"),
    ("BASELINE_URL", "ReadPyroscopeBaseline.sor.v1"),
    ("HISTORY_URL", "CreatePyroscopeTriageHistory.sor.v1"),
    ("REGISTRY_URL", "ReadPyroscopeServiceRegistry.sor.v1"),
    ("ALERT_RULE_URL", "ReadPyroscopeAlertRule.sor.v1"),
    ("CORE_URL", "ReadPyroscopeCore.sor.v1"),
    ("PERFORMANCE_URL", "ReadPyroscopePerformance.sor.v1"),
];

/// By what the processes of one server know each other.
const SERVICE_TOKEN: &str = "fw_test_service_token_of_a_split_deployment_____";

/// The settings of a server to start.
#[derive(Clone)]
pub(crate) struct Setup {
    variables: BTreeMap<String, String>,
}

impl Setup {
    /// A server with these environment variables, on a free port, that does not profile itself.
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let quiet = [("PORT", "0"), ("SELF_PROFILE", "false")];
        let all = quiet.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut setup = Self { variables: all.collect() };
        setup.variables.insert("FLAMEWARDEN__SERVER__WORKERS".to_owned(), "1".to_owned());
        setup
    }

    fn asks_who_calls(&self) -> bool {
        ["AUTH_TOKENS_FILE", "ADMIN_TOKEN", "TRUSTED_PROXIES"].iter().any(|name| self.variables.contains_key(*name))
    }

    /// Sets one more variable.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it with a data directory of its own.
    pub(crate) async fn start(mut self) -> Flamewarden {
        let data_dir = tempfile::tempdir().unwrap();
        self.variables.entry("DATA_DIR".to_owned()).or_insert_with(|| data_dir.path().display().to_string());
        if self.variables.contains_key("DATABASE_URL") && testing::pooler() == Pooler::Transaction {
            self.variables.entry("DB_POOLER".to_owned()).or_insert_with(|| "transaction".to_owned());
        }
        let (settings, _) = Settings::load(&flamewarden::app::functions(), None, self.variables).unwrap();
        let application = Application::build(settings).await.unwrap();
        let base = format!("http://{}", application.address());
        let handle = application.handle();
        actix_web::rt::spawn(application.run_until_stopped());
        // A server may close an idle connection at the moment in which a request is sent on it.
        let client = reqwest::Client::builder().no_gzip().no_proxy().pool_idle_timeout(Duration::from_secs(1));
        let client = client.build().unwrap();
        Flamewarden { base, client, handle, others: Vec::new(), database: None, _data_dir: data_dir }
    }
}

/// A running server. It stops when this value is dropped.
pub(crate) struct Flamewarden {
    base: String,
    client: reqwest::Client,
    handle: ServerHandle,
    others: Vec<Flamewarden>,
    database: Option<TestDatabase>,
    _data_dir: TempDir,
}

/// Says that another process leads these groups: servers on this database run none of their jobs for an hour.
pub(crate) async fn led_elsewhere(database: &TestDatabase, groups: &[&str]) {
    let lead =
        "INSERT INTO core.lease SELECT name, gen_random_uuid(), 1, now() + interval '1 hour' FROM unnest($1) AS name";
    let groups: Vec<_> = groups.iter().map(|group| (*group).to_owned()).collect();
    let mut session = database.connect_options().connect().await.unwrap();
    sqlx::query(lead).bind(groups).execute(&mut session).await.unwrap();
}

impl Flamewarden {
    /// A server with every function and an empty database, ready.
    pub(crate) async fn start() -> Self {
        Self::start_whole(Setup::of(&[])).await
    }

    /// A server with every function and these settings, ready. It is one process or split, depending on the environment
    /// of the test run.
    pub(crate) async fn start_whole(setup: Setup) -> Self {
        let database = testing::database().await;
        let mut others: Vec<Self> = Vec::new();
        let setup = if setup.asks_who_calls() { setup.with("SERVICE_TOKEN", SERVICE_TOKEN) } else { setup };
        let mut front = setup.clone().with("DATABASE_URL", &database.url());
        if std::env::var("FLAMEWARDEN_TEST_SORS").is_ok_and(|value| value == "remote") {
            for (variable, function) in SORS {
                let mut sor = setup.clone().with("DATABASE_URL", &database.url()).with("FUNCTION", function);
                if variable == "PERFORMANCE_URL" {
                    // Who keeps operations tells the core of alerts.
                    let core = SORS.iter().position(|(name, _)| *name == "CORE_URL").unwrap();
                    sor = sor.with("CORE_URL", others[core].base());
                }
                let sor = sor.start().await;
                front = front.with(variable, sor.base());
                others.push(sor);
            }
        }
        let mut server = front.start().await;
        server.others = others;
        server.database = Some(database);
        for process in server.others.iter().chain([&server]) {
            process.ready().await;
        }
        server
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        for _ in 0..200 {
            if self.get("/ready").send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not ready: {}", self.get("/ready").send().await.unwrap().text().await.unwrap());
    }

    /// Its address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The process that receives profiles: this one, or the one with the profile data.
    pub(crate) fn receiver(&self) -> &Self {
        self.others.first().unwrap_or(self)
    }

    /// The process with the system of record of that address: this one, or another.
    pub(crate) fn process_of(&self, variable: &str) -> &Self {
        let at = SORS.iter().position(|(name, _)| *name == variable).unwrap();
        self.others.get(at).unwrap_or(self)
    }

    /// The status and the JSON of a GET.
    pub(crate) async fn json(&self, path: &str) -> (u16, Value) {
        let answer = self.get(path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Builds a GET request.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Builds a request.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Its database.
    pub(crate) fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// Stops it gracefully.
    pub(crate) async fn stop(&self) {
        self.handle.stop(true).await;
    }
}

impl Drop for Flamewarden {
    fn drop(&mut self) {
        // Stopping starts at once. A caller that needs its end waits for it.
        drop(self.handle.stop(false));
    }
}
