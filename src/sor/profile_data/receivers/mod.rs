//! The receivers of pushed profiles: the two routes of Pyroscope that its SDKs, Grafana Alloy and scripts push to.
//!
//! A whole push is read and checked before any of it is stored. Its memory is bounded: bodies by their total size,
//! inflated bytes by a budget, profiles by limits that errors name.

mod ingest;
mod intake;
mod jfr;
mod label_limits;
mod name;
mod otlp;
mod push;
mod reading;
mod refused;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use self::ingest::{Asked, Config, Format, IngestParams, pushed_text, read_counts, read_form};
use self::intake::{Body, Intake, Part};
use self::jfr::{JfrBody, pushed_recording};
use self::push::PushBody;
use self::reading::{AcceptedTimes, PushMetadata, pushed, read_parts};
use self::refused::Refused;
use super::store::{ProfileStore, PushId, Pushed, SAMPLE_LABELS};
use crate::http::{Answers, Code, Problem, Resource, Routes, TenantHeader, described};
use crate::kernel::{Clock, Tenant};
use crate::profile::{Budget, JfrContext, Permit, is_compressed, read_jfr, read_speedscope};
use crate::protobuf::Encoding;

/// The content types of protobuf, as senders of pushes and exporters of OpenTelemetry name it.
const PUSH_PROTO: &str = "application/proto";
const OTLP_PROTO: &str = "application/x-protobuf";

/// Receives profiles for the embedded store. Handlers take it as `web::Data<Receiver>`.
pub struct Receiver {
    store: ProfileStore,
    clock: Arc<dyn Clock>,
    intake: Intake,
}

impl Receiver {
    /// A receiver that writes to this store and inflates within this budget. A process has only one, since the receiver
    /// counts the memory that is in use.
    pub fn new(store: ProfileStore, clock: Arc<dyn Clock>, budget: Budget) -> Self {
        Self { store, clock, intake: Intake::new(budget) }
    }

    fn accepted_times(&self) -> AcceptedTimes {
        AcceptedTimes { now: self.clock.now(), retention: self.store.retention() }
    }

    /// Reads a pprof. The permit covers its inflated bytes.
    async fn read(
        &self,
        body: &Body,
        part: Part,
        about: PushMetadata,
    ) -> Result<(Option<Permit>, Vec<Pushed>), Refused> {
        let span = self.accepted_times();
        let (permit, parts) = self.intake.read(body, part, read_parts).await?;
        Ok((permit, pushed(parts, &about, span)?))
    }

    async fn push(&self, request: &HttpRequest, tenant: Tenant, payload: web::Payload) -> Result<Encoding, Refused> {
        let encoding = Encoding::of(content_type(request), PUSH_PROTO).map_err(Refused::ContentType)?;
        let body = self.intake.body(request.headers(), payload).await?;
        let message = push::decode(body.bytes.clone(), encoding)?;
        let (mut permits, mut held, mut ready) = (Vec::new(), 0, Vec::new());
        for (about, bytes) in push::profiles(&tenant, message, self.accepted_times())? {
            // Uncompressed profiles are part of the body, whose memory is reserved already.
            let compressed = is_compressed(&bytes);
            let (permit, profiles) = self.read(&body, Part { bytes, held }, about).await?;
            if let Some(permit) = permit.filter(|_| compressed) {
                held += permit.bytes();
                permits.push(permit);
            }
            ready.extend(profiles);
        }
        self.store.push(ready).await?;
        Ok(encoding)
    }

    async fn otlp(&self, request: &HttpRequest, tenant: Tenant, payload: web::Payload) -> Result<Encoding, Refused> {
        let encoding = Encoding::of(content_type(request), OTLP_PROTO).map_err(Refused::ContentType)?;
        let body = self.intake.body(request.headers(), payload).await?;
        let part = Part { bytes: body.bytes.clone(), held: 0 };
        let read = move |bytes: &[u8], limits: &_| otlp::read(bytes, encoding, limits);
        let (_permit, profiles) = self.intake.read(&body, part, read).await?;
        self.store.push(otlp::pushed(&tenant, profiles, &body.bytes, self.accepted_times())?).await?;
        Ok(encoding)
    }

