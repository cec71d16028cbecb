//! A canned Pyroscope: two apps, `small` (20 to 25 kB a profile) and `large` (1 MB); no two answers in a row are equal.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use bytes::Bytes;
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use prost::Message;

const TYPE: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const VARIANTS: usize = 64;

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

/// The request a client makes for an app's merged cpu profile.
pub(crate) fn merge_request(app: &str) -> Vec<u8> {
    MergeRequest {
        profile_type: TYPE.to_owned(),
        label_selector: format!("{{service_name=\"{app}\"}}"),
        start: 1_795_176_000_000,
        end: 1_795_179_600_000,
    }
    .encode_to_vec()
}

struct Answers {
    small: Vec<Bytes>,
    large: Vec<Bytes>,
    next: AtomicUsize,
}

/// A plausible Go service of `functions` functions and `stacks` stacks, with values that depend on `variant`.
fn profile(functions: usize, stacks: usize, depth: usize, variant: usize) -> Result<Bytes> {
    const LEAVES: [&str; 6] = [
        "runtime.mallocgc",
        "runtime.scanobject",
        "encoding/json.(*decodeState).object",
        "runtime.memmove",
        "regexp.(*Regexp).doExecute",
        "syscall.Syscall",
    ];
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let ids: Vec<_> = (0..functions)
        .map(|i| {
            let name = LEAVES.get(i).map_or_else(
                || format!("github.com/example/shop/pkg/service{}.(*Handler{}).Step{i}", i % 17, i % 5),
                |leaf| (*leaf).to_owned(),
            );
            builder.function(&name, &format!("/src/shop/pkg/service{}/handler.go", i % 17))
        })
        .collect();
    for s in 0..stacks {
        let frames = (0..depth.saturating_sub(s % 7)).filter_map(|d| {
            let i = if d == 0 { s % functions.min(24) } else { (s * 31 / (d + 1) + d * 7) % functions };
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

async fn series(request: HttpRequest) -> actix_web::Result<HttpResponse> {
    let set = |app: &str| Labels {
        labels: [("__profile_type__", TYPE), ("service_name", app)]
            .map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
            .into(),
    };
    let answer = SeriesResponse { labels_set: vec![set("small"), set("large")] };
    if request.headers().get("content-type").is_some_and(|t| t == "application/proto") {
        return Ok(HttpResponse::Ok().content_type("application/proto").body(answer.encode_to_vec()));
    }
    let sets: Vec<_> = answer
        .labels_set
        .iter()
        .map(|s| {
            let labels: Vec<_> =
                s.labels.iter().map(|l| serde_json::json!({ "name": l.name, "value": l.value })).collect();
            serde_json::json!({ "labels": labels })
        })
        .collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "labelsSet": sets })))
}

async fn merge(answers: web::Data<Answers>, body: Bytes) -> actix_web::Result<HttpResponse> {
    let request = MergeRequest::decode(body).map_err(actix_web::error::ErrorBadRequest)?;
    let i = answers.next.fetch_add(1, Ordering::Relaxed) % VARIANTS;
    let set = if request.label_selector.contains("large") { &answers.large } else { &answers.small };
    let body = set.get(i).cloned().unwrap_or_default();
    Ok(HttpResponse::Ok().content_type("application/proto").body(body))
}

pub(crate) async fn serve(address: &str) -> Result<()> {
    let all = |functions, stacks, depth| -> Result<Vec<Bytes>> {
        (0..VARIANTS).map(|variant| profile(functions, stacks, depth, variant)).collect()
    };
    let answers =
        web::Data::new(Answers { small: all(170, 240, 18)?, large: all(4_000, 9_000, 30)?, next: AtomicUsize::new(0) });
    for (name, set) in [("small", &answers.small), ("large", &answers.large)] {
        eprintln!("{name} answers hold {} bytes", set.first().map_or(0, Bytes::len));
    }
    HttpServer::new(move || {
        App::new()
            .app_data(answers.clone())
            .route("/querier.v1.QuerierService/Series", web::post().to(series))
            .route("/querier.v1.QuerierService/SelectMergeProfile", web::post().to(merge))
    })
    .workers(1)
    .bind(address)?
    .run()
    .await?;
    Ok(())
}
