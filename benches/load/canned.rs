//! A Pyroscope with fixed answers: apps with made-up profiles, and a delay.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use bytes::Bytes;
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use prost::Message;

const TYPE: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Labels {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesResponse {
    #[prost(message, repeated, tag = "2")]
    labels_set: Vec<Labels>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesRequest {
    #[prost(string, repeated, tag = "1")]
    matchers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct MergeRequest {
    #[prost(string, tag = "1")]
    profile_type: String,
    #[prost(string, tag = "2")]
    label_selector: String,
    #[prost(int64, tag = "3")]
    start: i64,
    #[prost(int64, tag = "4")]
    end: i64,
}

/// The request of a client for an app's merged cpu profile.
pub(crate) fn merge_request(app: &str) -> Vec<u8> {
    MergeRequest {
        profile_type: TYPE.to_owned(),
        label_selector: format!("{{service_name=\"{app}\"}}"),
        start: 1_795_176_000_000,
        end: 1_795_179_600_000,
    }
    .encode_to_vec()
}

/// A plausible Go service.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) functions: usize,
    pub(crate) stacks: usize,
    pub(crate) depth: usize,
    /// Functions that stacks end in.
    pub(crate) leaves: usize,
    /// Every second function is the app's own and has this number. The others are libraries that all apps use.
    pub(crate) own: Option<usize>,
}

impl Made {
    /// A profile, uncompressed, with values that depend on `variant`.
    pub(crate) fn profile(&self, variant: usize) -> Result<Bytes> {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let ids: Vec<_> = (0..self.functions)
            .map(|i| {
                let file = format!("/src/shop/pkg/service{}/handler.go", i % 17);
                builder.function(&self.name(i), &file)
            })
            .collect();
        for s in 0..self.stacks {
            let frames = (0..self.depth.saturating_sub(s % 7)).filter_map(|d| {
                let i = if d == 0 { s % self.leaves } else { (s * 31 / (d + 1) + d * 7) % self.functions };
                ids.get(i).copied()
            });
            let ticks = i64::try_from(1 + (s * 7 + variant * 13) % 50)?;
            builder.add(frames, &[ticks * 10_000_000]);
        }
        let packed = write_pprof(&builder.build(), &PprofHeader::default());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut plain)?;
        Ok(plain.into())
    }

    fn name(&self, i: usize) -> String {
        const LEAVES: [&str; 6] = [
            "runtime.mallocgc",
            "runtime.scanobject",
            "encoding/json.(*decodeState).object",
            "runtime.memmove",
            "regexp.(*Regexp).doExecute",
            "syscall.Syscall",
        ];
        match (LEAVES.get(i), self.own.filter(|_| i % 2 == 1)) {
            (Some(leaf), _) => (*leaf).to_owned(),
            (None, Some(app)) => format!("github.com/example/app{app}/pkg{}.(*Handler{}).Step{i}", i % 17, i % 5),
            (None, None) => format!("github.com/example/shop/pkg/service{}.(*Handler{}).Step{i}", i % 17, i % 5),
        }
    }
}

/// Its answers, and the delay before each.
pub(crate) struct Source {
    apps: BTreeMap<String, Vec<Bytes>>,
    next: AtomicUsize,
    delay: Duration,
}

impl Source {
    /// A source without apps that answers after this delay.
    pub(crate) fn taking(delay: Duration) -> Self {
        Self { apps: BTreeMap::new(), next: AtomicUsize::new(0), delay }
    }

    /// Gives an app its answers. They are used in turn.
    pub(crate) fn add(&mut self, app: &str, answers: Vec<Bytes>) {
        self.apps.insert(app.to_owned(), answers);
    }

    /// Waits for the delay. A sleep of no time would still last until the next millisecond.
    async fn wait(&self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self, address: &str) -> Result<()> {
        for (app, answers) in self.apps.iter().take(2) {
            eprintln!("answers of {app} hold {} bytes", answers.first().map_or(0, Bytes::len));
        }
        let source = web::Data::new(self);
        HttpServer::new(move || {
            App::new()
                .app_data(source.clone())
                .route("/querier.v1.QuerierService/Series", web::post().to(series))
                .route("/querier.v1.QuerierService/SelectMergeProfile", web::post().to(merge))
                .route("/merges", web::get().to(merges))
        })
        .workers(1)
        .bind(address)?
        .run()
        .await?;
        Ok(())
    }
}

/// The app of a selector `{service_name="app",…}`.
fn app_of(selector: &str) -> &str {
    selector.split('"').nth(1).unwrap_or_default()
}

async fn series(request: HttpRequest, source: web::Data<Source>, body: Bytes) -> actix_web::Result<HttpResponse> {
    source.wait().await;
    let set = |app: &str| Labels {
        labels: [("__profile_type__", TYPE), ("service_name", app)]
            .map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
            .into(),
    };
    if request.headers().get("content-type").is_some_and(|t| t == "application/proto") {
        let asked = SeriesRequest::decode(body).map_err(actix_web::error::ErrorBadRequest)?;
        let one = asked.matchers.first().map(|matcher| app_of(matcher));
        let apps = source.apps.keys().filter(|app| one.is_none_or(|one| one == *app));
        let answer = SeriesResponse { labels_set: apps.map(|app| set(app)).collect() };
        return Ok(HttpResponse::Ok().content_type("application/proto").body(answer.encode_to_vec()));
    }
    let sets = source.apps.keys().map(|app| {
        let labels = set(app).labels.into_iter().map(|l| serde_json::json!({ "name": l.name, "value": l.value }));
        serde_json::json!({ "labels": labels.collect::<Vec<_>>() })
    });
    Ok(HttpResponse::Ok().json(serde_json::json!({ "labelsSet": sets.collect::<Vec<_>>() })))
}

/// How many profiles were answered.
async fn merges(source: web::Data<Source>) -> String {
    source.next.load(Ordering::Relaxed).to_string()
}

async fn merge(source: web::Data<Source>, body: Bytes) -> actix_web::Result<HttpResponse> {
    source.wait().await;
    let request = MergeRequest::decode(body).map_err(actix_web::error::ErrorBadRequest)?;
    let i = source.next.fetch_add(1, Ordering::Relaxed);
    let answers = source.apps.get(app_of(&request.label_selector)).map_or(&[][..], Vec::as_slice);
    let body = answers.get(i % answers.len().max(1)).cloned().unwrap_or_default();
    Ok(HttpResponse::Ok().content_type("application/proto").body(body))
}
