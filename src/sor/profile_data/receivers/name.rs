//! The `name` of `/ingest`: `app{label=value,…}`. In text formats its suffix names the kind of profile.

use std::collections::BTreeMap;

use super::label_limits::check_labels;
use super::refused::Refused;
use crate::kernel::AppName;
use crate::profile::SampleType;

/// An app and the labels of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) app: String,
    pub(super) labels: BTreeMap<String, String>,
}

fn bad(detail: impl Into<String>) -> Refused {
    Refused::Parameter("name", detail.into())
}

impl Key {
    /// Reads `app{label=value,label2=value2}`. A value ends at the next comma or at the closing brace.
    pub(super) fn parse(name: &str) -> Result<Self, Refused> {
        let (app, rest) = name.split_once('{').unwrap_or((name, "}"));
        let app = app.trim();
        if app.is_empty() {
            return Err(bad("must begin with the app's name"));
        }
        let labels = rest.trim_end().strip_suffix('}').ok_or_else(|| bad("lacks the closing brace of its labels"))?;
        let mut read = BTreeMap::new();
        for label in labels.split(',').filter(|label| !label.trim().is_empty()) {
            let (key, value) = label.split_once('=').ok_or_else(|| bad(format!("the label {label:?} has no value")))?;
            let key = key.trim();
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
                return Err(bad(format!("{key:?} is no label name")));
            }
            read.insert(key.to_owned(), value.trim().to_owned());
        }
        Ok(Self { app: app.to_owned(), labels: read })
    }

    /// The app. A label `service_name` overrides it; with `keep`, the name that was given then becomes a label.
    pub(super) fn into_app(mut self, keep: bool) -> Result<(AppName, BTreeMap<String, String>), Refused> {
        let app = match self.labels.remove("service_name").filter(|name| !name.is_empty()) {
            None => self.app,
            Some(service) => {
                if keep {
                    self.labels.insert("app_name".to_owned(), self.app);
                }
                service
            }
        };
        check_labels("name", &self.labels)?;
        Ok((app.parse().map_err(|e| bad(format!("{app:?} {e}")))?, self.labels))
    }
}

/// What a text of some kind counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextKind {
    /// The profile's name.
    pub(super) name: &'static str,
    pub(super) sample_type: SampleType,
    pub(super) period_type: Option<SampleType>,
    /// What a count of 1 is worth.
    pub(super) scale: i64,
    /// What lies between two samples, in nanoseconds; 0 where unknown.
    pub(super) period: i64,
}

/// Removes the suffix from the app's name and says what it means. `rate` is samples per second; 0 leaves values as they
/// are.
pub(super) fn text_kind(app: &str, rate: u32) -> Result<(String, TextKind), Refused> {
    let (app, suffix) = app.rsplit_once('.').unwrap_or((app, "cpu"));
    let counted = |name, sample_type: &str, unit: &str| {
        Some(TextKind { name, sample_type: SampleType::new(sample_type, unit), period_type: None, scale: 1, period: 0 })
    };
    let timed = |name, sample_type: &str| {
        let nanoseconds = |name: &str| SampleType::new(name, "nanoseconds");
        if rate == 0 {
            return counted(name, "samples", "count");
        }
        let scale = i64::from((1_000_000_000 / rate).max(1));
        let (sample_type, period_type) = (nanoseconds(sample_type), Some(nanoseconds("cpu")));
        Some(TextKind { name, sample_type, period_type, scale, period: scale })
    };
    let kind = match suffix {
        "cpu" | "itimer" => timed("process_cpu", "cpu"),
        "wall" | "seconds" | "milliseconds" | "microseconds" | "nanoseconds" => timed("wall", "wall"),
        "inuse_objects" | "alloc_objects" | "alloc_in_new_tlab_objects" | "alloc_outside_tlab_objects" => {
            counted("memory", suffix, "count")
        }
        "inuse_space" | "alloc_space" | "alloc_in_new_tlab_bytes" | "alloc_outside_tlab_bytes" => {
            counted("memory", suffix, "bytes")
        }
        "goroutines" => counted("goroutine", "goroutines", "count"),
        "mutex_count" => counted("mutex", "contentions", "count"),
        "mutex_duration" => counted("mutex", "delay", "nanoseconds"),
        "block_count" | "lock_count" => counted("block", "contentions", "count"),
        "block_duration" | "lock_duration" => counted("block", "delay", "nanoseconds"),
        "live" => counted("memory", "live", "count"),
        "exceptions" => counted("exceptions", "samples", "count"),
        "bytes" => counted("memory", "samples", "bytes"),
        _ => None,
    };
    let kind = kind.ok_or_else(|| {
        bad(format!(
            "{suffix:?} is no profile type: the text after the last dot says what a text profile counts, such as cpu, \
             wall, alloc_space, inuse_space, mutex_duration or goroutines"
        ))
    })?;
    if app.is_empty() {
        return Err(bad("must begin with the app's name"));
    }
    Ok((app.to_owned(), kind))
}

