//! Profiles for tests, and both ways to push them.

use base64::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use serde_json::json;

use crate::harness::Flamewarden;

/// Nanoseconds of one sample.
pub(crate) const PERIOD: i64 = 10_000_000;

/// A garbage collector's stack, root first.
pub(crate) const COLLECTOR: [&str; 3] = ["runtime.gcBgMarkWorker", "runtime.gcDrain", "runtime.scanobject"];
/// A stack of the app's own, root first.
pub(crate) const PRICES: [&str; 3] = ["runtime.main", "main.main", "shop.Price.sum"];

/// A profile to push.
pub(crate) struct Made {
    app: &'static str,
    kind: &'static str,
    at: DateTime<Utc>,
    labels: Vec<(&'static str, &'static str)>,
    stacks: Vec<(Vec<&'static str>, i64)>,
}

impl Made {
    /// A CPU profile of an app from this many minutes ago.
    pub(crate) fn cpu(app: &'static str, minutes_ago: i64) -> Self {
        Self::cpu_at(app, SystemClock.now() - TimeDelta::minutes(minutes_ago))
    }

    /// A CPU profile of an app from that time.
    pub(crate) fn cpu_at(app: &'static str, at: DateTime<Utc>) -> Self {
        Self { app, kind: "cpu", at, labels: Vec::new(), stacks: Vec::new() }
    }

    /// Makes it a profile of wall time.
    pub(crate) fn of_wall(self) -> Self {
        Self { kind: "wall", ..self }
    }

    /// Makes it a profile of a kind that nobody knows.
    pub(crate) fn of_unknown_kind(self) -> Self {
        Self { kind: "foo", ..self }
    }

    /// Adds a stack, root first, with this many samples.
    pub(crate) fn with(mut self, stack: &[&'static str], samples: i64) -> Self {
        self.stacks.push((stack.to_vec(), samples));
        self
    }

    /// Adds a label.
    pub(crate) fn labelled(mut self, name: &'static str, value: &'static str) -> Self {
        self.labels.push((name, value));
        self
    }

    /// The profile as a pprof, compressed with gzip.
    pub(crate) fn pprof(&self) -> Vec<u8> {
        let sample_type = SampleType::new(self.kind, "nanoseconds");
        let mut builder = ProfileBuilder::new(vec![sample_type.clone()]);
        for (stack, samples) in &self.stacks {
            let frames: Vec<_> = stack.iter().rev().map(|name| builder.function(name, "shop.go")).collect();
            builder.add(frames, &[samples * PERIOD]);
        }
        let header = PprofHeader {
            time: Some(self.at),
            duration: Some(TimeDelta::seconds(10)),
            period_type: Some(sample_type),
            period: PERIOD,
            ..PprofHeader::default()
        };
        write_pprof(&builder.build(), &header)
    }

    /// Pushes it as older SDKs do.
    pub(crate) async fn ingest(self, server: &Flamewarden) {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let name = format!("{}{{{}}}", self.app, labels.join(","));
        let request = server.receiver().request(reqwest::Method::POST, "/ingest");
        let request = request.query(&[("name", name.as_str()), ("format", "pprof")]).body(self.pprof());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    /// Pushes it as newer SDKs do.
    pub(crate) async fn push(self, server: &Flamewarden) {
        let name = if self.kind == "cpu" { "process_cpu" } else { self.kind };
        let profile = base64::engine::general_purpose::STANDARD.encode(self.pprof());
        let mut labels = vec![("__name__", name), ("service_name", self.app)];
        labels.extend(&self.labels);
        let labels: Vec<_> = labels.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let body = json!({"series": [{"labels": labels, "samples": [{"rawProfile": profile}]}]});
        let request = server.receiver().request(reqwest::Method::POST, "/push.v1.PusherService/Push").json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
}

/// An app that mostly collects garbage: 700 of 1,000 samples, a few minutes ago.
pub(crate) fn collecting(app: &'static str) -> Made {
    Made::cpu(app, 3).with(&COLLECTOR, 700).with(&PRICES, 300)
}
