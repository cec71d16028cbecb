//! The export of stacks.

use actix_web::HttpResponse;
use actix_web::http::header::{self, ContentEncoding, HeaderValue};
use chrono::SecondsFormat;

use super::params::{ExportFormat, ExportParams, ProfileErrors, Step};
use super::{Now, Port, Series, Source, compute, internal, merged, pair, query};
use crate::http::{Code, PathParam, Problem, Query, TenantHeader, window, windows};
use crate::kernel::{AppName, Call, NoDataReason, TimeWindow, percent_of, round2};
use crate::profile::{Profile, ProfileBuilder, SampleType, write_flamebearer, write_folded, write_speedscope};
use crate::sor::profile_data::domain::{MergedProfile, ProfileMeta};
use crate::sor::profile_data::exchange::{write_one, write_pair, write_steps};
use crate::sor::profile_data::timeline::Timeline;

/// Export the merged stacks
///
/// The window's merged stacks in a format that other tools read; by default gzip pprof, with file names. Without data it has
/// no samples. `folded` is text with a stack and its value on each line, which does not say its unit: CPU is nanoseconds.
/// `flamebearer` is the JSON of Pyroscope's flame graphs, `speedscope` the JSON of that viewer. Of these three, only `speedscope` has file names, and only the pprof says in a
/// comment what is known about the profile beyond its stacks. With a baseline, which takes pprof only, both windows are in
/// one pprof and have the same sample type: the first values are the baseline's and the last are the current window's.
/// If there are three, the middle ones are the part of the baseline in the first half of its window. With `step`, which takes
/// pprof only too, samples say in the label `step` when their step began, so that `go tool pprof -tagroot=step` shows
/// them one after another.
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
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn export_profile(
    port: Port,
    call: Call,
    clock: Now,
    app: PathParam<AppName>,
    params: Query<ExportParams>,
    tenant: TenantHeader,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let format = params.format.unwrap_or_default();
    let paired = (params.baseline_from, params.baseline_to) != (None, None) || params.baseline_selector.is_some();
    if paired && format != ExportFormat::Pprof {
        let why = "two windows are exported as pprof only: leave format out, or leave the baseline out";
        return Err(Problem::field(Code::ParameterInvalid, "format", why));
    }
    if params.step.is_some() && (paired || format != ExportFormat::Pprof) {
        let why =
            "steps are exported as pprof and without a baseline: leave format and baseline out, or leave step out";
        return Err(Problem::field(Code::ParameterInvalid, "step", why));
    }
    if params.stacks.is_some() && params.step.is_none() {
        let why = "only steps are exported without their stacks: give step too, or leave stacks out";
        return Err(Problem::field(Code::ParameterInvalid, "stacks", why));
    }
    let (baseline_window, window) = if paired {
        let baseline = (params.baseline_from, params.baseline_to);
        windows(baseline, (params.from, params.to), clock.now()).map(|(before, now)| (Some(before), now))?
    } else {
        (None, window(params.from, params.to, &**clock)?)
    };
    let width = params.step.map(Step::width).transpose()?;
    let window = width.map_or(window, |width| width.widened(window));
    let series = Series {
        selector: params.selector,
        baseline: params.baseline_selector,
        labels: params.labels,
        tenant: tenant.into_inner(),
    };
    let (query, baseline_selector) = query(app.into_inner(), params.kind, window, series);
    let source = Source { port: &port, call: &call, now: &clock };
    let read = match (baseline_window, width) {
        (Some(baseline_window), _) => {
            Exported::Pair(Box::new(pair(source, &query, baseline_window, &baseline_selector).await?))
        }
        (None, None) => Exported::One(merged(source, &query).await?),
        (None, Some(width)) if params.stacks == Some(false) => {
            Exported::Steps(without_stacks(source.totals(&query, width).await?))
        }
        (None, Some(width)) => Exported::Steps(source.stacks(&query, width).await?),
    };
    let about = headers(&read);
    let (content_type, extension) = format.file();
    let file: String = query
        .app
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect();
    let disposition = format!("attachment; filename=\"{file}-{}.{extension}\"", query.kind);
    let name = format!("{} {}", query.app, query.kind);
    let written = move || read.write(format, window, &name).map_err(|e| internal(&e.to_string()));
    let body = compute(true, written).await?;
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

/// What is exported.
enum Exported {
    One(MergedProfile),
    /// The baseline, then the current window.
    Pair(Box<(MergedProfile, MergedProfile)>),
    Steps(Timeline<Profile>),
}

impl Exported {
    fn meta(&self) -> &ProfileMeta {
        match self {
            Self::One(merged) => &merged.meta,
            Self::Pair(pair) => &pair.1.meta,
            Self::Steps(timeline) => &timeline.meta,
        }
    }

    fn total(&self) -> i64 {
        match self {
            Self::One(merged) => merged.profile.total(0),
            Self::Pair(pair) => pair.1.profile.total(0),
            Self::Steps(Timeline { steps, .. }) => {
                steps.iter().fold(0, |sum: i64, (_, profile)| sum.saturating_add(profile.total(0)))
            }
        }
    }

    fn write(self, format: ExportFormat, window: TimeWindow, name: &str) -> Result<Vec<u8>, serde_json::Error> {
        match (self, format) {
            (Self::Steps(timeline), _) => write_steps(timeline, window),
            (Self::Pair(pair), _) => write_pair(&pair.0, &pair.1, window),
            (Self::One(merged), ExportFormat::Pprof) => write_one(&merged, window),
            (Self::One(merged), ExportFormat::Folded) => Ok(write_folded(&merged.profile, 0)),
            (Self::One(merged), ExportFormat::Flamebearer) => write_flamebearer(&merged.profile, 0),
            (Self::One(merged), ExportFormat::Speedscope) => write_speedscope(&merged.profile, 0, name),
        }
    }
}

/// Each total as a profile of one sample without frames.
fn without_stacks(Timeline { meta, steps }: Timeline<i64>) -> Timeline<Profile> {
    let sample_type = meta.sample_type.clone().unwrap_or_else(|| SampleType::new("samples", "count"));
    let profile = |total| {
        let mut builder = ProfileBuilder::new(vec![sample_type.clone()]);
        builder.add([], &[total]);
        builder.build()
    };
    Timeline { steps: steps.into_iter().map(|(at, total)| (at, profile(total))).collect(), meta }
}

/// What the headers of an export say of the profile. Its comment says the same and more, and is what another Flamewarden
/// reads.
fn headers(read: &Exported) -> Vec<(&'static str, String)> {
    let ProfileMeta { profile_types, truncated_ticks, kinds, no_data, last_profile_at, .. } = read.meta();
    let truncated = percent_of(*truncated_ticks, read.total());
    let kinds = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
    let always = [("x-profile-types", profile_types.join(",")), ("x-truncated-percent", round2(truncated).to_string())];
    let known = [
        ("x-profile-kinds", Some(kinds).filter(|kinds| !kinds.is_empty())),
        ("x-no-data-reason", no_data.map(|reason| reason.to_string())),
        ("x-last-profile-at", last_profile_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
    ];
    always.into_iter().chain(known.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
}
