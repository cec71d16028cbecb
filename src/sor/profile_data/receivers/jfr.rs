//! `format=jfr` of `/ingest`: recordings of the JVM, as the Pyroscope agent for Java sends them.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use chrono::TimeDelta;

use super::super::store::Pushed;
use super::ingest::{TAKEN, Told, form_parts};
use super::reading::{AcceptedTimes, PushMetadata, pushed};
use super::refused::Refused;
use crate::profile::{PprofFile, Recording};

/// A recording as it was sent, and the labels of its samples. Each may be compressed. Pyroscope does not take a recording
/// that is compressed and is the body itself; here it makes no difference.
#[derive(Debug, Default)]
pub(super) struct JfrBody {
    pub(super) recording: Bytes,
    pub(super) labels: Bytes,
}

impl JfrBody {
    /// The body itself is the recording, or it is a form with the parts `jfr` and `labels`.
    pub(super) async fn of(headers: &HeaderMap, body: Bytes) -> Result<Self, Refused> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
            return Ok(Self { recording: body, labels: Bytes::new() });
        }
        let mut sent = Self::default();
        let mut is_there = false;
        for (name, part) in form_parts(headers, body).await? {
            match name.as_str() {
                "jfr" => (sent.recording, is_there) = (part, true),
                "labels" => sent.labels = part,
                _ => {}
            }
        }
        if !is_there {
            return Err(Refused::Unreadable(format!("the form has no part jfr: {TAKEN}")));
        }
        Ok(sent)
    }
}

/// The profiles of a recording, ready to be stored. A time that the sender gives counts, as it does at Pyroscope, or else the
/// recording's own.
pub(super) fn pushed_recording(
    recording: Recording,
    about: &PushMetadata,
    told: Told,
    times: AcceptedTimes,
) -> Result<Vec<Pushed>, Refused> {
    let (time, duration) = if told.is_timed { (None, None) } else { (recording.time, recording.duration) };
    let mut ready = Vec::with_capacity(recording.profiles.len());
    for of in recording.profiles {
        let first = of.profile.sample_types().first().map_or("", |sample_type| sample_type.name.as_str());
        // Each profile has a push ID of its own: the same recording has the same profiles.
        let id = about.id.part([of.name.as_bytes(), first.as_bytes()]);
        let mut about = PushMetadata { name: Some(of.name.to_owned()), id, ..about.clone() };
        if let Some(event) = &recording.event {
            about.labels.insert("jfr_event".to_owned(), event.clone());
        }
        let file = PprofFile {
            profile: of.profile,
            time,
            duration: duration.map(|length| length.clamp(TimeDelta::zero(), TimeDelta::days(1))),
            period_type: of.period_type,
            period: of.period,
            ..PprofFile::default()
        };
        ready.extend(pushed(vec![(of.labels, file)], &about, times)?);
    }
    Ok(ready)
}
