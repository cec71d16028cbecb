//! What senders send that is in no recording, as rows that each source answers alike.
//!
//! [`as_pyroscope`] gives the types and profiles that a Pyroscope 2.3 gave after the same pushes.

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web;
use prost::Message;
use std::sync::Arc;
use wiremock::{Request, ResponseTemplate};

use super::{CALL, clock, first, later, merged, noon, query, rows};
use crate::http::Routes;
use crate::kernel::NoDataReason::{KindNeverSent, NoneInWindow, WithoutSamples};
use crate::kernel::ProfileType;
use crate::profile::{Budget, PprofHeader, Profile, ProfileBuilder, SampleType, write_pprof};
use crate::sor::profile_data::proto::querier::v1::{
    SelectMergeProfileRequest, SelectSeriesRequest, SelectSeriesResponse, SeriesRequest, SeriesResponse,
};
use crate::sor::profile_data::proto::types::v1::{LabelPair, Labels, Point, Series};
use crate::sor::profile_data::pyroscope::replay::message;
use crate::sor::profile_data::receivers::{self, Receiver};
use crate::sor::profile_data::store::{ProfileStore, StoreSettings};
use crate::sor::profile_data::{ProfileDataSor, StepWidth};
use crate::storage::testing::{TestDatabase, database};

/// One push: a pprof of some sample types, and what Pyroscope makes of each of them.
struct Sent {
    app: &'static str,
    /// Minutes after noon.
    at: i64,
    /// The sample types and their units; for each, the type ID that Pyroscope gives it.
    types: &'static [(&'static str, &'static str, &'static str)],
    period: &'static str,
    /// Stacks, leaf first; the empty one has no location.
    stacks: &'static [(&'static str, &'static [i64])],
}

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const INUSE: &str = "memory:inuse_space:bytes:inuse_space:bytes";

const SENT: &[Sent] = &[
    // Node.js measures CPU time within its profile of elapsed time.
    Sent {
        app: "node",
        at: 0,
        types: &[
            ("samples", "count", "wall:samples:count:wall:nanoseconds"),
            ("wall", "nanoseconds", "wall:wall:nanoseconds:wall:nanoseconds"),
            ("cpu", "nanoseconds", "wall:cpu:nanoseconds:wall:nanoseconds"),
        ],
        period: "wall",
        stacks: &[("work;main", &[3, 40_000_000, 30_000_000]), ("wait;main", &[7, 70_000_000, 0])],
    },
    Sent {
        app: "node",
        at: 60,
        types: &[("inuse_space", "bytes", INUSE)],
        period: "inuse_space",
        stacks: &[("work;main", &[512])],
    },
    Sent {
        app: "empty-stacks",
        at: 0,
        types: &[("cpu", "nanoseconds", CPU)],
        period: "cpu",
        stacks: &[("work;main", &[30_000_000]), ("", &[20_000_000]), ("main", &[10_000_000])],
    },
    Sent {
        app: "only-empty-stacks",
        at: 0,
        types: &[("cpu", "nanoseconds", CPU)],
        period: "cpu",
        stacks: &[("", &[20_000_000])],
    },
];

impl Sent {
    /// The profile, of all sample types or of the one with this ID.
    fn profile(&self, id: Option<&str>, empty_stacks: bool) -> Profile {
        let wanted = |(_, _, own): &&(&str, &str, &str)| id.is_none_or(|id| id == *own);
        let types = self.types.iter().filter(wanted).map(|(name, unit, _)| SampleType::new(*name, *unit));
        let mut builder = ProfileBuilder::new(types.collect());
        for (stack, values) in self.stacks.iter().filter(|(stack, _)| empty_stacks || !stack.is_empty()) {
            let names = stack.split(';').filter(|name| !name.is_empty());
            let frames: Vec<_> = names.map(|name| builder.function(name, "app.js")).collect();
            let values = self.types.iter().zip(*values).filter(|(own, _)| wanted(own)).map(|(_, value)| *value);
            builder.add(frames, &values.collect::<Vec<_>>());
        }
        builder.build()
    }