    async fn ingest(&self, request: &HttpRequest, tenant: Tenant, payload: web::Payload) -> Result<(), Refused> {
        let params = web::Query::<IngestParams>::from_query(request.query_string())
            .map_err(|e| Refused::Parameter("query", e.to_string()))?;
        let format = Format::of(&params, content_type(request));
        let body = self.intake.body(request.headers(), payload).await?;
        let asked = Asked::of(tenant, &params, request.query_string(), &body.bytes, self.accepted_times())?;
        let all = || Part { bytes: body.bytes.clone(), held: 0 };
        let (_permit, ready) = match format {
            Format::Pprof => self.read(&body, all(), asked.about_pprof(&Config::default())?).await?,
            Format::Form => {
                let (bytes, config) = read_form(request.headers(), body.bytes.clone()).await?;
                self.read(&body, Part { bytes, held: 0 }, asked.about_pprof(&config)?).await?
            }
            Format::Jfr => {
                let sent = JfrBody::of(request.headers(), body.bytes.clone()).await?;
                // The text between the parts of a form is another one when it is sent again.
                let id = PushId::of([request.query_string().as_bytes(), &sent.recording, &sent.labels]);
                let (about, told) = asked.about_recording(id)?;
                let labels = sent.labels;
                let read = move |bytes: &[u8], limits: &_| {
                    read_jfr(bytes, &JfrContext { labels: &labels, keep: SAMPLE_LABELS, rate: told.rate }, limits)
                };
                let part = Part { bytes: sent.recording, held: 0 };
                let (permit, recording) = self.intake.read(&body, part, read).await?;
                (permit, pushed_recording(recording, &about, told, self.accepted_times())?)
            }
            Format::Counts(format) => {
                let (about, kind) = asked.counts()?;
                let of_counts = Arc::new(kind.clone());
                let read = move |bytes: &[u8], limits: &_| read_counts(bytes, format, &of_counts, limits);
                let (permit, profile) = self.intake.read(&body, all(), read).await?;
                (permit, vec![pushed_text(profile, about, kind, self.accepted_times())?])
            }
            Format::Speedscope => {
                let (permit, profile) = self.intake.read(&body, all(), read_speedscope).await?;
                (permit, asked.speedscope(&profile, self.accepted_times())?)
            }
        };
        self.store.push(ready).await?;
        Ok(())
    }
}

fn content_type(request: &HttpRequest) -> Option<&str> {
    request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

/// Mounts and documents the receivers. They need a [`Receiver`] in the app's data.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/push.v1.PusherService/Push").with(__path_push, push))
        .service(Resource::at("/ingest").with(__path_ingest, ingest))
        .service(Resource::at("/pyroscope/ingest").with(__path_ingest_prefixed, ingest_prefixed))
        .service(Resource::at("/v1development/profiles").with(__path_otlp_profiles, otlp_profiles))
        .route(otlp::EARLIER_PATH, web::to(otlp_earlier));
}

/// Mounts routes that say that none are received here, for servers whose profiles come from a Pyroscope.
pub fn routes_off(routes: &mut Routes<'_>) {
    for path in
        ["/push.v1.PusherService/Push", "/ingest", "/pyroscope/ingest", "/v1development/profiles", otlp::EARLIER_PATH]
    {
        routes.route(path, web::to(off));
    }
}

async fn off() -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        Code::ReceiverOff,
        "this server reads profiles from PYROSCOPE_URL and takes none itself: push to that server",
    ))
}

