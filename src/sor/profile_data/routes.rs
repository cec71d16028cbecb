//! The routes of the Profile Data SOR. They call the port only.

mod params;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentEncoding, HeaderValue};
use actix_web::{HttpResponse, web};
use chrono::SecondsFormat;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::params::{
    AppsParams, ExportFormat, ExportParams, FlameGraphParams, PairParams, ProfileErrors, ProfileParams, SourceErrors,
};
use super::domain::{MergedProfile, ProfileMeta, ProfileQuery};
use super::exchange::{write_one, write_pair};
use super::near::near_apps;
use super::port::ProfileDataSor;
use super::wire::{AppsBody, PairBody, ProfileBody};
use crate::http::{Code, PathParam, Problem, Query, Resource, Routes, TenantHeader, json, window, windows};
use crate::kernel::{
    AppName, Call, Clock, Labels, NoDataReason, ProfileType, Selector, Tenant, TimeWindow, offload, percent_of, round2,
};
use crate::profile::{
    FlameGraphText, flame_graph, flame_graph_diff, write_flamebearer, write_folded, write_speedscope,
};

/// The characters that a link may contain unescaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// From this many frames on, a table is computed on the threads for heavy work.
const HEAVY_FRAMES: usize = 200_000;

type Port = web::Data<dyn ProfileDataSor>;
type Now = web::Data<dyn Clock>;

/// Mounts and documents the routes of the Profile Data SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        // This route comes before the one that would take its name for an app.
        .service(Resource::at("/profiles/apps").with(__path_list_profiled_apps, list_profiled_apps))
        .service(Resource::at("/profiles/{appName}").with(__path_get_profile, get_profile))
        .service(Resource::at("/profiles/{appName}/diff").with(__path_get_profile_diff, get_profile_diff))
        .service(Resource::at("/profiles/{appName}/flamegraph").with(__path_draw_flame_graph, draw_flame_graph))
        .service(Resource::at("/profiles/{appName}/export").with(__path_export_profile, export_profile));
}

/// List the apps that have profiles
///
/// Apps of which any profile, of whatever kind, started in the window.
#[utoipa::path(
    get, path = "/profiles/apps", tag = "profiles", operation_id = "listProfiledApps", params(AppsParams, TenantHeader),
    responses((status = 200, description = "The apps, sorted", body = AppsBody), SourceErrors),
)]
async fn list_profiled_apps(
    port: Port,
    call: Call,
    clock: Now,
    tenant: TenantHeader,
    params: Query<AppsParams>,
) -> Result<HttpResponse, Problem> {
    let AppsParams { from, to } = params.into_inner();
    let window = window(from, to, &**clock)?;
    let apps = port.apps(&call, tenant.into_inner().as_ref(), window).await.map_err(|e| Problem::of_profiles(&e))?;
    json(StatusCode::OK, &AppsBody { apps })
}

/// Rank an app's functions
///
/// All profiles of the window merged, as a table of functions grouped by name, with self and total; a stack counts once
/// for each function in it. Shares are shares of all ticks. An app that is known but has no data in the window has
/// `totalSamples` 0.
#[utoipa::path(
    get, path = "/profiles/{appName}", tag = "profiles", operation_id = "getProfile",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), ProfileParams, TenantHeader),
    responses((status = 200, description = "The functions by self, descending", body = ProfileBody), ProfileErrors),
)]
async fn get_profile(
    port: Port,
    call: Call,
    clock: Now,
    app: PathParam<AppName>,
    params: Query<ProfileParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let ProfileParams { kind, from, to, limit, selector, labels } = params.into_inner();
    let window = window(from, to, &**clock)?;
    let (query, _) =
        query(app.into_inner(), kind, window, Series { selector, baseline: None, labels, tenant: tenant.into_inner() });
    let merged = merged(Source { port: &port, call: &call, now: &clock }, &query).await?;
    let limit = limit.unwrap_or(50) as usize;
    let heavy = merged.profile.frame_count() > HEAVY_FRAMES;
    let body =
        compute(heavy, move || to_json(&ProfileBody::of(&query.app, query.kind, window, limit, &merged))).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

/// Rank an app's functions in two windows
///
/// Both windows are read with the same sample type: the first that both have.
#[utoipa::path(
    get, path = "/profiles/{appName}/diff", tag = "profiles", operation_id = "getProfileDiff",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), PairParams, TenantHeader),
    responses((status = 200, description = "The functions of both windows by self, descending", body = PairBody), ProfileErrors),
)]
async fn get_profile_diff(
    port: Port,
    call: Call,
    clock: Now,
    app: PathParam<AppName>,
    params: Query<PairParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let (baseline_window, current_window) =
        windows((params.baseline_from, params.baseline_to), (params.from, params.to), clock.now())?;
    let series = Series {
        selector: params.selector,
        baseline: params.baseline_selector,
        labels: params.labels,
        tenant: tenant.into_inner(),
    };
    let (query, baseline_selector) = query(app.into_inner(), params.kind, current_window, series);
    let (baseline, current) =
        pair(Source { port: &port, call: &call, now: &clock }, &query, baseline_window, &baseline_selector).await?;
    let limit = params.limit.unwrap_or(500) as usize;
    let heavy = baseline.profile.frame_count() + current.profile.frame_count() > HEAVY_FRAMES;
    let body = compute(heavy, move || {
        let (baseline, current) = ((baseline_window, &baseline), (current_window, &current));
        to_json(&PairBody::of(&query.app, query.kind, limit, baseline, current))
    });
    Ok(HttpResponse::Ok().content_type("application/json").body(body.await?))
}

