//! `POST /ingest`: what older SDKs, those of Go and Node.js, and scripts send.

use std::collections::BTreeMap;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::super::sent_time::sent_time;
use super::super::store::{PushId, Pushed};
use super::name::{Key, TextKind, speedscope_kind, text_kind};
use super::reading::{AcceptedTimes, PushMetadata};
use super::refused::Refused;
use crate::kernel::Tenant;
use crate::profile::{
    LimitName, Profile, ReadError, ReadLimits, SampleType, inflate, read_folded, read_tree, read_trie,
};

/// The accepted formats, for the error about any other.
pub(super) const TAKEN: &str = "taken are pprof (format=pprof, or multipart/form-data with a part profile), JFR (format=jfr), \
                                text (format=folded, format=lines), format=trie, format=tree and format=speedscope";

/// The parameters of `/ingest`. Unknown ones are ignored, since senders add their own.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct IngestParams {
    /// The app, with labels: `app{label=value}`. In text formats a suffix such as `.alloc_space` says what is counted.
    #[param(example = "checkout{version=2}", required = true)]
    pub(super) name: Option<String>,
    /// When the profile began: `now-10s`, or seconds, milliseconds, microseconds or nanoseconds since the epoch,
    /// recognised by the number of digits.
    #[param(example = "now-10s")]
    pub(super) from: Option<String>,
    /// When it ended.
    #[param(example = "now")]
    pub(super) until: Option<String>,
    /// Samples per second of a text profile (100); 0 leaves counts as they are. Of a JFR recording, what its own settings
    /// say unless it is given.
    #[param(example = "100")]
    pub(super) sample_rate: Option<String>,
    /// The profiler. It is kept as the label `pyroscope_spy`.
    #[param(example = "gospy")]
    pub(super) spy_name: Option<String>,
    /// The format of the body: `pprof`, `jfr`, `folded` (default), `lines`, `trie`, `tree` or `speedscope`.
    #[param(example = "folded")]
    pub(super) format: Option<String>,
}

/// The format of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pprof,
    Form,
    Jfr,
    Speedscope,
    Counts(Counts),
}

/// The formats that say nothing but how often each stack was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Folded,
    Lines,
    Trie,
    Tree,
}

impl Format {
    /// The format that the parameter and the content type name.
    pub(super) fn of(params: &IngestParams, content_type: Option<&str>) -> Self {
        let content_type = content_type.unwrap_or("").to_ascii_lowercase();
        let format = params.format.as_deref().unwrap_or("").to_ascii_lowercase();
        let essence = content_type.split(';').next().unwrap_or("").trim_end();
        let binary = essence.strip_prefix("binary/octet-stream+").unwrap_or("");
        match (format.as_str(), binary) {
            ("jfr", _) => Self::Jfr,
            ("trie", _) | (_, "trie") => Self::Counts(Counts::Trie),
            ("tree", _) | (_, "tree") => Self::Counts(Counts::Tree),
            ("lines", _) => Self::Counts(Counts::Lines),
            ("pprof", _) => Self::Pprof,
            ("speedscope", _) => Self::Speedscope,
            _ if content_type.starts_with("multipart/form-data") => Self::Form,
            _ => Self::Counts(Counts::Folded),
        }
    }
}

/// The parameters, read.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    tenant: Tenant,
    key: Key,
    rate: u32,
    /// The rate and whether there was a time, as the sender gave them.
    given_rate: Option<u32>,
    is_timed: bool,
    from: DateTime<Utc>,
    duration: TimeDelta,
    id: PushId,
}

impl Asked {
    /// Reads the parameters. A repeated push is recognised by `query` and `body`.
    pub(super) fn of(
        tenant: Tenant,
        params: &IngestParams,
        query: &str,
        body: &Bytes,
        times: AcceptedTimes,
    ) -> Result<Self, Refused> {
        let name = params.name.as_deref().ok_or_else(|| Refused::Parameter("name", "is missing".to_owned()))?;
        let mut key = Key::parse(name)?;
        if let Some(spy) = params.spy_name.as_deref().filter(|spy| !spy.is_empty()) {
            key.labels.entry("pyroscope_spy".to_owned()).or_insert_with(|| spy.to_owned());
        }
        let until = time("until", params.until.as_deref(), times.now)?;
        let from = time("from", params.from.as_deref(), times.now)?;
        // A value that is not a number is ignored.
        let given_rate = params.sample_rate.as_deref().and_then(|rate| rate.parse().ok());
        Ok(Self {
            tenant,
            key,
            rate: given_rate.unwrap_or(100),
            given_rate,
            is_timed: params.from.as_deref().is_some_and(|from| !from.trim().is_empty()),
            from,
            duration: (until - from).clamp(TimeDelta::zero(), TimeDelta::days(1)),
            id: PushId::of([query.as_bytes(), body]),
        })
    }