/// The same as [`text_kind`] for the values of a speedscope file, which knows units. Time is in nanoseconds, bytes are
/// bytes; neither depends on `rate`. Where the suffix does not fit the unit, `alone` refuses; a file that counts several
/// things has a usual name for each.
pub(super) fn speedscope_kind(
    app: &str,
    rate: u32,
    counted: &SampleType,
    alone: bool,
) -> Result<(String, TextKind), Refused> {
    // As many samples a second as there are nanoseconds: each counts for one.
    const EACH: u32 = 1_000_000_000;
    let usual = match counted.unit.as_str() {
        "nanoseconds" => "wall",
        "bytes" => "bytes",
        _ => return text_kind(app, rate),
    };
    let bare = app.rsplit_once('.').map_or(app, |(app, _)| app);
    let (name, kind) = match text_kind(app, EACH)? {
        fits if fits.1.sample_type.unit == counted.unit => fits,
        _ if !alone || bare == app => text_kind(&format!("{bare}.{usual}"), EACH)?,
        (_, kind) => {
            let SampleType { name, unit } = &kind.sample_type;
            return Err(bad(format!(
                "{app:?} says that {name} ({unit}) is counted, but the profile counts {}",
                counted.unit
            )));
        }
    };
    Ok((name, TextKind { period: 0, ..kind }))
}

