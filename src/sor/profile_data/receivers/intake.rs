//! Reads bodies up to a limit and inflates them within a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::super::within::ReadBudget;
use super::refused::Refused;
use crate::profile::{Budget, LimitName, Permit, ReadError, ReadLimits, gunzip};

/// The largest size of all bodies in memory at the same time, in bytes.
const BODIES: usize = 128 << 20;

/// How long a push waits for memory to inflate it in.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory for bodies.
#[derive(Debug)]
pub(super) struct Intake {
    reads: ReadBudget,
    bodies: Arc<AtomicUsize>,
}

/// A part of [`BODIES`]; given back when dropped.
#[derive(Debug)]
struct HeldBytes {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl HeldBytes {
    fn more(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes += bytes;
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > BODIES { Err(Refused::Busy) } else { Ok(()) }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body, and the memory that is reserved for it.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Memory for the inflated bytes, if the body was compressed.
    permit: Option<Permit>,
    _room: HeldBytes,
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
        Self { reads, bodies: Arc::default() }
    }

    fn too_large(&self) -> Refused {
        Refused::from(ReadError::Limit { limit: LimitName::Body, number: self.reads.limits.body })
    }

    /// Reads a whole body and decodes `Content-Encoding: gzip`.
    pub(super) async fn body(&self, headers: &HeaderMap, mut payload: web::Payload) -> Result<Body, Refused> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let claimed = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
        if claimed > self.reads.limits.body {
            return Err(self.too_large());
        }
        let mut held = HeldBytes { all: Arc::clone(&self.bodies), bytes: 0 };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|e| Refused::Unreadable(format!("the body was cut off: {e}")))?;
            if (bytes.len() + chunk.len()) as u64 > self.reads.limits.body {
                return Err(self.too_large());
            }
            held.more(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        let mut body = Body { bytes: bytes.freeze(), permit: None, _room: held };
        match header(CONTENT_ENCODING).unwrap_or("identity").to_ascii_lowercase().as_str() {
            "" | "identity" => {}
            "gzip" => {
                let (permit, inflated) = self.reads.read(body.bytes, 0, None, gunzip).await?;
                (body.bytes, body.permit) = (inflated.into(), permit);
            }
            other => return Err(Refused::ContentType(format!("the content encoding {other:?} is not taken, gzip is"))),
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
