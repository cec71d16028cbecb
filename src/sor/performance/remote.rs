//! Operations kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use chrono::SecondsFormat;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use uuid::Uuid;

use super::domain::{Metric, MetricBatch, NewMetric, RecordedBatch, RecordedMetric};
use super::otlp::{self, ExportOutcome, SentTraces, TraceExport};
use super::port::OperationSor;
use super::spans::{BegunSpan, EndedSpan, NewSpan, SpanEnd, TracePage, TraceQuery};
use super::tree::Trace;
use super::wire::{NewMetricBody, NewMetricsBody, TracesBody};
use crate::http::{Code, Cursor, IDEMPOTENCY_KEY, Outward, Peer, Repeatable};
use crate::kernel::{Call, PortError, PortResult, Text255};

pub(super) struct RemoteOperations {
    metrics: Peer,
    spans: Peer,
    traces: Peer,
}

impl RemoteOperations {
    pub(super) fn new(outward: Outward) -> Self {
        Self {
            metrics: Peer::new(outward.clone(), Code::MetricUnknown),
            spans: Peer::new(outward.clone(), Code::SpanUnknown),
            traces: Peer::new(outward, Code::TraceUnknown),
        }
    }
}

/// Whether a recording may be sent again, and the request with its key.
fn keyed(key: Option<Uuid>) -> (Repeatable, impl Fn(RequestBuilder) -> RequestBuilder) {
    let repeatable = if key.is_some() { Repeatable::Yes } else { Repeatable::No };
    (repeatable, move |request| {
        key.iter().fold(request, |request, key| request.header(IDEMPOTENCY_KEY, key.to_string()))
    })
}

#[async_trait]
impl OperationSor for RemoteOperations {
    async fn record(&self, call: &Call, metric: NewMetric, key: Option<Uuid>) -> PortResult<RecordedMetric> {
        let (body, (repeatable, with_key)) = (NewMetricBody::from(&metric), keyed(key));
        let request = |outward: &Outward| {
            with_key(outward.request(Method::POST, outward.url(["performance", "metrics"])).json(&body))
        };
        self.metrics.written(call, repeatable, request).await
    }

    async fn record_all(&self, call: &Call, batch: MetricBatch, key: Option<Uuid>) -> PortResult<RecordedBatch> {
        let (body, (repeatable, with_key)) = (NewMetricsBody::from(&batch), keyed(key));
        let request = |outward: &Outward| {
            with_key(outward.request(Method::POST, outward.url(["performance", "metrics", "batch"])).json(&body))
        };
        let recorded: RecordedBatch = self.metrics.written(call, repeatable, request).await?;
        // The other server knows places in what it was sent.
        let place = |index: usize| batch.metrics.get(index).map_or(index, |(place, _)| *place);
        let there = recorded
            .rejected
            .into_iter()
            .map(|rejected| super::RejectedMetric { index: place(rejected.index), ..rejected });
        let mut rejected: Vec<_> = batch.rejected.into_iter().chain(there).collect();
        rejected.sort_by_key(|rejected| rejected.index);
        Ok(RecordedBatch { rejected, ..recorded })
    }

    async fn record_export(&self, call: &Call, export: TraceExport) -> PortResult<ExportOutcome> {
        let SentTraces { encoding, gzip, body } = export.sent;
        let request = |outward: &Outward| {
            let request = outward.request(Method::POST, outward.url(["v1", "traces"])).body(body.clone());
            let request = request.header(CONTENT_TYPE, otlp::content_type(encoding));
            if gzip { request.header(CONTENT_ENCODING, "gzip") } else { request }
        };
        let answer = self.metrics.bytes(call, Repeatable::Yes, request).await?;
        let outcome = answer.and_then(|answer| ExportOutcome::decode(&answer, encoding));
        outcome.ok_or_else(|| PortError::Unavailable("the answer is not understood".to_owned()))
    }

    async fn metric(&self, call: &Call, id: i64) -> PortResult<Option<Metric>> {
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "metrics", &id.to_string()]));
        self.metrics.read(call, Repeatable::Yes, request).await
    }

    async fn begin_span(&self, call: &Call, span: NewSpan) -> PortResult<BegunSpan> {
        let request =
            |outward: &Outward| outward.request(Method::POST, outward.url(["performance", "spans"])).json(&span);
        self.spans.written(call, Repeatable::No, request).await
    }

    async fn end_span(&self, call: &Call, id: &Text255, end: SpanEnd) -> PortResult<Option<EndedSpan>> {
        let request = |outward: &Outward| {
            outward.request(Method::PUT, outward.url(["performance", "spans", id.as_str(), "end"])).json(&end)
        };
        self.spans.read(call, Repeatable::No, request).await
    }

    async fn traces(&self, call: &Call, query: &TraceQuery) -> PortResult<TracePage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, TraceQuery::MAX_LIMIT).to_string())];
        for (name, time) in [("from", Some(query.from)), ("to", query.to)] {
            parameters.extend(time.map(|time| (name, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
        }
        parameters.extend(query.operation_type.as_ref().map(|kind| ("operationType", kind.to_string())));
        parameters.extend(query.scope.as_ref().map(|scope| ("scope", scope.to_string())));
        parameters.extend(query.status.map(|status| ("status", status.as_str().to_owned())));
        parameters.extend(query.min_duration.map(|least| ("minDurationUs", least.get().to_string())));
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "traces"])).query(&parameters);
        let body: TracesBody = self.traces.written(call, Repeatable::Yes, request).await?;
        Ok(TracePage { entries: body.traces, next: Cursor::next(body.next_cursor)? })
    }

    async fn trace(&self, call: &Call, id: &Text255) -> PortResult<Option<Trace>> {
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "traces", id.as_str()]));
        self.traces.read(call, Repeatable::Yes, request).await
    }
}
