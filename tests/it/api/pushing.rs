//! Profiles made here, and both ways to push them.

use base64::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use serde_json::json;

use crate::harness::Flamewarden;

/// Nanoseconds of one sample.
pub(super) const PERIOD: i64 = 10_000_000;

/// A garbage collector's stack, root first.
pub(super) const COLLECTOR: [&str; 3] = ["runtime.gcBgMarkWorker", "runtime.gcDrain", "runtime.scanobject"];
/// A stack of the app's own, root first.
pub(super) const PRICES: [&str; 3] = ["runtime.main", "main.main", "shop.Price.sum"];

/// A profile to push.
pub(super) struct Made {
    app: &'static str,
    kind: &'static str,
    at: DateTime<Utc>,
    stacks: Vec<(Vec<&'static str>, i64)>,
}

impl Made {
    /// A CPU profile of an app, as old as that.
    pub(super) fn cpu(app: &'static str, minutes_ago: i64) -> Self {
        Self { app, kind: "cpu", at: SystemClock.now() - TimeDelta::minutes(minutes_ago), stacks: Vec::new() }
    }

    /// The same of wall time.
    pub(super) fn of_wall(self) -> Self {
        Self { kind: "wall", ..self }
    }

    /// With so many samples of a stack, root first.
    pub(super) fn with(mut self, stack: &[&'static str], samples: i64) -> Self {
        self.stacks.push((stack.to_vec(), samples));
        self
    }

    fn pprof(&self) -> Vec<u8> {
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
    pub(super) async fn ingest(self, server: &Flamewarden) {
        let path = format!("/ingest?name={}&format=pprof", self.app);
        let request = server.receiver().request(reqwest::Method::POST, &path).body(self.pprof());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    /// Pushes it as newer SDKs do.
    pub(super) async fn push(self, server: &Flamewarden) {
        let name = if self.kind == "cpu" { "process_cpu" } else { self.kind };
        let profile = base64::engine::general_purpose::STANDARD.encode(self.pprof());
        let labels = json!([{"name": "__name__", "value": name}, {"name": "service_name", "value": self.app}]);
        let body = json!({"series": [{"labels": labels, "samples": [{"rawProfile": profile}]}]});
        let request = server.receiver().request(reqwest::Method::POST, "/push.v1.PusherService/Push").json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
}

/// An app that mostly collects garbage: 700 of 1,000 samples, a few minutes ago.
pub(super) fn collecting(app: &'static str) -> Made {
    Made::cpu(app, 3).with(&COLLECTOR, 700).with(&PRICES, 300)
}
