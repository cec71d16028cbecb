//! What the values of a profile count, under the names that a kind of profile is read by.

use std::collections::BTreeMap;

use super::super::name::pprof_name;
use crate::profile::SampleType;

/// What a profile counts: the parts of its type ID, and what a value of 1 is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Kind {
    pub(in super::super) name: String,
    pub(in super::super) sample_type: SampleType,
    pub(in super::super) period_type: Option<SampleType>,
    pub(in super::super) period: i64,
    pub(super) scale: i64,
}

/// Names of one thing in one unit, by its exporters.
struct Known {
    /// What exporters call it: OpenTelemetry's eBPF profiler, and async-profiler by the name of its engine.
    called: &'static [&'static str],
    unit: &'static str,
    name: &'static str,
    sample_type: &'static str,
    /// What lies between two samples.
    period_type: Option<(&'static str, &'static str)>,
}

const NANOSECONDS: &str = "nanoseconds";

/// Under the names that the Java agent's JFR is stored by.
const KNOWN: [Known; 7] = [
    Known {
        called: &["cpu", "itimer", "ctimer", "perf_events"],
        unit: NANOSECONDS,
        name: "process_cpu",
        sample_type: "cpu",
        period_type: Some(("cpu", NANOSECONDS)),
    },
    Known {
        called: &["wall"],
        unit: NANOSECONDS,
        name: "wall",
        sample_type: "wall",
        period_type: Some(("wall", NANOSECONDS)),
    },
    Known { called: &["off_cpu"], unit: NANOSECONDS, name: "off_cpu", sample_type: "off_cpu", period_type: None },
    Known {
        called: &["alloc", "alloc_tracer", "object_sampler"],
        unit: "bytes",
        name: "memory",
        sample_type: "alloc_sample_bytes",
        period_type: Some(("space", "bytes")),
    },
    Known { called: &["malloc_tracer"], unit: "bytes", name: "memory", sample_type: "malloc_bytes", period_type: None },
    Known {
        called: &["lock", "lock_tracer", "native_lock_tracer"],
        unit: NANOSECONDS,
        name: "mutex",
        sample_type: "delay",
        period_type: Some(("mutex", "count")),
    },
    Known {
        called: &["lock", "lock_tracer", "native_lock_tracer"],
        unit: "count",
        name: "mutex",
        sample_type: "contentions",
        period_type: Some(("mutex", "count")),
    },
];

fn known(called: &str, unit: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.unit == unit && known.called.contains(&called))
}

/// The unit, written out.
fn unit(short: &str) -> &str {
    match short {
        "ns" => NANOSECONDS,
        "us" => "microseconds",
        "ms" => "milliseconds",
        "s" => "seconds",
        "By" | "B" => "bytes",
        "1" => "count",
        other => other,
    }
}

