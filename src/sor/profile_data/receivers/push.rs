//! `POST /push.v1.PusherService/Push`: what the SDKs of several languages and Alloy send.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use chrono::TimeDelta;
use prost::Message;
use serde::Deserialize;

use super::super::proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use super::super::proto::types::v1::LabelPair;
use super::super::store::PushId;
use super::label_limits::check_labels;
use super::reading::{AcceptedTimes, PushMetadata};
use super::refused::Refused;
use crate::kernel::{AppName, Tenant};
use crate::protobuf::Encoding;

/// A push as JSON, with the names of protobuf's JSON form, which Pyroscope takes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct PushBody {
    /// The series, each with its profiles.
    #[serde(default)]
    series: Vec<SeriesBody>,
}

/// Profiles of one label set.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct SeriesBody {
    /// The labels; `__name__` names the profile, `service_name` the app.
    #[serde(default)]
    labels: Vec<LabelBody>,
    /// The profiles.
    #[serde(default)]
    samples: Vec<SampleBody>,
}

/// A label.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct LabelBody {
    /// Its name.
    #[serde(default)]
    #[schema(example = "service_name")]
    name: String,
    /// Its value.
    #[serde(default)]
    #[schema(example = "checkout")]
    value: String,
}

/// One profile.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct SampleBody {
    /// A pprof, plain or gzip, in base64.
    #[serde(default, rename = "rawProfile", alias = "raw_profile")]
    raw_profile: String,
    /// Identifies a repeated push.
    #[serde(default, rename = "ID", alias = "id")]
    id: String,
}

/// Reads a message.
pub(super) fn decode(body: Bytes, encoding: Encoding) -> Result<PushRequest, Refused> {
    match encoding {
        Encoding::Proto => {
            PushRequest::decode(body).map_err(|e| Refused::Unreadable(format!("the body is no push request: {e}")))
        }
        Encoding::Json => {
            let bad = |e: serde_json::Error| Refused::Unreadable(format!("the body is no push request: {e}"));
            let body: PushBody = serde_json::from_slice(&body).map_err(bad)?;
            Ok(PushRequest { series: body.series.into_iter().map(series).collect::<Result<_, _>>()? })
        }
    }
}

fn series(body: SeriesBody) -> Result<RawProfileSeries, Refused> {
    let labels = body.labels.into_iter().map(|l| LabelPair { name: l.name, value: l.value }).collect();
    let samples = body.samples.into_iter().map(sample).collect::<Result<_, _>>()?;
    Ok(RawProfileSeries { labels, samples })
}

fn sample(body: SampleBody) -> Result<RawSample, Refused> {
    // Protobuf's JSON form allows both alphabets of base64, with and without padding.
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if body.raw_profile.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let raw_profile = GeneralPurpose::new(alphabet, CONFIG)
        .decode(&body.raw_profile)
        .map_err(|e| Refused::Unreadable(format!("rawProfile is no base64: {e}")))?;
    Ok(RawSample { raw_profile: raw_profile.into(), id: body.id })
}

/// The profiles of the message: what is known of each, and its bytes.
pub(super) fn profiles(
    tenant: &Tenant,
    request: PushRequest,
    times: AcceptedTimes,
) -> Result<Vec<(PushMetadata, Bytes)>, Refused> {
    let mut profiles = Vec::new();
    for series in request.series {
        let mut labels: BTreeMap<_, _> = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
        let name = labels.remove("__name__").filter(|name| !name.is_empty());
        let service = labels.remove("service_name").filter(|service| !service.is_empty());
        let service = service.unwrap_or_else(|| "unknown_service".to_owned());
        let app: AppName = service.parse().map_err(|e| Refused::Unreadable(format!("service_name {service:?} {e}")))?;
        check_labels("labels", &labels)?;
        for sample in series.samples {
            let kind = name.as_deref().unwrap_or("").as_bytes();
            let id = if sample.id.is_empty() {
                let labels = labels.iter().flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]);
                PushId::of([app.as_str().as_bytes(), kind, &sample.raw_profile].into_iter().chain(labels))
            } else {
                PushId::of([app.as_str().as_bytes(), kind, sample.id.as_bytes()])
            };
            let about = PushMetadata {
                tenant: tenant.clone(),
                app: app.clone(),
                name: name.clone(),
                shown: BTreeMap::new(),
                labels: labels.clone(),
                time: times.now,
                duration: TimeDelta::zero(),
                id,
            };
            profiles.push((about, sample.raw_profile));
        }
    }
    if profiles.is_empty() {
        return Err(Refused::Unreadable("no profiles received".to_owned()));
    }
    Ok(profiles)
}