/// The profile's name for a pprof that comes without one. It follows from the sample types, as their sender names them.
pub(super) fn pprof_name<'a>(
    sample_types: impl Iterator<Item = &'a str> + Clone,
    shown: &BTreeMap<String, String>,
) -> String {
    // fgprof calls elapsed time `time`.
    if sample_types.clone().any(|name| matches!(name, "wall" | "time")) {
        return "wall".to_owned();
    }
    let mut own = None;
    for name in sample_types {
        let usual = match name {
            "samples" => "cpu",
            "contentions" => "mutex_count",
            "delay" => "mutex_duration",
            "goroutine" => "goroutines",
            other => other,
        };
        // What a sender configured applies to all of its types. Nothing else is assumed then.
        let name = if shown.is_empty() { usual } else { shown.get(name).map_or(name, String::as_str) };
        let lower = name.to_ascii_lowercase();
        let found = if lower.contains("cpu") {
            "process_cpu"
        } else if lower.contains("alloc_") || lower.contains("inuse_") || lower == "space" || lower == "objects" {
            "memory"
        } else if lower.contains("mutex_") {
            "mutex"
        } else if lower.contains("block_") {
            "block"
        } else if lower.contains("goroutines") {
            "goroutines"
        } else {
            own.get_or_insert_with(|| name.to_owned());
            continue;
        };
        return found.to_owned();
    }
    own.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn key(app: &str, labels: &[(&str, &str)]) -> Key {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Key { app: app.to_owned(), labels }
    }

    #[rstest]
    #[case("app", key("app", &[]))]
    #[case("app{}", key("app", &[]))]
    #[case("my-app/x.cpu{region=eu, otel.scope.name=com.grafana/x,}", key("my-app/x.cpu", &[("region", "eu"), ("otel.scope.name", "com.grafana/x")]))]
    fn reads_app_and_labels(#[case] name: &str, #[case] expected: Key) {
        assert_eq!(Key::parse(name), Ok(expected));
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_app("{a=b}")]
    #[case::open("app{a=b")]
    #[case::no_value("app{a}")]
    #[case::no_label_name("app{a b=c}")]
    fn refuses_what_is_no_name(#[case] name: &str) {
        assert!(matches!(Key::parse(name), Err(Refused::Parameter("name", _))));
    }

    #[rstest]
    #[case("app", 100, "app", "process_cpu", "cpu:nanoseconds", 10_000_000)]
    #[case("app.cpu", 0, "app", "process_cpu", "samples:count", 1)]
    #[case("my.app.itimer", 99, "my.app", "process_cpu", "cpu:nanoseconds", 10_101_010)]
    #[case("app.seconds", 100, "app", "wall", "wall:nanoseconds", 10_000_000)]
    #[case("app.wall", 0, "app", "wall", "samples:count", 1)]
    #[case("app.alloc_space", 100, "app", "memory", "alloc_space:bytes", 1)]
    #[case("app.alloc_in_new_tlab_objects", 100, "app", "memory", "alloc_in_new_tlab_objects:count", 1)]
    #[case("app.goroutines", 100, "app", "goroutine", "goroutines:count", 1)]
    #[case("app.mutex_duration", 100, "app", "mutex", "delay:nanoseconds", 1)]
    #[case("app.lock_count", 100, "app", "block", "contentions:count", 1)]
    #[case("app.exceptions", 100, "app", "exceptions", "samples:count", 1)]
    fn a_suffix_says_what_a_text_counts(
        #[case] given: &str,
        #[case] rate: u32,
        #[case] app: &str,
        #[case] name: &str,
        #[case] sample_type: &str,
        #[case] scale: i64,
    ) {
        let (got, kind) = text_kind(given, rate).unwrap();
        let read = format!("{}:{}", kind.sample_type.name, kind.sample_type.unit);
        assert_eq!((got.as_str(), kind.name, read.as_str(), kind.scale), (app, name, sample_type, scale));
    }

    #[rstest]
    #[case("app", "nanoseconds", true, "process_cpu:cpu:nanoseconds")]
    #[case("app.wall", "nanoseconds", true, "wall:wall:nanoseconds")]
    #[case("app.alloc_space", "nanoseconds", false, "wall:wall:nanoseconds")]
    #[case("app", "bytes", true, "memory:samples:bytes")]
    #[case("app.alloc_space", "bytes", true, "memory:alloc_space:bytes")]
    #[case("app.cpu", "bytes", false, "memory:samples:bytes")]
    #[case("app", "", true, "process_cpu:cpu:nanoseconds")]
    #[case("app.alloc_objects", "", true, "memory:alloc_objects:count")]
    fn a_suffix_must_fit_the_unit_of_a_speedscope_file(
        #[case] given: &str,
        #[case] unit: &str,
        #[case] alone: bool,
        #[case] expected: &str,
    ) {
        let (app, kind) = speedscope_kind(given, 100, &SampleType::new("x", unit), alone).unwrap();
        let read = format!("{}:{}:{}", kind.name, kind.sample_type.name, kind.sample_type.unit);
        assert_eq!((app.as_str(), read.as_str()), ("app", expected));
        // Only counted samples are worth the time between two of them.
        let worth = if unit.is_empty() && kind.period_type.is_some() { (10_000_000, 10_000_000) } else { (1, 0) };
        assert_eq!((kind.scale, kind.period), worth);
    }

    #[test]
    fn a_suffix_that_does_not_fit_the_unit_is_refused() {
        let error = speedscope_kind("app.cpu", 100, &SampleType::new("bytes", "bytes"), true).unwrap_err();
        let said = r#""app.cpu" says that cpu (nanoseconds) is counted, but the profile counts bytes"#;
        assert_eq!(error, Refused::Parameter("name", said.to_owned()));
    }

    #[test]
    fn an_unknown_suffix_is_refused() {
        assert!(matches!(text_kind("python.example", 100), Err(Refused::Parameter("name", _))));
    }

    #[rstest]
    #[case::go_cpu(&["samples", "cpu"], &[], "process_cpu")]
    #[case::heap(&["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"], &[], "memory")]
    #[case::mutex(&["contentions", "delay"], &[], "mutex")]
    #[case::block_as_configured(&["contentions", "delay"], &[("contentions", "block_count"), ("delay", "block_duration")], "block")]
    #[case::goroutines(&["goroutine"], &[], "goroutines")]
    #[case::wall(&["samples", "wall", "cpu"], &[], "wall")]
    #[case::fgprof(&["samples", "time"], &[], "wall")]
    #[case::node_heap(&["objects", "space"], &[], "memory")]
    #[case::python(&["sample", "CPU"], &[], "process_cpu")]
    #[case::dotnet(&["cpu", "exception", "alloc-size"], &[("alloc-size", "alloc_space")], "process_cpu")]
    #[case::its_own(&["exception"], &[], "exception")]
    fn a_pprof_is_named_by_its_sample_types(
        #[case] types: &[&str],
        #[case] shown: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let shown = shown.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pprof_name(types.iter().copied(), &shown), expected);
    }
}
