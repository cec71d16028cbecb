//! Fetches merged profiles: in one call if the server allows it, or else in pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use moka::future::Cache;
use tokio::time::Instant;

use super::client::{Client, Piece, Read};
use super::millis_window::MillisWindow;
use super::refusal::Refusal;
use crate::kernel::{Call, Clock, PortError, PortResult, Tenant, TimeWindow, offload};
use crate::profile::{Profile, ProfileBuilder, SampleType, merge};
use crate::sor::profile_data::domain::halved;
use crate::sor::profile_data::exchange::under;
use crate::sor::profile_data::type_id::TypeId;
use crate::upstream::{Flights, is_closed};

/// How many times a window is halved before a flame graph is asked for instead.
const HALVINGS: u32 = 3;
/// How many pieces of one query are fetched at the same time.
const AT_ONCE: usize = 2;
/// How long a server is taken to have no exact data.
const LACKS: TimeDelta = TimeDelta::minutes(10);

/// What to fetch: the types whose values are summed, and the series that a selector matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// The tenant; `None` for the configured one.
    pub tenant: Option<Tenant>,
    /// The types. All have the same unit.
    pub ids: Arc<[TypeId]>,
    /// The whole selector, with the app.
    pub selector: Arc<str>,
    /// The window.
    pub window: TimeWindow,
    /// How the window is read.
    pub cut: Cut,
}

/// How a window is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cut {
    /// With one call if the server allows it.
    Nowhere,
    /// In two calls that add up to the whole window, so that its first half can be told apart.
    InHalves,
}

/// What was fetched.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    /// The merged stacks, with the sample type of the first ID. A window read in halves has a second sample type with
    /// the values of its first half, if both halves have data and are complete.
    pub profile: Arc<Profile>,
    /// Ticks of stacks that the server truncated.
    pub truncated_ticks: i64,
}

/// Fetches profiles. Identical queries at the same time share one request, and closed windows are cached.
pub(super) struct Fetcher {
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    closed: Cache<Wanted, Fetched>,
    flights: Flights<Wanted, Fetched>,
    /// Until when, in milliseconds since the epoch, the server is taken to have no exact data.
    lacks_until_ms: AtomicI64,
}

impl Fetcher {
    pub(super) fn new(client: Arc<Client>, clock: Arc<dyn Clock>, timeout: Duration, cache_bytes: u64) -> Self {
        let closed = Cache::builder()
            .max_capacity(cache_bytes)
            .weigher(|_, fetched: &Fetched| u32::try_from(weight(&fetched.profile)).unwrap_or(u32::MAX))
            .build();
        Self { client, clock, timeout, closed, flights: Flights::default(), lacks_until_ms: AtomicI64::new(0) }
    }

    /// All profiles of the types and the window, merged. If there is no data: a profile without stacks.
    pub(super) async fn fetch(self: &Arc<Self>, call: &Call, wanted: Wanted) -> PortResult<Fetched> {
        let closed = is_closed(wanted.window, self.clock.now());
        if closed && let Some(fetched) = self.closed.get(&wanted).await {
            return Ok(fetched);
        }
        let begin = |call: Call| {
            let (this, wanted) = (Arc::clone(self), wanted.clone());
            async move { this.fetch_now(&call, &wanted, closed).await }.boxed()
        };
        self.flights.join(call, &wanted, begin).await
    }

    async fn fetch_now(&self, call: &Call, wanted: &Wanted, closed: bool) -> PortResult<Fetched> {
        let deadline = Instant::now() + self.timeout;
        let span = MillisWindow::of(wanted.window);
        let spans = match wanted.cut {
            Cut::Nowhere => vec![span],
            Cut::InHalves => span.halves(),
        };
        let mut types = Vec::with_capacity(wanted.ids.len() * spans.len());
        for id in wanted.ids.iter() {
            for (half, span) in spans.iter().enumerate() {
                let piece = Piece { tenant: wanted.tenant.as_ref(), id, selector: &wanted.selector, span: *span };
                let reads = self.piece(call, piece, 0);
                types.push(async move { Ok::<_, PortError>((half, reads.await?)) });
            }
        }
        let reading = futures::stream::iter(types).buffered(AT_ONCE).try_collect::<Vec<_>>();
        let pieces = tokio::time::timeout_at(deadline, reading)
            .await
            .map_err(|_| PortError::Timeout(format!("the source took longer than {:?}", self.timeout)))??;
        let sample_type = wanted.ids.first().map_or_else(|| SampleType::new("", ""), TypeId::values);
        let mut halves = [Vec::new(), Vec::new()];
        for (half, pieces) in pieces {
            if let Some(reads) = halves.get_mut(half) {
                reads.extend(pieces);
            }
        }
        let fetched = combine(halves, sample_type).await?;
        // An empty answer is not cached: a server that is starting, or whose retention has passed, answers with nothing
        // too.
        if closed && fetched.profile.stack_count() > 0 {
            self.closed.insert(wanted.clone(), fetched.clone()).await;
        }
        Ok(fetched)
    }

