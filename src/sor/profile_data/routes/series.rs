//! The route that answers step by step.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::{ProfileErrors, SeriesParams, Step};
use super::{Now, Port, Series, Source, compute, query, to_json};
use crate::http::{Code, PathParam, Problem, Query, TenantHeader, window};
use crate::kernel::{AppName, Call, ProfileType, TimeWindow, percent_of, round2};
use crate::profile::{Profile, aligned};
use crate::sor::profile_data::domain::{ProfileMeta, ProfileQuery};
use crate::sor::profile_data::timeline::{StepWidth, Timeline};
use crate::verdict::{Category, CategoryTicks, Rules, key};

/// The longest name of a function that is looked for, in bytes.
const LONGEST_NAME: usize = 4_096;

/// What is followed beside the totals.
enum Followed {
    Function(String),
    Category(Category),
}

/// Follow an app over time
///
/// Totals step by step and, of one function or one category, its share of each step: when did it begin, and does it come
/// and go? Steps begin at multiples of their width since 1970, and the window is widened to whole steps. Steps without
/// profiles are left out; the last one may not be over. Snapshots (`inuse`, `goroutine`) are not added up: a step has the
/// last one of each series.
#[utoipa::path(
    get, path = "/profiles/{appName}/series", tag = "profiles", operation_id = "getProfileSeries",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), SeriesParams, TenantHeader),
    responses((status = 200, description = "The steps that have profiles, in order of time", body = SeriesBody), ProfileErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn get_profile_series(
    port: Port,
    call: Call,
    clock: Now,
    rules: web::Data<Rules>,
    app: PathParam<AppName>,
    params: Query<SeriesParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let SeriesParams { kind, function, category, from, to, step, selector, labels } = params.into_inner();
    let followed = followed(function, category)?;
    let window = window(from, to, &**clock)?;
    let width = step.map(Step::width).transpose()?.unwrap_or_else(|| StepWidth::usual(window));
    let window = width.widened(window);
    let series = Series { selector, baseline: None, labels, tenant: tenant.into_inner() };
    let (query, _) = query(app.into_inner(), kind, window, series);
    let source = Source { port: &port, call: &call, now: &clock };
    let body = match followed {
        None => {
            let Timeline { meta, steps } = source.totals(&query, width).await?;
            let points = steps.into_iter().map(|(at, total)| Point::of(at, total)).collect();
            to_json(&SeriesBody::of(&query, width, &meta, points))?
        }
        Some(followed) => {
            let Timeline { meta, steps } = source.stacks(&query, width).await?;
            let rules = rules.into_inner();
            compute(true, move || {
                let points = match followed {
                    Followed::Function(name) => of_function(&name, steps),
                    Followed::Category(category) => of_category(&rules, query.kind, category, steps),
                };
                to_json(&SeriesBody::of(&query, width, &meta, points))
            })
            .await?
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

fn followed(function: Option<String>, category: Option<Category>) -> Result<Option<Followed>, Problem> {
    let refused = |why: &str| Err(Problem::field(Code::ParameterInvalid, "function", why));
    match (function, category) {
        (Some(_), Some(_)) => refused("a function or a category is followed: leave one of them out"),
        (Some(name), None) if name.is_empty() || name.len() > LONGEST_NAME => {
            refused("must be a name of 1 to 4096 bytes")
        }
        (Some(name), None) => Ok(Some(Followed::Function(name))),
        (None, category) => Ok(category.map(Followed::Category)),
    }
}

fn of_function(name: &str, steps: Vec<(DateTime<Utc>, Profile)>) -> Vec<Point> {
    let wanted = key(name);
    let (starts, profiles): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let profiles = aligned(profiles);
    // The steps share their functions, so names are compared once.
    let is_it: Vec<bool> = profiles
        .first()
        .map(|profile| profile.function_ids().map(|id| key(profile.name(id)) == wanted).collect())
        .unwrap_or_default();
    let is_it = |frame: &crate::profile::FunctionId| is_it.get(frame.index()) == Some(&true);
    let point = |(at, profile): (DateTime<Utc>, Profile)| {
        let total = profile.total(0);
        let (mut own, mut through) = (0_i64, 0_i64);
        for stack in profile.stacks() {
            let ticks = stack.values.first().copied().unwrap_or(0);
            if stack.frames.first().is_some_and(is_it) {
                own = own.saturating_add(ticks);
            }
            if stack.frames.iter().any(is_it) {
                through = through.saturating_add(ticks);
            }
        }
        let function = FunctionPoint {
            self_percent: round2(percent_of(own, total)),
            self_samples: own,
            total_samples: through,
            total_percent: round2(percent_of(through, total)),
        };
        Point { function: Some(function), ..Point::of(at, total) }
    };
    starts.into_iter().zip(profiles).map(point).collect()
}

fn of_category(
    rules: &Rules,
    kind: ProfileType,
    category: Category,
    steps: Vec<(DateTime<Utc>, Profile)>,
) -> Vec<Point> {
    let point = |(at, profile): (DateTime<Utc>, Profile)| {
        let ticks = CategoryTicks::of(rules, kind, &profile, category);
        let category = CategoryPoint {
            percent: round2(ticks.percent()),
            samples: ticks.claimed,
            inclusive_percent: round2(ticks.inclusive_percent()),
            inclusive_samples: ticks.inclusive,
        };
        Point { category: Some(category), ..Point::of(at, profile.total(0)) }
    };
    steps.into_iter().map(point).collect()
}

/// An app's profiles step by step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileSeries, example = json!({
    "appName": "checkout", "profileType": "cpu", "sampleType": "cpu", "unit": "nanoseconds",
    "from": 1_706_000_000, "to": 1_706_003_600, "stepSeconds": 60,
    "points": [{"at": 1_706_000_000, "totalSamples": 8_040_000_000_i64,
                "function": {"selfPercent": 34.2, "selfSamples": 2_749_680_000_i64, "totalSamples": 3_433_080_000_i64, "totalPercent": 42.7}}]
}))]
struct SeriesBody<'q> {
    app_name: &'q str,
    /// The kind of profile, by its canonical name.
    profile_type: &'static str,
    /// The sample type that was read. Null if the app has no profile of this kind.
    sample_type: Option<&'q str>,
    /// The unit of ticks, such as `nanoseconds` or `bytes`.
    unit: Option<&'q str>,
    /// When the window starts, in seconds since 1970. A step begins there.
    from: i64,
    /// The window's end, exclusive, in seconds since 1970.
    to: i64,
    /// How long a step is, in seconds.
    step_seconds: i64,
    /// The steps that have profiles, in order of time.
    points: Vec<Point>,
}

