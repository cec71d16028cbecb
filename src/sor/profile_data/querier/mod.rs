//! The query service of Pyroscope on the embedded store: what Grafana's data source, `profilecli` and another Flamewarden
//! ask.
//!
//! Two families of routes: the calls of `querier.v1.QuerierService` (Connect, as protobuf or JSON), and the older
//! `/pyroscope/render`, `/pyroscope/render-diff` and `/pyroscope/label-values`. Both ask the store for exact profile types
//! and for labels, over all apps of a tenant. Windows are half-open, as in Pyroscope 2. Ids of profiles, traces and
//! spans are not kept, so a request that selects by them is refused and not answered with everything.

mod connect;
mod labels;
mod questions;
mod render;
mod selector;
mod stacks;
mod totals;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;
use utoipa::openapi::{ContentBuilder, Object, RefOr, ResponseBuilder};

use self::render::Params;
use super::proto::google;
use super::store::ProfileStore;
use crate::http::{Answers, Code, Problem, Resource, Routes, TenantHeader};
use crate::kernel::{Call, Clock, Tenant};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Answers queries from the embedded store. Handlers take it as `web::Data<Querier>`.
pub struct Querier {
    store: ProfileStore,
    clock: Arc<dyn Clock>,
}

/// Who asks.
struct Asker {
    call: Call,
    tenant: Tenant,
    /// It reads names of labels with dots and other characters that older readers do not take.
    reads_all_names: bool,
}