/// Draw a flame graph
///
/// An SVG of the window's merged stacks that can be zoomed and searched. With a baseline it is differential: the widths
/// are the current window's ticks, red means that a function's own ticks grew and blue that they shrank, with the
/// baseline scaled to the same total.
#[utoipa::path(
    get, path = "/profiles/{appName}/flamegraph", tag = "profiles", operation_id = "drawFlameGraph",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), FlameGraphParams, TenantHeader),
    responses((status = 200, description = "The flame graph", body = String, content_type = "image/svg+xml"), ProfileErrors),
)]
async fn draw_flame_graph(
    port: Port,
    call: Call,
    clock: Now,
    app: PathParam<AppName>,
    params: Query<FlameGraphParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let baseline = (params.baseline_from, params.baseline_to);
    let differential = baseline != (None, None) || params.baseline_selector.is_some();
    let (baseline_window, current_window) = windows(baseline, (params.from, params.to), clock.now())?;
    let series = Series {
        selector: params.selector,
        baseline: params.baseline_selector,
        labels: params.labels,
        tenant: tenant.into_inner(),
    };
    let (query, baseline_selector) = query(app.into_inner(), params.kind, current_window, series);
    let drawn = if differential {
        let (baseline, current) =
            pair(Source { port: &port, call: &call, now: &clock }, &query, baseline_window, &baseline_selector).await?;
        let against = format!(" against {}", between(baseline_window));
        let text = drawn_text(&query, &against, &current.meta);
        compute(true, move || drawn(flame_graph_diff(&baseline.profile, &current.profile, 0, &text))).await?
    } else {
        let merged = merged(Source { port: &port, call: &call, now: &clock }, &query).await?;
        let text = drawn_text(&query, "", &merged.meta);
        compute(true, move || drawn(flame_graph(&merged.profile, 0, &text))).await?
    };
    // Names in a profile must never be executed as code. Only the graph's own inline script and style are allowed.
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    Ok(HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(drawn))
}

