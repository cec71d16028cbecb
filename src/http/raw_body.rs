//! Reads the bodies of receivers: each up to a limit, and all of them together within a limit of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

/// A limit of the memory that all bodies take at the same time.
#[derive(Debug)]
pub struct BodyMemory {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// A body.
#[derive(Debug)]
pub struct RawBody {
    /// What was sent.
    pub bytes: Bytes,
    /// The memory that it has reserved.
    pub room: BodyRoom,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum NoBody {
    /// It is larger than this many bytes.
    TooLarge(u64),
    /// The connection broke before its end.
    CutOff(String),
    /// Other bodies have filled the memory.
    Busy,
}

/// The memory that a body has reserved: as much as was sent of it so far, whatever length its headers claim. Dropping this gives it
/// back.
#[derive(Debug)]
pub struct BodyRoom {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl BodyMemory {
    /// A limit of so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Reads a whole body of at most `limit` bytes.
    ///
    /// # Errors
    /// The body is too large or incomplete, or other bodies have filled the memory.
    pub async fn read(&self, headers: &HeaderMap, mut payload: web::Payload, limit: u64) -> Result<RawBody, NoBody> {
        let claimed = header(headers, CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if claimed.unwrap_or(0) > limit {
            return Err(NoBody::TooLarge(limit));
        }
        let mut room = BodyRoom { taken: Arc::clone(&self.taken), bytes: 0 };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| NoBody::CutOff(format!("the body was cut off: {error}")))?;
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(NoBody::TooLarge(limit));
            }
            if room.grow(chunk.len()) > self.most {
                return Err(NoBody::Busy);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(RawBody { bytes: bytes.freeze(), room })
    }
}

impl BodyRoom {
    /// Reserves more memory. Returns how much all bodies have reserved now.
    fn grow(&mut self, bytes: usize) -> usize {
        self.bytes += bytes;
        self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Whether a body is compressed with gzip, the one content encoding that is taken.
///
/// # Errors
/// It has another content encoding, which the text names.
pub fn is_gzip(headers: &HeaderMap) -> Result<bool, String> {
    match header(headers, CONTENT_ENCODING).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        other => Err(format!("the content encoding {other:?} is not taken, gzip is")),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    async fn read_of(length: &str, memory: &BodyMemory, body: &'static str, limit: u64) -> Result<RawBody, NoBody> {
        let request = TestRequest::default().set_payload(body).insert_header((CONTENT_LENGTH, length));
        let (request, mut payload) = request.to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        memory.read(request.headers(), payload, limit).await
    }

    async fn read(memory: &BodyMemory, body: &'static str, limit: u64) -> Result<RawBody, NoBody> {
        read_of("unknown", memory, body, limit).await
    }

    #[actix_web::test]
    async fn bodies_share_the_memory_and_give_it_back() {
        let memory = BodyMemory::new(10);
        let first = read(&memory, "123456", 100).await.unwrap();
        assert_eq!(read(&memory, "12345", 100).await.unwrap_err(), NoBody::Busy);
        let second = read(&memory, "1234", 100).await.unwrap();
        assert_eq!((&*first.bytes, &*second.bytes), (&b"123456"[..], &b"1234"[..]));
        drop(first);
        assert_eq!(&*read(&memory, "12345", 100).await.unwrap().bytes, b"12345");
    }

    #[actix_web::test]
    async fn a_body_over_the_limit_is_refused_with_and_without_its_length() {
        let memory = BodyMemory::new(10);
        assert_eq!(read(&memory, "1234", 3).await.unwrap_err(), NoBody::TooLarge(3));
        assert_eq!(read_of("4", &memory, "", 3).await.unwrap_err(), NoBody::TooLarge(3));
        assert_eq!(read(&memory, "123", 3).await.unwrap().bytes.len(), 3);
    }

    #[test]
    fn gzip_is_the_only_content_encoding() {
        let of = |encoding: &'static str| {
            is_gzip(TestRequest::default().insert_header((CONTENT_ENCODING, encoding)).to_http_request().headers())
        };
        assert_eq!((is_gzip(&HeaderMap::new()), of("identity"), of(" GZIP ")), (Ok(false), Ok(false), Ok(true)));
        assert_eq!(of("br"), Err("the content encoding \"br\" is not taken, gzip is".to_owned()));
    }
}
