//! Limits of how many traces are received at the same time.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::http::{BodyMemory, NoBody, RawBody};
use crate::sor::performance::otlp::MOST_BYTES;

/// How many traces are received at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceIntakeLimits {
    /// The most bytes of bodies in memory.
    pub bodies: usize,
    /// How many requests are decoded and recorded at once. Others wait, with their bodies in memory.
    pub at_once: usize,
    /// How long a request waits for its turn.
    pub patience: Duration,
}

impl Default for TraceIntakeLimits {
    fn default() -> Self {
        Self { bodies: 64 << 20, at_once: 4, patience: Duration::from_secs(5) }
    }
}

/// Receives traces within these limits; one for the whole process.
#[derive(Debug)]
pub struct TraceIntake {
    bodies: BodyMemory,
    turns: Semaphore,
    patience: Duration,
}

impl Default for TraceIntake {
    fn default() -> Self {
        Self::new(TraceIntakeLimits::default())
    }
}

impl TraceIntake {
    /// With these limits.
    pub fn new(limits: TraceIntakeLimits) -> Self {
        let TraceIntakeLimits { bodies, at_once, patience } = limits;
        Self { bodies: BodyMemory::new(bodies), turns: Semaphore::new(at_once), patience }
    }

    /// Reads a body.
    pub(super) async fn body(&self, headers: &HeaderMap, payload: web::Payload) -> Result<RawBody, NoBody> {
        self.bodies.read(headers, payload, MOST_BYTES as u64).await
    }

    /// Waits for a turn to decode and record a request.
    pub(in crate::sor::performance) async fn turn(&self) -> Result<SemaphorePermit<'_>, NoBody> {
        let turn = timeout(self.patience, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(NoBody::Busy)
    }
}