/// Export the merged stacks
///
/// The window's merged stacks in a format that other tools read; by default gzip pprof, with file names. Without data it has
/// no samples. `folded` is text with a stack and its value on each line, which does not say its unit: CPU is nanoseconds.
/// `flamebearer` is the JSON of Pyroscope's flame graphs, `speedscope` the JSON of that viewer. Of these three, only `speedscope` has file names, and only the pprof says in a
/// comment what is known about the profile beyond its stacks. With a baseline, which takes pprof only, both windows are in
/// one pprof and have the same sample type: the first values are the baseline's and the last are the current window's.
/// If there are three, the middle ones are the part of the baseline in the first half of its window.
#[utoipa::path(
    get, path = "/profiles/{appName}/export", tag = "profiles", operation_id = "exportProfile",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), ExportParams, TenantHeader),
    responses(
        (status = 200, description = "The profile; pprof is gzip", content(
            (Vec<u8> = "application/octet-stream"),
            (String = "text/plain", example = "main;serve;parse 120\nmain;serve;render 80\n"),
            (Object = "application/json"),
        ), headers(
            ("x-profile-types" = String, description = "full profile type IDs that were read, joined by commas"),
            ("x-truncated-percent" = f64, description = "the share that the source cut off"),
            ("x-profile-kinds" = String, description = "the kinds of profile that the app sends, joined by commas; absent if the source does not tell"),
            ("x-no-data-reason" = NoDataReason, description = "why there is no data; absent if there is some, or if the source does not tell"),
            ("x-last-profile-at" = String, description = "if there is no data: when the last such profile came, or else the app's last, RFC 3339"),
        )),
        ProfileErrors,
    ),
)]
async fn export_profile(
    port: Port,
    call: Call,
    clock: Now,
    app: PathParam<AppName>,
    params: Query<ExportParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let format = params.format.unwrap_or_default();
    let baseline = (params.baseline_from, params.baseline_to);
    let paired = baseline != (None, None) || params.baseline_selector.is_some();
    if paired && format != ExportFormat::Pprof {
        let why = "two windows are exported as pprof only: leave format out, or leave the baseline out";
        return Err(Problem::field(Code::ParameterInvalid, "format", why));
    }
    let (baseline_window, window) = if paired {
        windows(baseline, (params.from, params.to), clock.now()).map(|(before, now)| (Some(before), now))?
    } else {
        (None, window(params.from, params.to, &**clock)?)
    };
    let series = Series {
        selector: params.selector,
        baseline: params.baseline_selector,
        labels: params.labels,
        tenant: tenant.into_inner(),
    };
    let (query, baseline_selector) = query(app.into_inner(), params.kind, window, series);
    let (baseline, merged) = if let Some(baseline_window) = baseline_window {
        let (baseline, current) =
            pair(Source { port: &port, call: &call, now: &clock }, &query, baseline_window, &baseline_selector).await?;
        (Some(baseline), current)
    } else {
        (None, merged(Source { port: &port, call: &call, now: &clock }, &query).await?)
    };
    let about = headers(&merged);
    let (content_type, extension) = format.file();
    let file: String = query
        .app
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect();
    let disposition = format!("attachment; filename=\"{file}-{}.{extension}\"", query.kind);
    let name = format!("{} {}", query.app, query.kind);
    let body = compute(true, move || {
        let written = match (format, baseline) {
            (ExportFormat::Pprof, Some(baseline)) => write_pair(&baseline, &merged, window),
            (ExportFormat::Pprof, None) => write_one(&merged, window),
            (ExportFormat::Folded, _) => Ok(write_folded(&merged.profile, 0)),
            (ExportFormat::Flamebearer, _) => write_flamebearer(&merged.profile, 0),
            (ExportFormat::Speedscope, _) => write_speedscope(&merged.profile, 0, &name),
        };
        written.map_err(|e| internal(&e.to_string()))
    })
    .await?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(content_type).insert_header((header::CONTENT_DISPOSITION, disposition));
    if format == ExportFormat::Pprof {
        // The profile is compressed already.
        answer.insert_header(ContentEncoding::Identity);
    }
    for (name, value) in about {
        // A type may be spelled in characters that a header cannot hold.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            answer.insert_header((name, value));
        }
    }
    Ok(answer.body(body))
}

