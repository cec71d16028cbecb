//! Reads bodies up to a limit and inflates them within a budget.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use bytes::Bytes;

use super::super::within::ReadBudget;
use super::refused::Refused;
use crate::http::{BodyMemory, BodyRoom, RawBody, is_gzip};
use crate::profile::{Budget, Permit, ReadError, ReadLimits, gunzip};

/// The largest size of all bodies in memory at the same time, in bytes.
const BODIES: usize = 128 << 20;

/// How long a push waits for memory to inflate it in.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory for bodies.
#[derive(Debug)]
pub(super) struct Intake {
    reads: ReadBudget,
    bodies: BodyMemory,
}

/// A body, and the memory that is reserved for it.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Memory for the inflated bytes, if the body was compressed.
    permit: Option<Permit>,
    _room: BodyRoom,
}

impl Body {
    fn held(&self) -> u64 {
        self.permit.as_ref().map_or(0, Permit::bytes)
    }
}

/// A profile in a body.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Bytes of the budget that other parts of the same body have taken.
    pub(super) held: u64,
}

impl Intake {
    /// Limits what a process has inflated at the same time, by its budget.
    pub(super) fn new(budget: Budget) -> Self {
        let reads = ReadBudget { budget, limits: ReadLimits::default(), patience: PATIENCE };
        Self { reads, bodies: BodyMemory::new(BODIES) }
    }

    /// Reads a whole body and decodes `Content-Encoding: gzip`.
    pub(super) async fn body(&self, headers: &HeaderMap, payload: web::Payload) -> Result<Body, Refused> {
        let RawBody { bytes, room } = self.bodies.read(headers, payload, self.reads.limits.body).await?;
        let mut body = Body { bytes, permit: None, _room: room };
        if is_gzip(headers).map_err(Refused::ContentType)? {
            let (permit, inflated) = self.reads.read(body.bytes, 0, None, gunzip).await?;
            (body.bytes, body.permit) = (inflated.into(), permit);
        }
        Ok(body)
    }

    /// Reads a body, or one part of it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        body: &Body,
        part: Part,
        read: impl Fn(&[u8], &ReadLimits) -> Result<T, ReadError> + Clone + Send + 'static,
    ) -> Result<(Option<Permit>, T), Refused> {
        Ok(self.reads.read(part.bytes, part.held + body.held(), body.permit.as_ref(), read).await?)
    }
}
