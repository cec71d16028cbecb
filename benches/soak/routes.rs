//! The requests, and their answers.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::Client;
use serde_json::Value;

/// How many apps there are.
pub(crate) const APPS: u64 = 15;

/// The name of an app.
pub(crate) fn app(n: u64) -> String {
    format!("shop-{}", n % APPS)
}

/// A request that is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) per_second: u32,
    /// Its index.
    place: usize,
    /// The path with that number.
    path: fn(usize) -> String,
    /// Whether its answers are recorded in the history.
    kept: bool,
    /// Why an answer is not valid, if so.
    wrong: fn(&Value) -> bool,
}

pub(crate) const ROUTES: [Route; 3] = [
    Route {
        name: "triage",
        per_second: 10,
        place: 0,
        path: |n| format!("/triage/{}?types=cpu", app(n as u64)),
        kept: true,
        wrong: |body| ["no_data", "unavailable"].map(Value::from).contains(at(body, "/profiles/cpu/diagnosis")),
    },
    Route {
        name: "diff",
        per_second: 5,
        place: 1,
        path: |n| format!("/diff/{}", app(n as u64)),
        kept: true,
        wrong: |body| at(body, "/summary/verdict") == "no_data" || at(body, "/ownNoise").is_null(),
    },
    Route {
        name: "fleet",
        per_second: 5,
        place: 2,
        path: |n| if n % 2 == 0 { "/fleet/hotspots" } else { "/search?function=mallocgc" }.to_owned(),
        kept: false,
        wrong: |body| *at(body, "/appsWithData") != APPS,
    },
];

fn at<'v>(body: &'v Value, member: &str) -> &'v Value {
    body.pointer(member).unwrap_or(&Value::Null)
}

/// The answers so far.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Vec<(usize, f64, Option<String>)>>);

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Vec<(usize, f64, Option<String>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request.
    pub(crate) async fn ask(&self, client: &Client, base: &str, route: Route, n: usize) {
        let sent = Instant::now();
        let answer = fetch(client, &format!("{base}{}", (route.path)(n))).await;
        let ms = sent.elapsed().as_secs_f64() * 1_000.0;
        let error = match answer {
            Err(error) => Some(error),
            // An answer must not lack anything either.
            Ok(body) => ["/baselines", "/history", "/labels", "/owners", "/errors"]
                .map(|member| at(&body, member))
                .into_iter()
                .find(|told| told.is_string() || told.as_array().is_some_and(|all| !all.is_empty()))
                .map(|told| format!("{}: {told}", route.name))
                .or_else(|| (route.wrong)(&body).then(|| format!("{}: {body}", route.name))),
        };
        self.lock().push((route.place, ms, error));
    }

    /// The errors.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.lock().iter().filter_map(|(_, _, error)| error.clone()).collect()
    }

    /// The number of answers that the history must contain.
    pub(crate) fn assessments(&self) -> usize {
        let kept = |place: usize| ROUTES.iter().any(|route| route.place == place && route.kept);
        self.lock().iter().filter(|(place, _, error)| error.is_none() && kept(*place)).count()
    }

    /// Requests, errors and latencies of each route.
    pub(crate) fn table(&self) -> String {
        let mut text =
            format!("{:<10} {:>8} {:>7} {:>8} {:>8} {:>8}\n", "", "requests", "errors", "p50 ms", "p99 ms", "most ms");
        let all = self.lock();
        for route in ROUTES {
            let of_route = || all.iter().filter(|(place, ..)| *place == route.place);
            let mut ms: Vec<f64> = of_route().map(|(_, ms, _)| *ms).collect();
            ms.sort_by(f64::total_cmp);
            let at =
                |share: usize| ms.get((ms.len() * share / 100).min(ms.len().saturating_sub(1))).copied().unwrap_or(0.0);
            let errors = of_route().filter(|(_, _, error)| error.is_some()).count();
            let _ = writeln!(
                text,
                "{:<10} {:>8} {errors:>7} {:>8.1} {:>8.1} {:>8.1}",
                route.name,
                ms.len(),
                at(50),
                at(99),
                at(100)
            );
        }
        text
    }
}

async fn fetch(client: &Client, url: &str) -> Result<Value, String> {
    let answer = client.get(url).send().await.map_err(|error| format!("{url}: {error}"))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| format!("{url}: {error}"))?;
    if status != 200 {
        return Err(format!("{url}: {status} {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
}