    fn pprof(&self, id: Option<&str>, empty_stacks: bool) -> Vec<u8> {
        let unit = if self.period == "inuse_space" { "bytes" } else { "nanoseconds" };
        let header = PprofHeader {
            time: Some(noon() + chrono::TimeDelta::minutes(self.at)),
            period_type: Some(SampleType::new(self.period, unit)),
            period: 10_000_000,
            ..PprofHeader::default()
        };
        write_pprof(&self.profile(id, empty_stacks), &header)
    }

    fn at_ms(&self) -> i64 {
        noon().timestamp_millis() + self.at * 60_000
    }

    fn is_asked(&self, selector: &str, start: i64, end: i64) -> bool {
        selector.contains(&format!("service_name=\"{}\"", self.app)) && (start..end).contains(&self.at_ms())
    }
}

/// A store that received the pushes as Node.js sends them.
pub(in crate::sor::profile_data) async fn received() -> (ProfileStore, TestDatabase) {
    let database = database().await;
    let store = ProfileStore::new(database.db.clone(), Arc::new(clock()), StoreSettings::default());
    store.maintain().await.unwrap();
    let receiver = web::Data::new(Receiver::new(store.clone(), Arc::new(clock()), Budget::default()));
    let app = init_service(actix_web::App::new().app_data(receiver).configure(Routes::serve(receivers::routes))).await;
    for sent in SENT {
        let request = TestRequest::post().uri(&format!("/ingest?format=pprof&name={}", sent.app));
        let answer = call_service(&app, request.set_payload(sent.pprof(None, true)).to_request()).await;
        assert_eq!(answer.status().as_u16(), 200);
    }
    (store, database)
}

/// What Pyroscope answers after the same pushes. Its merged profiles leave samples without a stack out, its totals do not.
pub(in crate::sor::profile_data) fn as_pyroscope(request: &Request) -> Option<ResponseTemplate> {
    let proto = |bytes: Vec<u8>| ResponseTemplate::new(200).set_body_raw(bytes, "application/proto");
    Some(match request.url.path().rsplit('/').next()? {
        "Series" => {
            let asked: SeriesRequest = message(request);
            let sent = SENT.iter().filter(|sent| sent.is_asked(&asked.matchers.concat(), asked.start, asked.end));
            let set = |app: &str, id: &str| {
                let labels = [("service_name", app), ("__profile_type__", id)];
                Labels {
                    labels: labels.map(|(name, value)| LabelPair { name: name.into(), value: value.into() }).into(),
                }
            };
            let labels_set = sent.flat_map(|sent| sent.types.iter().map(|(_, _, id)| set(sent.app, id))).collect();
            proto(SeriesResponse { labels_set }.encode_to_vec())
        }
        "SelectMergeProfile" => {
            let asked: SelectMergeProfileRequest = message(request);
            let id = asked.profile_type_id.as_str();
            let mut of_type = SENT.iter().filter(|sent| sent.types.iter().any(|(_, _, own)| *own == id));
            let sent = of_type.find(|sent| sent.is_asked(&asked.label_selector, asked.start, asked.end));
            proto(sent.map(|sent| sent.pprof(Some(id), false)).unwrap_or_default())
        }
        "SelectSeries" => {
            let asked: SelectSeriesRequest = message(request);
            let id = asked.profile_type_id.as_str();
            #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
            let width = (asked.step * 1_000.0) as i64;
            let sent = SENT.iter().filter(|sent| sent.is_asked(&asked.label_selector, asked.start, asked.end));
            let of_type = sent.filter(|sent| sent.types.iter().any(|(_, _, own)| *own == id));
            let points = of_type.map(|sent| Point {
                value: sent.profile(Some(id), true).total(0) as f64,
                timestamp: asked.start + (sent.at_ms() - asked.start + width - 1) / width * width,
            });
            let series = vec![Series { labels: Vec::new(), points: points.collect() }];
            proto(SelectSeriesResponse { series }.encode_to_vec())
        }
        _ => return None,
    })
}

