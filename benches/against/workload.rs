//! Requests that real SDKs sent, for other apps and at other times.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use reqwest::{Client, RequestBuilder};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Push {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
    #[prost(string, tag = "2")]
    id: String,
}

/// The fields of a pprof that say when it was taken. Behind another profile's bytes they take the place of its own.
#[derive(Clone, PartialEq, Message)]
struct Taken {
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
}

/// What an SDK sends again and again.
pub(crate) enum Capture {
    /// `/push.v1.PusherService/Push`.
    Push(Push),
    /// `/ingest?format=pprof`, inflated.
    Ingest(Vec<u8>),
}

/// What of a request differs from app to app and from time to time.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// The number of the app.
    pub(crate) app: u32,
    pub(crate) name: &'a str,
    /// When the profiles begin, in seconds since the epoch.
    pub(crate) at: i64,
}

/// Between two uploads of an app.
pub(crate) const EVERY_S: i64 = 15;

/// A request, ready to be sent to any server.
#[derive(Clone)]
pub(crate) struct Upload {
    path: String,
    content_type: &'static str,
    body: Bytes,
    pub(crate) profiles: usize,
}

impl Upload {
    pub(crate) fn request(&self, client: &Client, base: &str) -> RequestBuilder {
        let request = client.post(format!("{base}{}", self.path)).header("content-type", self.content_type);
        let request = if self.path.starts_with("/push") { request.header("content-encoding", "gzip") } else { request };
        request.body(self.body.clone())
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(plain)
}

fn gzip(bytes: &[u8]) -> Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}

impl Capture {
    /// The captures of each SDK, in the order they were sent. Node's cpu and heap alternate, so they are two.
    pub(crate) fn of_sdks(shared: &Path) -> Result<Vec<Vec<Self>>> {
        let read = |sdk: &str, n: usize| -> Result<Vec<u8>> {
            let file = shared.join(format!("captures/{sdk}/{n}.body"));
            gunzip(&std::fs::read(&file).with_context(|| file.display().to_string())?)
        };
        let pushed =
            |sdk: &str| (0..3).map(|n| Ok(Self::Push(Push::decode(read(sdk, n)?.as_slice())?))).collect::<Result<_>>();
        let node = |these: &[usize]| these.iter().map(|n| Ok(Self::Ingest(read("node", *n)?))).collect::<Result<_>>();
        Ok(vec![pushed("python")?, pushed("rust")?, node(&[0, 2, 4])?, node(&[1, 3])?])
    }

    /// Larger profiles of services and brokers.
    pub(crate) fn of_profiles(shared: &Path) -> Result<Vec<Vec<Self>>> {
        ["go-cpu", "go-heap", "java-cpu", "node-wall", "java-kafka-cpu.expected.process_cpu"]
            .into_iter()
            .map(|name| Ok(vec![Self::Ingest(gunzip(&std::fs::read(shared.join(format!("profiles/{name}.pb.gz")))?)?)]))
            .collect()
    }

    pub(crate) fn on(&self, Occasion { app, name, at }: Occasion<'_>) -> Result<Upload> {
        let taken = Taken { time_nanos: at * 1_000_000_000, duration_nanos: EVERY_S * 1_000_000_000 }.encode_to_vec();
        match self {
            Self::Ingest(profile) => Ok(Upload {
                path: format!("/ingest?format=pprof&name={name}&from={at}&until={}&spyName=nodespy", at + EVERY_S),
                content_type: "application/octet-stream",
                body: gzip(&[profile.as_slice(), &taken].concat())?,
                profiles: 1,
            }),
            Self::Push(push) => {
                let mut push = push.clone();
                let id = u128::from(app) << 96 | u128::from(at.unsigned_abs()) << 32;
                for (n, series) in (0_u128..).zip(&mut push.series) {
                    for label in series.labels.iter_mut().filter(|label| label.name == "service_name") {
                        name.clone_into(&mut label.value);
                    }
                    for sample in &mut series.samples {
                        ensure!(!sample.raw_profile.starts_with(&[0x1f, 0x8b]), "the SDK compresses profiles");
                        sample.raw_profile.extend_from_slice(&taken);
                        sample.id = uuid::Uuid::from_u128(id + n).to_string();
                    }
                }
                let profiles = push.series.iter().map(|series| series.samples.len()).sum();
                let body = gzip(&push.encode_to_vec())?;
                Ok(Upload {
                    path: "/push.v1.PusherService/Push".into(),
                    content_type: "application/proto",
                    body,
                    profiles,
                })
            }
        }
    }
}
