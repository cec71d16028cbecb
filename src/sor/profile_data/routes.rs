//! The routes of the Profile Data SOR. They call the port only.

mod export;
mod params;
mod series;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::params::{AppsParams, FlameGraphParams, PairParams, ProfileErrors, ProfileParams, SourceErrors};
use super::domain::{MergedProfile, ProfileMeta, ProfileQuery};
use super::near::near_apps;
use super::port::ProfileDataSor;
use super::timeline::{StepWidth, Timeline};
use super::wire::{AppsBody, PairBody, ProfileBody};
use crate::http::{Code, PathParam, Problem, Query, Resource, Routes, TenantHeader, json, window, windows};
use crate::kernel::{AppName, Call, Clock, Labels, ProfileType, Selector, Tenant, TimeWindow, offload};
use crate::profile::{FlameGraphText, Profile, flame_graph, flame_graph_diff};

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
        .service(
            Resource::at("/profiles/{appName}/series")
                .with(series::__path_get_profile_series, series::get_profile_series),
        )
        .service(Resource::at("/profiles/{appName}/flamegraph").with(__path_draw_flame_graph, draw_flame_graph))
        .service(
            Resource::at("/profiles/{appName}/export").with(export::__path_export_profile, export::export_profile),
        );
}

/// List the apps that have profiles
///
/// Apps of which any profile, of whatever kind, started in the window.
#[utoipa::path(
    get, path = "/profiles/apps", tag = "profiles", operation_id = "listProfiledApps", params(AppsParams, TenantHeader),
    responses((status = 200, description = "The apps, sorted", body = AppsBody), SourceErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
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
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
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
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
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
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
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
    async fn totals(self, query: &ProfileQuery, width: StepWidth) -> Result<Timeline<i64>, Problem> {
        match self.port.totals(self.call, query, width).await.map_err(|e| Problem::of_profiles(&e))? {
            Some(timeline) => Ok(timeline),
            None => Err(self.unknown(query).await),
        }
    }

    async fn stacks(self, query: &ProfileQuery, width: StepWidth) -> Result<Timeline<Profile>, Problem> {
        match self.port.stacks(self.call, query, width).await.map_err(|e| Problem::of_profiles(&e))? {
            Some(timeline) => Ok(timeline),
            None => Err(self.unknown(query).await),
        }
    }

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