/// Name, self and total of every function of the first window.
async fn table(sor: &dyn ProfileDataSor, app: &str, kind: ProfileType) -> Vec<(String, i64, i64)> {
    let merged = merged(sor, &query(app, kind, first(), "")).await.unwrap();
    assert_eq!(merged.meta.no_data, None);
    rows(&merged.profile, 0, 1)
}

fn row(name: &str, own: i64, total: i64) -> (String, i64, i64) {
    (name.to_owned(), own, total)
}

/// Runs the rows.
pub(in crate::sor::profile_data) async fn check(sor: &dyn ProfileDataSor) {
    reads_the_cpu_time_of_node(sor).await;
    leaves_out_samples_without_a_stack(sor).await;
    tells_a_kind_that_is_absent_while_others_are_there(sor).await;
}

async fn reads_the_cpu_time_of_node(sor: &dyn ProfileDataSor) {
    let cpu = merged(sor, &query("node", ProfileType::Cpu, first(), "")).await.unwrap();
    assert_eq!(cpu.meta.sample_type, Some(SampleType::new("cpu", "nanoseconds")));
    assert_eq!(
        table(sor, "node", ProfileType::Cpu).await,
        [row("work", 30_000_000, 30_000_000), row("main", 0, 30_000_000)]
    );
    let wall = [row("wait", 70_000_000, 70_000_000), row("work", 40_000_000, 40_000_000), row("main", 0, 110_000_000)];
    assert_eq!(table(sor, "node", ProfileType::Wall).await, wall);
}

async fn leaves_out_samples_without_a_stack(sor: &dyn ProfileDataSor) {
    let cpu = [row("work", 30_000_000, 30_000_000), row("main", 10_000_000, 40_000_000)];
    assert_eq!(table(sor, "empty-stacks", ProfileType::Cpu).await, cpu);
    let nothing = merged(sor, &query("only-empty-stacks", ProfileType::Cpu, first(), "")).await.unwrap();
    assert_eq!((nothing.profile.stack_count(), nothing.meta.profile_types), (0, vec![CPU.to_owned()]));
    assert_eq!(nothing.meta.no_data, Some(WithoutSamples));
    // Over time, all ticks are counted: this needs no stacks.
    for (app, total) in [("empty-stacks", 60_000_000), ("only-empty-stacks", 20_000_000)] {
        let cpu = query(app, ProfileType::Cpu, first(), "");
        let steps = sor.totals(&CALL, &cpu, StepWidth::MINUTE).await.unwrap().unwrap().steps;
        assert_eq!(steps, [(noon(), total)]);
    }
}

async fn tells_a_kind_that_is_absent_while_others_are_there(sor: &dyn ProfileDataSor) {
    let said = [
        (ProfileType::Lock, first(), KindNeverSent),
        (ProfileType::Alloc, later(), KindNeverSent),
        (ProfileType::Inuse, super::window(-300, -200), NoneInWindow),
        (ProfileType::Inuse, first(), NoneInWindow),
        (ProfileType::Cpu, later(), NoneInWindow),
    ];
    let mut answers = Vec::new();
    for (kind, window, _) in said {
        let absent = merged(sor, &query("node", kind, window, "")).await.unwrap();
        assert_eq!((absent.profile.stack_count(), absent.meta.profile_types.len()), (0, 0));
        answers.push(absent.meta.no_data);
    }
    assert_eq!(answers, said.map(|(_, _, why)| Some(why)));
    for (window, kinds) in [(first(), &[ProfileType::Cpu, ProfileType::Wall][..]), (later(), &[ProfileType::Inuse])] {
        let said = merged(sor, &query("node", ProfileType::Lock, window, "")).await.unwrap().meta.kinds;
        assert_eq!(said, kinds, "those of the window");
    }
}