impl<'q> SeriesBody<'q> {
    fn of(query: &'q ProfileQuery, width: StepWidth, meta: &'q ProfileMeta, points: Vec<Point>) -> Self {
        let window: TimeWindow = query.window;
        Self {
            app_name: query.app.as_str(),
            profile_type: query.kind.as_str(),
            sample_type: meta.sample_type.as_ref().map(|t| t.name.as_str()),
            unit: meta.sample_type.as_ref().map(|t| t.unit.as_str()),
            from: window.from().timestamp(),
            to: window.to().timestamp(),
            step_seconds: width.get().num_seconds(),
            points,
        }
    }
}

/// One step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileSeriesPoint)]
struct Point {
    /// When the step begins, in seconds since 1970.
    at: i64,
    /// All ticks of the step.
    total_samples: i64,
    /// The function that is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionPoint>,
    /// The category that is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<CategoryPoint>,
}

impl Point {
    fn of(at: DateTime<Utc>, total_samples: i64) -> Self {
        Self { at: at.timestamp(), total_samples, function: None, category: None }
    }
}

/// A function in one step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileSeriesFunction)]
struct FunctionPoint {
    /// The share of all ticks in stacks that end in the function, 0–100.
    self_percent: f64,
    /// The ticks of stacks that end in the function.
    self_samples: i64,
    /// The ticks of stacks that contain the function, each stack once.
    total_samples: i64,
    /// The share of all ticks in stacks that contain the function, 0–100.
    total_percent: f64,
}

/// A category in one step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileSeriesCategory)]
struct CategoryPoint {
    /// The category's share of the active ticks, 0–100. For `idle` and `profiler_overhead`: its share of all ticks.
    percent: f64,
    /// The category's ticks.
    samples: i64,
    /// The share of the same ticks whose stacks have the category anywhere, 0–100.
    inclusive_percent: f64,
    /// The ticks whose stacks have the category anywhere.
    inclusive_samples: i64,
}