    /// What is known of a pprof in this push.
    pub(super) fn about_pprof(self, config: &Config) -> Result<PushMetadata, Refused> {
        let (app, mut labels) = self.key.into_app(false)?;
        if config.cumulative() {
            labels.insert("__delta__".to_owned(), "false".to_owned());
        }
        let shown = config.shown();
        Ok(PushMetadata {
            tenant: self.tenant,
            app,
            name: None,
            shown,
            labels,
            time: self.from,
            duration: self.duration,
            id: self.id,
        })
    }

    /// What is known of a recording in this push, which `id` identifies; and what the sender says of it.
    pub(super) fn about_recording(self, id: PushId) -> Result<(PushMetadata, Told), Refused> {
        let (app, labels) = self.key.into_app(true)?;
        let (time, duration) = (self.from, self.duration);
        let (tenant, shown) = (self.tenant, BTreeMap::new());
        let about = PushMetadata { tenant, app, name: None, shown, labels, time, duration, id };
        Ok((about, Told { rate: self.given_rate, is_timed: self.is_timed }))
    }

    /// The app, its labels, and what the counts in this push count.
    pub(super) fn counts(self) -> Result<(PushMetadata, TextKind), Refused> {
        let (app, kind) = text_kind(&self.key.app, self.rate)?;
        Ok((self.about(app)?, kind))
    }

    /// The profiles of a speedscope file, one for each thing that it counts.
    pub(super) fn speedscope(self, profile: &Profile, times: AcceptedTimes) -> Result<Vec<Pushed>, Refused> {
        let types = profile.sample_types();
        if types.is_empty() {
            // The name is checked all the same.
            return self.counts().map(|_| Vec::new());
        }
        let mut ready = Vec::with_capacity(types.len());
        for (place, counted) in types.iter().enumerate() {
            let (app, kind) = speedscope_kind(&self.key.app, self.rate, counted, types.len() == 1)?;
            let mut about = self.clone().about(app)?;
            about.id = about.id.part([kind.sample_type.name.as_bytes()]);
            let profile = scaled(&profile.only(place), &kind.sample_type, kind.scale)?;
            ready.push(pushed_text(profile, about, kind, times)?);
        }
        Ok(ready)
    }

    /// What is known of a profile whose name says what it counts, without that part of the name.
    fn about(self, app: String) -> Result<PushMetadata, Refused> {
        let (app, labels) = Key { app, labels: self.key.labels }.into_app(true)?;
        let (time, duration) = (self.from, self.duration);
        let (tenant, shown) = (self.tenant, BTreeMap::new());
        Ok(PushMetadata { tenant, app, name: None, shown, labels, time, duration, id: self.id })
    }
}

/// What the sender of a recording says of it, if anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Samples per second.
    pub(super) rate: Option<u32>,
    /// It says when the recording began.
    pub(super) is_timed: bool,
}

fn time(name: &'static str, text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
    sent_time(text, now).map_err(|detail| Refused::Parameter(name, detail))
}

/// Reads counted stacks as a profile.
pub(super) fn read_counts(
    bytes: &[u8],
    format: Counts,
    kind: &TextKind,
    limits: &ReadLimits,
) -> Result<Profile, ReadError> {
    let sample_type = kind.sample_type.clone();
    let counted = match format {
        Counts::Folded => read_folded(bytes, sample_type, limits)?,
        Counts::Trie => read_trie(bytes, sample_type, limits)?,
        Counts::Tree => read_tree(bytes, sample_type, limits)?,
        Counts::Lines => {
            let folded = folded(&inflate(bytes, limits)?, limits)?;
            read_folded(&folded, sample_type, &ReadLimits { body: limits.inflated, ..*limits })?
        }
    };
    if kind.scale == 1 { Ok(counted) } else { scaled(&counted, &kind.sample_type, kind.scale) }
}

/// Lines of one event each as folded text, in which each has a count of 1.
fn folded(lines: &[u8], limits: &ReadLimits) -> Result<Vec<u8>, ReadError> {
    let mut folded = Vec::with_capacity(lines.len() + lines.len() / 8);
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            folded.extend_from_slice(line);
            folded.extend_from_slice(b" 1\n");
        }
    }
    if folded.len() as u64 > limits.inflated {
        return Err(ReadError::Limit { limit: LimitName::Inflated, number: limits.inflated });
    }
    Ok(folded)
}

/// Multiplies each value of the profile by `scale`.
fn scaled(profile: &Profile, sample_type: &SampleType, scale: i64) -> Result<Profile, ReadError> {
    profile.total(0).checked_mul(scale).ok_or_else(|| ReadError::Overflow(sample_type.name.clone()))?;
    Ok(profile.under([sample_type.clone()], |values| [values.first().map_or(0, |value| value.saturating_mul(scale))]))
}