impl Asker {
    async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let tenant = TenantHeader::extract(request).await?.or_default();
        let call = Call::extract(request).await?.until(Instant::now() + ANSWER_WITHIN);
        let accepted = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        let reads_all_names = accepted.flat_map(|value| value.split([',', ';'])).any(is_all_names);
        Ok(Self { call, tenant, reads_all_names })
    }

    /// Whether it reads the name of a label.
    fn reads(&self, name: &str) -> bool {
        self.reads_all_names || name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

fn is_all_names(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    name.trim().eq_ignore_ascii_case("allow-utf8-labelnames") && value.trim().eq_ignore_ascii_case("true")
}

impl Querier {
    /// Answers from this store.
    pub fn new(store: ProfileStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Reads the message of a call, and answers in the same encoding.
    async fn unary<Q, A>(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        answer: impl AsyncFnOnce(&Self, &Asker, Q) -> Result<A, Problem>,
    ) -> HttpResponse
    where
        Q: Message + Default + DeserializeOwned,
        A: Message + Serialize,
    {
        let answering = async {
            let asker = Asker::of(request).await?;
            let (encoding, message) = connect::read(request, payload).await?;
            connect::answer(encoding, &answer(self, &asker, message).await?)
        };
        answering.await.unwrap_or_else(connect::refused)
    }

    /// Answers one of the older routes.
    async fn older(
        &self,
        request: &HttpRequest,
        answer: impl AsyncFnOnce(&Self, &Asker, &Params) -> Result<HttpResponse, Problem>,
    ) -> HttpResponse {
        let answering = async {
            let asker = Asker::of(request).await?;
            answer(self, &asker, &Params::of(request.query_string())).await
        };
        answering.await.unwrap_or_else(connect::refused)
    }
}

/// Mounts and documents the query service. It needs a [`Querier`] in the app's data.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/querier.v1.QuerierService/ProfileTypes").with(__path_profile_types, profile_types))
        .service(Resource::at("/querier.v1.QuerierService/LabelNames").with(__path_label_names, label_names))
        .service(Resource::at("/querier.v1.QuerierService/LabelValues").with(__path_label_values, label_values))
        .service(Resource::at("/querier.v1.QuerierService/Series").with(__path_series, series))
        .service(
            Resource::at("/querier.v1.QuerierService/SelectMergeProfile").with(__path_merge_profile, merge_profile),
        )
        .service(
            Resource::at("/querier.v1.QuerierService/SelectMergeStacktraces")
                .with(__path_merge_stacktraces, merge_stacktraces),
        )
        .service(Resource::at("/querier.v1.QuerierService/SelectSeries").with(__path_select_series, select_series))
        .service(Resource::at("/querier.v1.QuerierService/Diff").with(__path_diff, diff))
        .route("/querier.v1.QuerierService/{method}", web::to(not_served))
        .service(Resource::at("/pyroscope/render").with(__path_render, render))
        .service(Resource::at("/pyroscope/render-diff").with(__path_render_diff, render_diff))
        .service(Resource::at("/pyroscope/label-values").with(__path_older_label_values, older_label_values));
}

/// Mounts routes that say who can be asked instead, for servers whose profiles come from elsewhere.
pub fn routes_off(routes: &mut Routes<'_>) {
    for path in [
        "/querier.v1.QuerierService/{method}",
        "/pyroscope/render",
        "/pyroscope/render-diff",
        "/pyroscope/label-values",
    ] {
        routes.route(path, web::to(off));
    }
}

/// A method that Pyroscope has and this service has not: a client shows the text.
async fn not_served(method: web::Path<String>) -> HttpResponse {
    let served =
        "ProfileTypes, LabelNames, LabelValues, Series, SelectMergeProfile, SelectMergeStacktraces, SelectSeries, Diff";
    connect::refused(Problem::new(Code::RouteUnknown, format!("{method} is not served: served are {served}")))
}

async fn off() -> HttpResponse {
    let detail = "this server keeps no profiles itself: ask the server that it reads them from";
    connect::refused(Problem::new(Code::RouteUnknown, detail))
}

/// The errors of all these routes, in the form that clients of Pyroscope read.
struct Refusals;

impl utoipa::IntoResponses for Refusals {
    fn responses() -> Answers {
        let answer = |(status, code, description): &(&str, &str, &str)| {
            let example = json!({"code": code, "message": description});
            let content = ContentBuilder::new().schema(Some(RefOr::T(Object::new().into()))).example(Some(example));
            let response =
                ResponseBuilder::new().description(*description).content("application/json", content.build());
            ((*status).to_owned(), RefOr::T(response.build()))
        };
        [
            (
                "400",
                "invalid_argument",
                "a parameter is missing or wrong, or asks for what is not served; the text says which",
            ),
            ("413", "resource_exhausted", "the request is larger than 1 MiB"),
            ("415", "invalid_argument", "neither protobuf nor JSON, or a content encoding other than gzip"),
            ("503", "unavailable", "the database is away or busy"),
            ("504", "deadline_exceeded", "no answer within 60 s"),
        ]
        .iter()
        .map(answer)
        .collect()
    }
}

/// List profile types
///
/// The full IDs of the profile types of a window and their parts. Without times: of the last hour. As all calls of this
/// service it takes protobuf (`application/proto`) or JSON, also compressed with gzip, and answers in the same encoding.
/// Times are milliseconds since the epoch; the end is outside; a window is at most 31 days long. In JSON, 64-bit
/// integers are written as texts, and fields that are empty or zero are left out.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/ProfileTypes", tag = "pyroscope", operation_id = "pyroscopeProfileTypes",
    params(TenantHeader),
    request_body(description = "`querier.v1.ProfileTypesRequest`", content(
        (Object = "application/json", example = json!({"start": "1795175940000", "end": "1795176600000"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`querier.v1.ProfileTypesResponse`", content(
            (Object = "application/json", example = json!({"profileTypes": [{"ID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "name": "process_cpu", "sampleType": "cpu", "sampleUnit": "nanoseconds", "periodType": "cpu", "periodUnit": "nanoseconds"}]})),
            ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn profile_types(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::profile_types).await
}

/// List label names
///
/// The labels that the series of a window have, among them those that follow from app and type: `service_name`,
/// `__profile_type__`, `__name__`, `__type__`, `__unit__`, `__period_type__`, `__period_unit__`. Names with other
/// characters than letters, digits and `_` are only told to who sends `Accept: */*; allow-utf8-labelnames=true`.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/LabelNames", tag = "pyroscope", operation_id = "pyroscopeLabelNames",
    params(TenantHeader),
    request_body(description = "`types.v1.LabelNamesRequest`", content(
        (Object = "application/json", example = json!({"matchers": ["{service_name=\"checkout\"}"], "start": "1795175940000", "end": "1795176600000"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`types.v1.LabelNamesResponse`", content(
            (Object = "application/json", example = json!({"names": ["__name__", "region", "service_name"]})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn label_names(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::label_names).await
}

/// List label values
///
/// The values that a label has in a window, among the series that match all selectors.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/LabelValues", tag = "pyroscope", operation_id = "pyroscopeLabelValues",
    params(TenantHeader),
    request_body(description = "`types.v1.LabelValuesRequest`", content(
        (Object = "application/json", example = json!({"name": "service_name", "matchers": ["{region=~\"eu.*\"}"], "start": "1795175940000", "end": "1795176600000"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`types.v1.LabelValuesResponse`", content(
            (Object = "application/json", example = json!({"names": ["checkout", "search"]})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn label_values(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::label_values).await
}

/// List label sets
///
/// The label sets of the series of a window, each once: all labels, or those of `labelNames`.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/Series", tag = "pyroscope", operation_id = "pyroscopeSeries",
    params(TenantHeader),
    request_body(description = "`querier.v1.SeriesRequest`", content(
        (Object = "application/json", example = json!({"matchers": ["{service_name=\"checkout\"}"], "labelNames": ["service_name", "__profile_type__"], "start": "1795175940000", "end": "1795176600000"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`querier.v1.SeriesResponse`", content(
            (Object = "application/json", example = json!({"labelsSet": [{"labels": [{"name": "service_name", "value": "checkout"}]}]})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn series(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::series).await
}

/// Merge profiles
///
/// All profiles of one type, merged into one pprof: the answer is a `google.v1.Profile`. Nothing is left out unless
/// `maxNodes` is given. No data is an empty message. Selectors of profile ids, trace ids and stacks are refused.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/SelectMergeProfile", tag = "pyroscope", operation_id = "pyroscopeSelectMergeProfile",
    params(TenantHeader),
    request_body(description = "`querier.v1.SelectMergeProfileRequest`", content(
        (Object = "application/json", example = json!({"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": "{service_name=\"checkout\"}", "start": "1795175940000", "end": "1795176600000"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`google.v1.Profile`", content(
            (Object = "application/json", example = json!({})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn merge_profile(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answering = async {
        let asker = Asker::of(&request).await?;
        let (encoding, message) = connect::read(&request, payload).await?;
        connect::encoded::<google::v1::Profile>(encoding, querier.merge_profile(&asker, &message).await?)
    };
    answering.await.unwrap_or_else(connect::refused)
}

/// Merge profiles into a flame graph
///
/// All profiles of one type as a flame graph of about `maxNodes` nodes (8,192; at most 1,048,576), or as a pprof
/// (`format`: `PROFILE_FORMAT_PPROF`). Smaller nodes are summed in leaves called `other`.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/SelectMergeStacktraces", tag = "pyroscope", operation_id = "pyroscopeSelectMergeStacktraces",
    params(TenantHeader),
    request_body(description = "`querier.v1.SelectMergeStacktracesRequest`", content(
        (Object = "application/json", example = json!({"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": "{service_name=\"checkout\"}", "start": "1795175940000", "end": "1795176600000", "maxNodes": "1024"})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`querier.v1.SelectMergeStacktracesResponse`", content(
            (Object = "application/json", example = json!({"flamegraph": {"names": ["total", "main"], "levels": [{"values": ["0", "4", "0", "0"]}, {"values": ["0", "4", "4", "1"]}], "total": "4", "maxSelf": "4"}})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn merge_stacktraces(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::merge_stacktraces).await
}

/// Totals over time
///
/// The sum of the values of one type in steps of `step` seconds, by the values of the labels of `groupBy`. A point
/// stands at the end of its step; steps without profiles have none. At most 50,000 steps. `aggregation` is ignored:
/// values are always added up.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/SelectSeries", tag = "pyroscope", operation_id = "pyroscopeSelectSeries",
    params(TenantHeader),
    request_body(description = "`querier.v1.SelectSeriesRequest`", content(
        (Object = "application/json", example = json!({"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": "{service_name=\"checkout\"}", "start": "1795175940000", "end": "1795176600000", "step": 15, "groupBy": ["region"]})), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`querier.v1.SelectSeriesResponse`", content(
            (Object = "application/json", example = json!({"series": [{"labels": [{"name": "region", "value": "eu"}], "points": [{"value": 500_000_000, "timestamp": "1795176000000"}]}]})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn select_series(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::select_series).await
}

/// Compare two merged profiles
///
/// A flame graph of two merged profiles side by side. Values are not scaled.
#[utoipa::path(
    post, path = "/querier.v1.QuerierService/Diff", tag = "pyroscope", operation_id = "pyroscopeDiff",
    params(TenantHeader),
    request_body(description = "`querier.v1.DiffRequest`", content(
        (Object = "application/json", example = json!({
            "left": {"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": "{service_name=\"checkout\"}", "start": "1795175940000", "end": "1795176600000"},
            "right": {"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": "{service_name=\"checkout\"}", "start": "1795179540000", "end": "1795180200000"},
        })), ("application/proto"),
    )),
    responses(
        (status = 200, description = "`querier.v1.DiffResponse`", content(
            (Object = "application/json", example = json!({"flamegraph": {"names": ["total"], "levels": [{"values": ["0", "1", "1", "0", "2", "2", "0"]}], "total": "3", "maxSelf": "2", "leftTicks": "1", "rightTicks": "2"}})), ("application/proto"),
        )),
        Refusals,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn diff(querier: web::Data<Querier>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    querier.unary(&request, payload, Querier::diff).await
}

/// Draw a flame graph (older path)
///
/// The merged profiles of one type as a flame graph, with a timeline of at least 15 s a step. Times are `now-1h`, RFC 3339,
/// or seconds, milliseconds, microseconds or nanoseconds since the epoch, recognised by the number of digits. The answer
/// is JSON; `format=dot` is refused. Unknown parameters are ignored.
#[utoipa::path(
    get, path = "/pyroscope/render", tag = "pyroscope", operation_id = "pyroscopeRender",
    params(
        ("query" = String, Query, description = "A profile type ID and a selector", example = "process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"checkout\"}"),
        ("from" = Option<String>, Query, description = "Start of the window; now, if absent", example = "now-1h"),
        ("until" = Option<String>, Query, description = "End of the window; now, if absent", example = "now"),
        ("max-nodes" = Option<u32>, Query, description = "Nodes to keep: 8,192, if absent or 0; at most 1,048,576. Also `maxNodes`", maximum = 1_048_576),
        ("groupBy" = Option<Vec<String>>, Query, description = "Labels by which there are further timelines"),
        TenantHeader,
    ),
    responses((status = 200, description = "The flame graph and the timeline", body = Object, content_type = "application/json"), Refusals),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn render(querier: web::Data<Querier>, request: HttpRequest) -> HttpResponse {
    querier.older(&request, Querier::render).await
}

/// Draw a flame graph of two windows (older path)
///
/// The merged profiles of two queries of the same type side by side, with the parameters of `/pyroscope/render` twice.
#[utoipa::path(
    get, path = "/pyroscope/render-diff", tag = "pyroscope", operation_id = "pyroscopeRenderDiff",
    params(
        ("leftQuery" = String, Query, description = "A profile type ID and a selector", example = "process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"checkout\"}"),
        ("leftFrom" = Option<String>, Query, example = "now-2h"),
        ("leftUntil" = Option<String>, Query, example = "now-1h"),
        ("rightQuery" = String, Query, description = "The same type ID and a selector", example = "process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"checkout\"}"),
        ("rightFrom" = Option<String>, Query, example = "now-1h"),
        ("rightUntil" = Option<String>, Query, example = "now"),
        ("max-nodes" = Option<u32>, Query, description = "Nodes to keep", maximum = 1_048_576),
        TenantHeader,
    ),
    responses((status = 200, description = "The flame graph", body = Object, content_type = "application/json"), Refusals),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn render_diff(querier: web::Data<Querier>, request: HttpRequest) -> HttpResponse {
    querier.older(&request, Querier::render_diff).await
}

/// List label values (older path)
///
/// The values of a label in the last hour; of `__name__` the full IDs of the profile types.
#[utoipa::path(
    get, path = "/pyroscope/label-values", tag = "pyroscope", operation_id = "pyroscopeLabelValuesOlder",
    params(("label" = String, Query, description = "The label", example = "service_name"), TenantHeader),
    responses((status = 200, description = "The values", body = Vec<String>, content_type = "application/json"), Refusals),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn older_label_values(querier: web::Data<Querier>, request: HttpRequest) -> HttpResponse {
    querier.older(&request, Querier::older_label_values).await
}