    /// Fetches a piece: in one call; by days if the server allows no more; by halves if it is too much. If even those
    /// are, or if there is no exact data, as a flame graph.
    fn piece<'a>(&'a self, call: &'a Call, piece: Piece<'a>, halvings: u32) -> BoxFuture<'a, PortResult<Vec<Read>>> {
        let span = piece.span;
        async move {
            match self.read(call, piece).await {
                Ok(read) => Ok(vec![read]),
                Err(Refusal::TooLong(_)) if span.days().len() > 1 => {
                    self.pieces(call, piece, span.days(), halvings).await
                }
                Err(Refusal::TooLong(_) | Refusal::TooMuch(_)) if halvings < HALVINGS && span.halves().len() > 1 => {
                    self.pieces(call, piece, span.halves(), halvings + 1).await
                }
                Err(Refusal::TooMuch(error)) => {
                    tracing::info!(%error, "too much for exact data, asking for a flame graph");
                    let read = self.client.render(call, piece).await.map_err(Refusal::into_error)?;
                    Ok(vec![read])
                }
                Err(refusal) => Err(refusal.into_error()),
            }
        }
        .boxed()
    }

    /// The same for each of these windows.
    async fn pieces(
        &self,
        call: &Call,
        piece: Piece<'_>,
        spans: Vec<MillisWindow>,
        halvings: u32,
    ) -> PortResult<Vec<Read>> {
        let pieces: Vec<_> =
            spans.into_iter().map(|span| self.piece(call, Piece { span, ..piece }, halvings)).collect();
        let reads: Vec<Vec<Read>> = futures::stream::iter(pieces).buffered(AT_ONCE).try_collect().await?;
        Ok(reads.into_iter().flatten().collect())
    }

    /// Exact data, or a flame graph from a server that has none. A server is only taken to have none if it answers with
    /// a flame graph: one that has neither is a proxy whose server is away, or a wrong path.
    async fn read(&self, call: &Call, piece: Piece<'_>) -> Result<Read, Refusal> {
        let now_ms = self.clock.now().timestamp_millis();
        let mut lacks = None;
        if now_ms >= self.lacks_until_ms.load(Ordering::Relaxed) {
            match self.client.merge(call, piece).await {
                Err(Refusal::Lacks(text)) => lacks = Some(text),
                answer => return answer,
            }
        }
        let read = self.client.render(call, piece).await?;
        if let Some(text) = lacks {
            tracing::warn!(%text, "the source of profiles has no exact data, reading flame graphs");
            self.lacks_until_ms.store(now_ms + LACKS.num_milliseconds(), Ordering::Relaxed);
        }
        Ok(read)
    }
}

/// The size of a profile in memory, in bytes, roughly.
pub(in crate::sor::profile_data) fn weight(profile: &Profile) -> usize {
    let names: usize =
        profile.function_ids().map(|id| profile.name(id).len() + profile.function(id).1.len() / 4 + 16).sum();
    names + profile.frame_count() * 4 + profile.stack_count() * (4 + 8 * profile.sample_types().len()) + 256
}

/// Sums the pieces of a first and a second half. The first is kept apart if both have data and nothing was truncated.
async fn combine(halves: [Vec<Read>; 2], sample_type: SampleType) -> PortResult<Fetched> {
    let all = halves.iter().flatten();
    let truncated_ticks = all.fold(0, |sum: i64, read| sum.saturating_add(read.truncated_ticks));
    let [first, second] = halves.map(|mut reads| {
        reads.retain(|read| read.profile.stack_count() > 0);
        reads
    });
    let apart = truncated_ticks == 0 && !first.is_empty() && !second.is_empty();
    let halves = first.into_iter().map(|read| (read, 1)).chain(second.into_iter().map(|read| (read, 0)));
    let mut reads: Vec<_> = halves.collect();
    let profile = match reads.pop() {
        None => ProfileBuilder::new(vec![sample_type]).build(),
        Some((only, _)) if reads.is_empty() => under(only.profile, &sample_type),
        Some(last) => {
            reads.push(last);
            let read = move |(read, in_first): (Read, i64)| {
                if !apart {
                    return under(read.profile, &sample_type);
                }
                read.profile.under(halved(sample_type.clone()), |values| {
                    let value = values.first().copied().unwrap_or(0);
                    [value, value * in_first]
                })
            };
            let sum = move || {
                let profiles: Vec<_> = reads.into_iter().map(read).collect();
                merge(&profiles).map_err(|e| PortError::Unavailable(format!("the source's answers: {e}")))
            };
            offload("merging profiles", sum).await??
        }
    };
    Ok(Fetched { profile: Arc::new(profile), truncated_ticks })
}
