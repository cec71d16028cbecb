//! The calls to one Pyroscope server.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use url::Url;

use super::millis_window::MillisWindow;
use super::refusal::{Refusal, refusal_of};
use super::settings::{Credentials, InvalidSource, PyroscopeSettings};
use crate::http::{NoAnswer, Outward, OutwardSettings, TENANT_HEADER};
use crate::kernel::{Call, PortError, Tenant};
use crate::profile::{
    FunctionId, LimitName, PprofFile, Profile, ReadError, ReadLimits, is_compressed, read_flamebearer, read_pprof,
};
use crate::sor::profile_data::proto::querier::v1::{
    SelectMergeProfileRequest, SelectSeriesRequest, SelectSeriesResponse, SeriesRequest, SeriesResponse,
};
use crate::sor::profile_data::type_id::TypeId;
use crate::sor::profile_data::within::{NotRead, ReadBudget, run};
use crate::telemetry::span;
use crate::upstream::{CallOutcome, Limiter};

/// Uncompressed answers up to this size, which most are, are read on the thread where they arrive. That takes 2 ms at
/// most, and passing one to another thread would add a quarter to it. Larger answers would delay other requests, and
/// compressed ones may inflate to any size.
const SMALL_BYTES: usize = 1 << 20;
/// An answer with more frames than this is read on another thread, however few bytes it has: a few bytes can stand for
/// very many frames.
const SMALL_FRAMES: u64 = 1 << 20;
/// The same limit in a scan. A scan gets dozens of answers at once, which would wait for one another.
const SMALL_IN_SCAN: usize = 16 << 10;
/// How many nodes of a flame graph are asked for where there is no exact data.
const FLAME_GRAPH_NODES: u32 = 65_536;
/// How version 1 says "no data": a pprof with one empty sample type and one empty text.
const NO_DATA: &[u8] = &[0x0a, 0x00, 0x32, 0x00, 0x5a, 0x00];
/// Without this header, servers leave out labels whose names contain dots.
const ALL_LABEL_NAMES: &str = "*/*; allow-utf8-labelnames=true";

/// The profile of one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    /// The stacks, with at most one sample type.
    pub profile: Profile,
    /// The ticks of stacks that the server cut off.
    pub truncated_ticks: i64,
}

/// What one call asks for: profiles of one type, of some series, in one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The tenant; `None` for the configured one.
    pub tenant: Option<&'a Tenant>,
    /// The type.
    pub id: &'a TypeId,
    /// The whole selector, with the app.
    pub selector: &'a str,
    /// The window, or a part of it.
    pub span: MillisWindow,
}

/// Makes the calls and tells answers from refusals. Each call is made for the tenant it names, or else for the
/// configured one.
#[derive(Debug)]
pub(super) struct Client {
    outward: Outward,
    tenant: Option<HeaderValue>,
    limiter: Arc<Limiter>,
    /// Memory for reading large answers.
    reads: ReadBudget,
    series: Url,
    merge: Url,
    totals: Url,
    render: Url,
}

impl Client {
    pub(super) fn new(settings: &PyroscopeSettings) -> Result<Self, InvalidSource> {
        let tenant = settings.tenant.as_ref().map(|tenant| {
            let mut value = HeaderValue::from_str(tenant.expose_secret()).map_err(|_| InvalidSource::Tenant)?;
            value.set_sensitive(true);
            Ok::<_, InvalidSource>(value)
        });
        let outward = Outward::new(OutwardSettings {
            base: settings.url.clone(),
            timeout: settings.timeout,
            max_answer_bytes: settings.max_answer_bytes,
            authorization: settings.credentials.as_ref().map(Credentials::header).transpose()?,
        })?;
        let limits = ReadLimits { body: settings.max_answer_bytes as u64, ..ReadLimits::default() };
        let querier = |method| outward.url(["querier.v1.QuerierService", method]);
        Ok(Self {
            series: querier("Series"),
            merge: querier("SelectMergeProfile"),
            totals: querier("SelectSeries"),
            render: outward.url(["pyroscope", "render"]),
            tenant: tenant.transpose()?,
            limiter: Arc::default(),
            reads: ReadBudget { budget: settings.budget.clone(), limits, patience: settings.timeout },
            outward,
        })
    }