/// The kind of a profile with this sample type, name and unit, and with this much of the period type between two
/// samples. Counted samples are worth the time between two of them where that is known. What has no other name is named as
/// a pprof of that sample type is, or else as its period type.
pub(super) fn kind_of(sample: (&str, &str), period_type: Option<(&str, &str)>, period: i64) -> Kind {
    let (called, counted) = (sample.0, unit(sample.1));
    let period_type = period_type.map(|(name, short)| (name, unit(short))).filter(|(name, _)| !name.is_empty());
    let timed = period_type.filter(|(name, unit)| {
        let of_samples = called == "samples" || called == *name;
        of_samples && counted == "count" && *unit == NANOSECONDS && period > 0
    });
    let (called, counted, scale) = match timed.filter(|(name, unit)| known(name, unit).is_some()) {
        Some((name, unit)) => (name, unit, period),
        None => (called, counted, 1),
    };
    let owned = |(name, unit): (&str, &str)| SampleType::new(name, unit);
    if let Some(known) = known(called, counted) {
        return Kind {
            name: known.name.to_owned(),
            sample_type: SampleType::new(known.sample_type, known.unit),
            period_type: known.period_type.map(owned),
            // Of time only: the period of memory and locks is a threshold.
            period: if known.period_type.is_some_and(|(_, unit)| unit == NANOSECONDS) { period.max(0) } else { 0 },
            scale,
        };
    }
    let name = pprof_name([called].into_iter(), &BTreeMap::new());
    Kind {
        name: if name.is_empty() { period_type.map_or("", |(name, _)| name).to_owned() } else { name },
        sample_type: SampleType::new(called, counted),
        period_type: period_type.map(owned),
        period,
        scale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ProfileType;
    use crate::sor::profile_data::resolve::kinds;
    use crate::sor::profile_data::type_id::TypeId;
    use rstest::rstest;

    const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

    #[rstest]
    #[case::ebpf(("samples", "count"), Some(("cpu", "nanoseconds")), 50_000_000, CPU, 50_000_000, ProfileType::Cpu)]
    #[case::ebpf_off_cpu(("off_cpu", "nanoseconds"), None, 0, "off_cpu:off_cpu:nanoseconds::", 1, ProfileType::Samples)]
    #[case::ebpf_kprobe(("events", "count"), None, 0, "events:events:count::", 1, ProfileType::Samples)]
    #[case::java_itimer(("itimer", "ns"), Some(("itimer", "ns")), 10_000_000, CPU, 1, ProfileType::Cpu)]
    #[case::java_ctimer(("ctimer", "ns"), Some(("ctimer", "ns")), 10_000_000, CPU, 1, ProfileType::Cpu)]
    #[case::java_counted(("itimer", "count"), Some(("itimer", "ns")), 10_000_000, CPU, 10_000_000, ProfileType::Cpu)]
    #[case::java_wall(("wall", "ns"), Some(("wall", "ns")), 10_000_000, "wall:wall:nanoseconds:wall:nanoseconds", 1, ProfileType::Wall)]
    #[case::java_alloc(("object_sampler", "bytes"), Some(("object_sampler", "bytes")), 524_288, "memory:alloc_sample_bytes:bytes:space:bytes", 1, ProfileType::Alloc)]
    #[case::java_lock(("lock_tracer", "ns"), Some(("lock_tracer", "ns")), 10_000, "mutex:delay:nanoseconds:mutex:count", 1, ProfileType::Lock)]
    #[case::java_malloc(("malloc_tracer", "bytes"), Some(("malloc_tracer", "bytes")), 1, "memory:malloc_bytes:bytes::", 1, ProfileType::Alloc)]
    #[case::cycles(("perf_events", "total"), Some(("perf_events", "total")), 1_000, "perf_events:perf_events:total:perf_events:total", 1, ProfileType::Samples)]
    #[case::without_a_period(("samples", "count"), Some(("cpu", "nanoseconds")), 0, "process_cpu:samples:count:cpu:nanoseconds", 1, ProfileType::Cpu)]
    #[case::go_heap(("inuse_space", "By"), Some(("space", "By")), 524_288, "memory:inuse_space:bytes:space:bytes", 1, ProfileType::Inuse)]
    #[case::custom(("otlp_test", "count"), Some(("otlp_test", "samples")), 1, "otlp_test:otlp_test:count:otlp_test:samples", 1, ProfileType::Samples)]
    fn every_profile_has_a_kind(
        #[case] sample: (&str, &str),
        #[case] period_type: Option<(&str, &str)>,
        #[case] period: i64,
        #[case] expected: &str,
        #[case] scale: i64,
        #[case] answers: ProfileType,
    ) {
        let kind = kind_of(sample, period_type, period);
        let period_type = kind.period_type.clone().unwrap_or_else(|| SampleType::new("", ""));
        let id = TypeId {
            name: kind.name.clone(),
            sample_type: kind.sample_type.name.clone(),
            sample_unit: kind.sample_type.unit.clone(),
            period_type: period_type.name,
            period_unit: period_type.unit,
        };
        assert_eq!((id.to_string().as_str(), kind.scale), (expected, scale));
        assert_eq!(kinds(&[id]), [answers]);
    }
}