/// What the headers of an export say of the profile. Its comment says the same and more, and is what another Flamewarden
/// reads.
fn headers(merged: &MergedProfile) -> Vec<(&'static str, String)> {
    let ProfileMeta { profile_types, truncated_ticks, kinds, no_data, last_profile_at, .. } = &merged.meta;
    let truncated = percent_of(*truncated_ticks, merged.profile.total(0));
    let kinds = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
    let always = [("x-profile-types", profile_types.join(",")), ("x-truncated-percent", round2(truncated).to_string())];
    let known = [
        ("x-profile-kinds", Some(kinds).filter(|kinds| !kinds.is_empty())),
        ("x-no-data-reason", no_data.map(|reason| reason.to_string())),
        ("x-last-profile-at", last_profile_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
    ];
    always.into_iter().chain(known.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
}

/// The app's series that are read.
struct Series {
    selector: Option<Selector>,
    /// The series of the baseline window. Default: those of the current window.
    baseline: Option<Selector>,
    labels: Option<Labels>,
    tenant: Option<Tenant>,
}

/// The query for the port, and the selector of a baseline window.
fn query(app: AppName, kind: Option<ProfileType>, window: TimeWindow, series: Series) -> (ProfileQuery, Selector) {
    let labels = series.labels.unwrap_or_default();
    let selector = series.selector.unwrap_or_default().and(labels.matchers());
    let baseline = series.baseline.map_or_else(|| selector.clone(), |baseline| baseline.and(labels.matchers()));
    let kind = kind.unwrap_or(ProfileType::Cpu);
    (ProfileQuery { app, kind, window, selector, tenant: series.tenant }, baseline)
}

async fn merged(source: Source<'_>, query: &ProfileQuery) -> Result<MergedProfile, Problem> {
    let merged = source.port.merged(source.call, query).await.map_err(|e| Problem::of_profiles(&e))?;
    match merged {
        Some(merged) => Ok(merged),
        None => Err(source.unknown(query).await),
    }
}

async fn pair(
    source: Source<'_>,
    query: &ProfileQuery,
    baseline: TimeWindow,
    baseline_selector: &Selector,
) -> Result<(MergedProfile, MergedProfile), Problem> {
    let pair = source.port.merged_pair(source.call, query, baseline, baseline_selector).await;
    match pair.map_err(|e| Problem::of_profiles(&e))? {
        Some(pair) => Ok(pair),
        None => Err(source.unknown(query).await),
    }
}

/// Where a request reads its profiles.
#[derive(Clone, Copy)]
struct Source<'r> {
    port: &'r Port,
    call: &'r Call,
    now: &'r Now,
}

impl Source<'_> {
    async fn unknown(self, query: &ProfileQuery) -> Problem {
        let (app, tenant) = (&query.app, query.tenant.as_ref());
        Problem::app_unknown(app, &near_apps(&***self.port, self.call, (tenant, app), self.now.now()).await)
    }
}

fn between(window: TimeWindow) -> String {
    format!("{} to {} UTC", window.from().format("%Y-%m-%d %H:%M:%S"), window.to().format("%Y-%m-%d %H:%M:%S"))
}

fn drawn_text(query: &ProfileQuery, against: &str, meta: &ProfileMeta) -> FlameGraphText {
    let selector = if query.selector.is_empty() { String::new() } else { format!(" {{{}}}", query.selector) };
    FlameGraphText {
        title: format!("{}{selector}: {}", query.app, query.kind),
        subtitle: format!("{}{against}", between(query.window)),
        unit: meta.sample_type.as_ref().map_or_else(|| "ticks".to_owned(), |t| t.unit.clone()),
        link: Some((triage_of(query), format!("triage of {} in this window", query.app))),
    }
}

/// A link to the triage of the same window. The triage adds the labels of the registry itself.
fn triage_of(query: &ProfileQuery) -> String {
    let ([selector], _) = Selector::beside_labels([&query.selector]);
    let (from, to) = (query.window.from().timestamp(), query.window.to().timestamp());
    let app = utf8_percent_encode(query.app.as_str(), PLAIN);
    let mut link = format!("/triage/{app}?types={}&from={from}&to={to}", query.kind);
    if !selector.is_empty() {
        let _ = write!(link, "&selector={}", utf8_percent_encode(&selector.to_string(), PLAIN));
    }
    link
}

fn drawn(svg: Result<Vec<u8>, String>) -> Result<Vec<u8>, Problem> {
    svg.map_err(|e| internal(&e))
}

fn to_json(body: &impl serde::Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|e| internal(&e.to_string()))
}

/// Runs work that may take milliseconds on the threads for heavy work.
async fn compute(
    heavy: bool,
    work: impl FnOnce() -> Result<Vec<u8>, Problem> + Send + 'static,
) -> Result<Vec<u8>, Problem> {
    if !heavy {
        return work();
    }
    offload("answering with a profile", work).await.unwrap_or_else(|e| Err(internal(&e.to_string())))
}

fn internal(why: &str) -> Problem {
    Problem::new(Code::Internal, "an internal error, see the log under this request id").because(why)
}