    /// The label sets that exist.
    pub(super) async fn series(
        &self,
        call: &Call,
        tenant: Option<&Tenant>,
        request: &SeriesRequest,
        selected: bool,
    ) -> Result<SeriesResponse, Refusal> {
        let request = self.message(tenant, &self.series, request).header(ACCEPT, ALL_LABEL_NAMES);
        decode(self.send(call, request, selected).await?)
    }

    /// Totals over time: one point every so many seconds, grouped by labels.
    pub(super) async fn totals(
        &self,
        call: &Call,
        piece: Piece<'_>,
        labels: &[&str],
        step: f64,
    ) -> Result<SelectSeriesResponse, Refusal> {
        let request = SelectSeriesRequest {
            profile_type_id: piece.id.to_string(),
            label_selector: piece.selector.to_owned(),
            start: piece.span.start_ms,
            end: piece.span.end_ms,
            group_by: labels.iter().map(|label| (*label).to_owned()).collect(),
            step,
            ..SelectSeriesRequest::default()
        };
        decode(self.send(call, self.message(piece.tenant, &self.totals, &request), true).await?)
    }

    /// All profiles of a window merged into one. Nothing is left out.
    pub(super) async fn merge(&self, call: &Call, piece: Piece<'_>) -> Result<Read, Refusal> {
        let request = SelectMergeProfileRequest {
            profile_type_id: piece.id.to_string(),
            label_selector: piece.selector.to_owned(),
            start: piece.span.start_ms,
            end: piece.span.end_ms,
            ..SelectMergeProfileRequest::default()
        };
        let body = self.send(call, self.message(piece.tenant, &self.merge, &request), true).await?;
        if is_no_data(&body) {
            return Ok(Read::default());
        }
        let sample_type = piece.id.sample_type.clone();
        self.read(call, body, move |body, limits| read_pprof(body, limits).map(|file| exact(file, &sample_type))).await
    }

    /// The same as a flame graph, in which the server has summed small nodes under `other`.
    pub(super) async fn render(&self, call: &Call, piece: Piece<'_>) -> Result<Read, Refusal> {
        let Piece { tenant, id, selector, span } = piece;
        let (nodes, start, end) = (FLAME_GRAPH_NODES.to_string(), span.start_ms.to_string(), span.end_ms.to_string());
        let mut url = self.render.clone();
        url.query_pairs_mut()
            .append_pair("query", &format!("{id}{selector}"))
            .append_pair("from", &start)
            .append_pair("until", &end)
            .append_pair("max-nodes", &nodes);
        let body = self.send(call, self.for_tenant(tenant, self.outward.request(Method::GET, url)), true).await?;
        self.read(call, body, |body, limits| {
            read_flamebearer(body, limits)
                .map(|file| Read { profile: file.profile, truncated_ticks: file.truncated_ticks })
        })
        .await
    }

    /// Reads a small answer at once. A large one is read on the threads for heavy work, once there is memory for it.
    async fn read(
        &self,
        call: &Call,
        body: Bytes,
        read: impl Fn(&[u8], &ReadLimits) -> Result<Read, ReadError> + Clone + Send + 'static,
    ) -> Result<Read, Refusal> {
        let refused = |error: NotRead| match error {
            NotRead::Bad(error) => {
                let unavailable = PortError::Unavailable(format!("the source's answer: {error}"));
                if error.is_limit() { Refusal::TooMuch(unavailable) } else { unavailable.into() }
            }
            NotRead::Busy => PortError::Timeout("waiting for memory to read the answer".to_owned()).into(),
            NotRead::Lost(error) => error.into(),
        };
        if body.len() <= SMALL_BYTES && !is_compressed(&body) {
            let few = ReadLimits { frames: SMALL_FRAMES.min(self.reads.limits.frames), ..self.reads.limits };
            let done = if call.is_scan() && body.len() > SMALL_IN_SCAN {
                run(body.clone(), few, read.clone()).await.map_err(refused)?
            } else {
                read(&body, &few)
            };
            match done {
                Err(ReadError::Limit { limit: LimitName::Frames, .. }) => {}
                done => return done.map_err(NotRead::Bad).map_err(refused),
            }
        }
        self.reads.read(body, 0, None, read).await.map(|(_permit, read)| read).map_err(refused)
    }