/// Push profiles
///
/// What Pyroscope's SDKs for Python, Ruby, Rust and .NET and Grafana Alloy send: series of pprofs, each series with its
/// labels. `__name__` names the profile (`process_cpu`, `memory`, …), `service_name` the app. The body and each pprof
/// may be compressed with gzip (the body with `Content-Encoding: gzip`). The answer is sent when all profiles are
/// stored. If one profile of an app cannot be stored, none of that app is and the push fails; it may be sent again. A
/// push with the same `ID` as one in the last five minutes, or without an ID with the same bytes, is a repetition and
/// is not stored again. Limits: body 32 MiB, inflated 256 MiB, 1,000,000 samples, 4,096 frames in a stack, 16 KiB for a
/// name.
#[utoipa::path(
    post, path = "/push.v1.PusherService/Push", tag = "receivers", operation_id = "pushProfiles", params(TenantHeader),
    request_body(
        description = "`push.v1.PushRequest`, as protobuf or JSON",
        content(
            (PushBody = "application/json", example = json!({
                "series": [{
                    "labels": [
                        {"name": "__name__", "value": "process_cpu"}, {"name": "service_name", "value": "checkout"},
                        {"name": "version", "value": "2"},
                    ],
                    "samples": [{
                        "rawProfile": "CgQIARACEgsKAgIBEgWAxoaPASIGCAEiAggBKgQIARADIgYIAiICCAIqBAgCEAQyADIDY3B1MgtuYW5vc2Vjb25kczIEbWFpbjIFc2VydmVaBAgBEAJggK3iBA==",
                        "ID": "c5d4930a-61cd-49a5-9127-f2677ae05c86",
                    }],
                }],
            })),
            ("application/proto"),
        ),
    ),
    responses(
        (status = 200, description = "Stored: an empty message", body = Object, content_type = "application/json", example = json!({})),
        (status = 400, description = "`body_invalid`: no push request, or a profile that cannot be read; `time_out_of_range`: older than profiles are kept (7 days, unless set otherwise), or over 10 minutes in the future", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`profile_too_large`: over a limit, which the text names", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`content_type_unsupported`: neither protobuf nor JSON", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`database_unavailable`, `overloaded`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`timeout`: the database did not answer in time", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
async fn push(
    receiver: web::Data<Receiver>,
    request: HttpRequest,
    tenant: TenantHeader,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let encoding = receiver
        .push(&request, tenant.or_default(), payload)
        .await
        .map_err(|refused| refused.problem(Code::BodyInvalid))?;
    Ok(match encoding {
        Encoding::Proto => HttpResponse::Ok().content_type(PUSH_PROTO).finish(),
        Encoding::Json => HttpResponse::Ok().content_type("application/json").body("{}"),
    })
}

/// The answers of both paths of `/ingest` other than 200.
struct IngestErrors;

impl utoipa::IntoResponses for IngestErrors {
    fn responses() -> Answers {
        described(&[
            (
                "400",
                "`parameter_invalid`: the name or a time; `time_out_of_range`: older than profiles are kept (7 days, unless set otherwise), or over 10 minutes in the future",
            ),
            ("413", "`profile_too_large`: over a limit, which the text names"),
            ("415", "`content_type_unsupported`: a content encoding other than gzip"),
            ("422", "`profile_unreadable`: not a profile of the format that it is sent as"),
            ("503", "`database_unavailable`, `overloaded`"),
            ("504", "`timeout`: the database did not answer in time"),
        ])
    }
}

/// Push one profile
///
/// What Pyroscope's SDKs for Go, Node.js and Java and scripts send: a pprof as the body (`format=pprof`), a pprof in a form
/// (parts `profile` and `sample_type_config`), a JFR recording (`format=jfr`) as the body or in a form (parts `jfr` and
/// `labels`), folded text (`root;caller;leaf 12`, one stack per line), the binary formats of Pyroscope's older SDKs
/// (`format=trie` or `format=tree`, or `Content-Type: binary/octet-stream+trie` or `+tree`), or speedscope's JSON
/// (`format=speedscope`). Any of them may be gzip. A recording is stored as a profile of each kind that it holds: CPU,
/// elapsed time, allocation, locks. The name may carry labels: `checkout{version=2}`. In all formats but pprof and JFR the
/// part of the name after its last dot says what is counted: `checkout.cpu`, `checkout.alloc_space`. Without that part,
/// CPU samples are counted; of a speedscope file CPU time, or bytes if it counts those. A time in a pprof takes precedence
/// over `from` and `until`; of a recording, `from` and `until` do, if they are given. Unknown parameters are
/// ignored.
#[utoipa::path(
    post, path = "/ingest", tag = "receivers", operation_id = "ingestProfile",
    params(IngestParams, TenantHeader),
    request_body(
        description = "a pprof, a JFR recording, a form with one, folded text, trie, tree or speedscope; nothing is an empty profile, except as JFR or speedscope",
        content(
            (Option<String> = "text/plain", example = "main;serve;encode 12\nmain;serve 3"),
            ("application/octet-stream"),
            ("multipart/form-data"),
        ),
    ),
    responses((status = 200, description = "Stored"), IngestErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
async fn ingest(
    receiver: web::Data<Receiver>,
    request: HttpRequest,
    tenant: TenantHeader,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    receiver
        .ingest(&request, tenant.or_default(), payload)
        .await
        .map_err(|refused| refused.problem(Code::ProfileUnreadable))?;
    Ok(HttpResponse::Ok().finish())
}

/// Push one profile (older path)
///
/// The same as `POST /ingest`.
#[utoipa::path(
    post, path = "/pyroscope/ingest", tag = "receivers", operation_id = "ingestProfilePrefixed",
    params(IngestParams, TenantHeader),
    request_body(
        description = "as of `/ingest`",
        content(
            (Option<String> = "text/plain", example = "main;serve;encode 12\nmain;serve 3"),
            ("application/octet-stream"),
            ("multipart/form-data"),
        ),
    ),
    responses((status = 200, description = "Stored"), IngestErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
async fn ingest_prefixed(
    receiver: web::Data<Receiver>,
    request: HttpRequest,
    tenant: TenantHeader,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    ingest(receiver, request, tenant, payload).await
}

/// Export profiles of OpenTelemetry
///
/// What an OpenTelemetry Collector, Pyroscope's Java agent with `PYROSCOPE_FORMAT=otlp` and other exporters send over HTTP:
/// an `ExportProfilesServiceRequest` of opentelemetry-proto v1.11.0 (profiles v1development; v1.10.0 is the same) as protobuf
/// or JSON, plain or with `Content-Encoding: gzip`. The protocol is in development: a message of another revision is
/// refused with 400, and the text names the revision. gRPC is not taken; a Collector forwards what comes by gRPC with its
/// exporter `otlphttp`. The app is `service.name` of the sample or of the resource, else
/// `unknown_service:<process.executable.name>`, else `unknown_service`. Attributes of the resource and the scope are labels,
/// except those that name one process. CPU samples become CPU time by their period. The answer is sent when all profiles
/// are stored; the same body within five minutes is a repetition and is not stored again. Limits: as of
/// `POST /push.v1.PusherService/Push`.
#[utoipa::path(
    post, path = "/v1development/profiles", tag = "receivers", operation_id = "exportProfiles", params(TenantHeader),
    request_body(
        description = "`ExportProfilesServiceRequest`, as protobuf or JSON",
        content(
            (Object = "application/json", example = json!({
                "resourceProfiles": [{
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
                    "scopeProfiles": [{"profiles": [{
                        "sampleType": {"typeStrindex": 1, "unitStrindex": 2},
                        "periodType": {"typeStrindex": 3, "unitStrindex": 4}, "period": "10000000",
                        "samples": [{"stackIndex": 1, "values": ["3"]}],
                    }]}],
                }],
                "dictionary": {
                    "stringTable": ["", "samples", "count", "cpu", "nanoseconds", "main", "work", "main.rs"],
                    "functionTable": [{}, {"nameStrindex": 6, "filenameStrindex": 7}, {"nameStrindex": 5, "filenameStrindex": 7}],
                    "locationTable": [{}, {"lines": [{"functionIndex": 1}]}, {"lines": [{"functionIndex": 2}]}],
                    "stackTable": [{}, {"locationIndices": [1, 2]}],
                },
            })),
            ("application/x-protobuf"),
            ("application/protobuf"),
        ),
    ),
    responses(
        (status = 200, description = "Stored: an empty `ExportProfilesServiceResponse`", body = Object, content_type = "application/json", example = json!({})),
        (status = 400, description = "`body_invalid`: no such request, one of another revision, or an index that is not in the dictionary; `time_out_of_range`: older than profiles are kept (7 days, unless set otherwise), or over 10 minutes in the future", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`profile_too_large`: over a limit, which the text names", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`content_type_unsupported`: neither protobuf nor JSON, or a content encoding other than gzip", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`database_unavailable`, `overloaded`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`timeout`: the database did not answer in time", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
async fn otlp_profiles(
    receiver: web::Data<Receiver>,
    request: HttpRequest,
    tenant: TenantHeader,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let encoding = receiver
        .otlp(&request, tenant.or_default(), payload)
        .await
        .map_err(|refused| refused.problem(Code::BodyInvalid))?;
    Ok(match encoding {
        Encoding::Proto => HttpResponse::Ok().content_type(OTLP_PROTO).finish(),
        Encoding::Json => HttpResponse::Ok().content_type("application/json").body("{}"),
    })
}

async fn otlp_earlier() -> Result<HttpResponse, Problem> {
    Err(Problem::new(
        Code::RouteUnknown,
        format!(
            "{} is the path of an earlier revision: send {} to /v1development/profiles",
            otlp::EARLIER_PATH,
            otlp::REVISION
        ),
    ))
}