/// A text profile, ready to be stored.
pub(super) fn pushed_text(
    profile: Profile,
    about: PushMetadata,
    kind: TextKind,
    times: AcceptedTimes,
) -> Result<Pushed, Refused> {
    times.check(about.time)?;
    Ok(Pushed {
        tenant: about.tenant,
        app: about.app,
        name: kind.name.to_owned(),
        labels: about.labels,
        sample_types: vec![kind.sample_type],
        period: kind.period,
        period_type: kind.period_type,
        time: about.time,
        duration: about.duration,
        id: about.id,
        profile,
    })
}

/// What a sender says about the sample types of its pprof.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Config(BTreeMap<String, TypeConfig>);

#[derive(Debug, Clone, Default, Deserialize)]
struct TypeConfig {
    #[serde(rename = "display-name")]
    display_name: Option<String>,
    #[serde(default)]
    cumulative: bool,
}

impl Config {
    fn shown(&self) -> BTreeMap<String, String> {
        self.0.iter().filter_map(|(name, t)| Some((name.clone(), t.display_name.clone()?))).collect()
    }

    fn cumulative(&self) -> bool {
        self.0.values().any(|t| t.cumulative)
    }
}

/// The parts of a form, by name.
pub(super) async fn form_parts(headers: &HeaderMap, body: Bytes) -> Result<Vec<(String, Bytes)>, Refused> {
    let unreadable = |e: &dyn std::fmt::Display| Refused::Unreadable(format!("the form cannot be read: {e}"));
    let mut form_headers = HeaderMap::new();
    if let Some(content_type) = headers.get(CONTENT_TYPE) {
        form_headers.insert(CONTENT_TYPE, content_type.clone());
    }
    let whole = futures::stream::once(async move { Ok(body) }).boxed_local();
    let mut form = actix_multipart::Multipart::new(&form_headers, whole);
    let mut parts = Vec::new();
    while let Some(mut field) = form.try_next().await.map_err(|e| unreadable(&e))? {
        let name = field.name().unwrap_or("").to_owned();
        let mut part = BytesMut::new();
        while let Some(chunk) = field.try_next().await.map_err(|e| unreadable(&e))? {
            part.extend_from_slice(&chunk);
        }
        parts.push((name, part.freeze()));
    }
    Ok(parts)
}

/// The pprof of a form, and what its sender says about it.
pub(super) async fn read_form(headers: &HeaderMap, body: Bytes) -> Result<(Bytes, Config), Refused> {
    let (mut profile, mut config) = (None, Config::default());
    for (name, part) in form_parts(headers, body).await? {
        match name.as_str() {
            "profile" => profile = Some(part),
            "sample_type_config" => {
                config = serde_json::from_slice(&part)
                    .map_err(|e| Refused::Unreadable(format!("sample_type_config cannot be read: {e}")))?;
            }
            "prev_profile" => {
                let text =
                    "prev_profile is of an unsupported client version: update the SDK, which then sends differences";
                return Err(Refused::Unreadable(text.to_owned()));
            }
            "jfr" => return Err(Refused::Unreadable("the form has a part jfr: send it with format=jfr".to_owned())),
            _ => {}
        }
    }
    let profile = profile.ok_or_else(|| Refused::Unreadable(format!("the form has no part profile: {TAKEN}")))?;
    Ok((profile, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::SampleType;
    use rstest::rstest;

    #[rstest]
    #[case(Some("trie"), None, Format::Counts(Counts::Trie))]
    #[case(Some("Tree"), Some("multipart/form-data; boundary=x"), Format::Counts(Counts::Tree))]
    #[case(None, Some("binary/octet-stream+trie"), Format::Counts(Counts::Trie))]
    #[case(Some("pprof"), Some("Binary/Octet-Stream+Tree; charset=utf-8"), Format::Counts(Counts::Tree))]
    #[case(Some("speedscope"), Some("application/json"), Format::Speedscope)]
    #[case(Some("jfr"), Some("multipart/form-data; boundary=x"), Format::Jfr)]
    #[case(Some("lines"), None, Format::Counts(Counts::Lines))]
    #[case(Some("groups"), Some("text/plain"), Format::Counts(Counts::Folded))]
    #[case(None, Some("multipart/form-data; boundary=x"), Format::Form)]
    fn parameter_and_content_type_name_the_format(
        #[case] format: Option<&str>,
        #[case] content_type: Option<&str>,
        #[case] expected: Format,
    ) {
        let params = IngestParams { format: format.map(str::to_owned), ..IngestParams::default() };
        assert_eq!(Format::of(&params, content_type), expected);
    }

    #[test]
    fn lines_count_one_each_and_are_scaled() {
        let kind = text_kind("app", 100).unwrap().1;
        let lines = b"a;b 7\n\na;c\na;c\n";
        let profile = read_counts(lines, Counts::Lines, &kind, &ReadLimits::default()).unwrap();
        assert_eq!(
            (profile.total(0), profile.sample_types().to_vec()),
            (30_000_000, vec![SampleType::new("cpu", "nanoseconds")])
        );
    }
}