    fn for_tenant(&self, tenant: Option<&Tenant>, request: RequestBuilder) -> RequestBuilder {
        match (tenant, &self.tenant) {
            (Some(tenant), _) => request.header(TENANT_HEADER, tenant.as_str()),
            (None, Some(configured)) => request.header(TENANT_HEADER, configured),
            (None, None) => request,
        }
    }

    fn message(&self, tenant: Option<&Tenant>, url: &Url, message: &impl Message) -> RequestBuilder {
        self.for_tenant(tenant, self.outward.request(Method::POST, url.clone()))
            .header(CONTENT_TYPE, "application/proto")
            .body(message.encode_to_vec())
    }

    /// Sends a request once the source takes another call. Sends it a second time if the connection broke.
    async fn send(&self, call: &Call, request: RequestBuilder, selected: bool) -> Result<Bytes, Refusal> {
        span("pyroscope.query", "", self.send_in_turn(call, request, selected)).await
    }

    async fn send_in_turn(&self, call: &Call, request: RequestBuilder, selected: bool) -> Result<Bytes, Refusal> {
        let permit = self.limiter.enter(call).await;
        let second = request.try_clone();
        let mut answer = self.outward.fetch(call, request).await;
        if let (Err(NoAnswer::Broken(text)), Some(second)) = (&answer, second) {
            tracing::debug!(%text, "asking the source of profiles again");
            answer = self.outward.fetch(call, second).await;
        }
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                permit.end(CallOutcome::Answered);
                Ok(answer.body)
            }
            Ok(answer) => {
                let busy = matches!(answer.status.as_u16(), 429 | 503 | 504);
                permit.end(if busy { CallOutcome::Busy } else { CallOutcome::Unknown });
                Err(refusal_of(&answer, selected))
            }
            Err(error) => {
                let (outcome, refusal): (_, fn(PortError) -> Refusal) = match error {
                    NoAnswer::Timeout(_) => (CallOutcome::Busy, Refusal::TooMuch),
                    NoAnswer::TooLarge { .. } => (CallOutcome::Unknown, Refusal::TooMuch),
                    NoAnswer::Broken(_) | NoAnswer::GivenUp(_) => (CallOutcome::Unknown, Refusal::Final),
                };
                permit.end(outcome);
                Err(refusal(error.into()))
            }
        }
    }
}

/// "No data" is an empty body, an empty pprof or, behind some proxies, an empty JSON object.
fn is_no_data(body: &[u8]) -> bool {
    body.is_empty() || body == NO_DATA || body.trim_ascii() == b"{}"
}

fn decode<M: Message + Default>(body: Bytes) -> Result<M, Refusal> {
    // Some servers answer "nothing" with an empty JSON object.
    if body.trim_ascii() == b"{}" {
        return Ok(M::default());
    }
    M::decode(body).map_err(|e| PortError::Unavailable(format!("the source's answer is no message: {e}")).into())
}

/// The requested sample type of an exact answer, which holds no other. A server may be configured to truncate exact
/// answers too. What it truncated is a leaf `other` without a file, among functions that have files.
fn exact(file: PprofFile, sample_type: &str) -> Read {
    let types = file.profile.sample_types();
    let asked = types.iter().position(|t| t.name.eq_ignore_ascii_case(sample_type)).unwrap_or(0);
    let profile = if types.len() == 1 { file.profile } else { file.profile.only(asked) };
    let truncated_ticks = truncated_ticks(&profile);
    Read { profile, truncated_ticks }
}

fn truncated_ticks(profile: &Profile) -> i64 {
    let is_other = |id: &FunctionId| profile.name(*id) == "other" && profile.function(*id).1.is_empty();
    let Some(other) = profile.function_ids().find(is_other) else { return 0 };
    if profile.function_ids().all(|id| profile.function(id).1.is_empty()) {
        return 0;
    }
    let cut = profile.stacks().filter(|stack| stack.frames.first() == Some(&other));
    cut.fold(0, |sum: i64, stack| sum.saturating_add(stack.values.first().copied().unwrap_or(0)))
}
