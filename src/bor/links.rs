//! Links to where to look next, with absolute times.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::kernel::{Selector, TimeWindow};
use crate::sor::profile_data::ProfileQuery;

/// The characters of a query value or path segment that are not escaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How links are made.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings {
    /// Where people reach this server, without a trailing slash; empty: links are paths.
    pub base: String,
    /// Where Grafana shows the same profiles, if anywhere.
    pub grafana: Option<Grafana>,
}

/// A Grafana with the profiles app.
#[derive(Debug, Clone)]
pub struct Grafana {
    /// Its address, without a trailing slash.
    pub url: String,
    /// The uid of its Pyroscope data source.
    pub datasource_uid: String,
}

/// The flame graph of a query, as a path on this server.
pub(super) fn flame_graph(query: &ProfileQuery) -> String {
    let mut link = begun(query);
    let ([selector], labels) = Selector::beside_labels([&query.selector]);
    push(&mut link, "selector", &selector.to_string());
    push(&mut link, "labels", &labels.to_string());
    link
}

/// The flame graph of a query against a baseline.
pub(super) fn differential(query: &ProfileQuery, baseline: TimeWindow, baseline_selector: &Selector) -> String {
    let mut link = begun(query);
    let ([selector, before], labels) = Selector::beside_labels([&query.selector, baseline_selector]);
    push(&mut link, "selector", &selector.to_string());
    push(&mut link, "labels", &labels.to_string());
    push_window(&mut link, ["baselineFrom", "baselineTo"], baseline);
    if before != selector {
        let _ = write!(link, "&baselineSelector={}", encoded(&before.to_string()));
    }
    link
}

fn begun(query: &ProfileQuery) -> String {
    let mut link = format!("/profiles/{}/flamegraph?type={}", encoded(query.app.as_str()), query.kind);
    push_window(&mut link, ["from", "to"], query.window);
    link
}

/// The query in Grafana's profiles app. The app shows one profile type, so the first is taken.
pub(super) fn grafana(settings: &LinkSettings, query: &ProfileQuery, profile_types: &[String]) -> Option<String> {
    let (grafana, profile_type) = (settings.grafana.as_ref()?, profile_types.first()?);
    Some(format!(
        "{}/a/grafana-pyroscope-app/explore?explorationType=flame-graph&var-serviceName={}&var-profileMetricId={}\
         &var-dataSource={}&from={}&to={}",
        grafana.url.trim_end_matches('/'),
        encoded(query.app.as_str()),
        encoded(profile_type),
        encoded(&grafana.datasource_uid),
        query.window.from().timestamp_millis(),
        query.window.to().timestamp_millis(),
    ))
}

fn push_window(link: &mut String, [from, to]: [&str; 2], window: TimeWindow) {
    let _ = write!(link, "&{from}={}&{to}={}", window.from().timestamp(), window.to().timestamp());
}

/// Adds a parameter, unless it is empty.
fn push(link: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        let _ = write!(link, "&{name}={}", encoded(text));
    }
}

/// Escapes a text for a path segment or a query value.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ProfileType;
    use chrono::DateTime;

    fn window(from: i64, to: i64) -> TimeWindow {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        TimeWindow::new(at(from), at(to)).unwrap()
    }

    fn query(app: &str, selector: &str) -> ProfileQuery {
        ProfileQuery {
            app: app.parse().unwrap(),
            kind: ProfileType::Cpu,
            window: window(1_706_000_000, 1_706_003_600),
            selector: selector.parse().unwrap(),
            tenant: None,
        }
    }

    #[test]
    fn links_to_the_flame_graph_of_the_same_query() {
        assert_eq!(
            flame_graph(&query("größe/a b", "env=\"prod\"")),
            "/profiles/gr%C3%B6%C3%9Fe%2Fa%20b/flamegraph?type=cpu&from=1706000000&to=1706003600&selector=env%3D%22prod%22"
        );
    }

    #[test]
    fn links_to_the_difference_from_a_baseline() {
        let baseline = window(1_705_996_400, 1_706_000_000);
        let ours = "/profiles/shop/flamegraph?type=cpu&from=1706000000&to=1706003600";
        assert_eq!(
            differential(&query("shop", ""), baseline, &Selector::default()),
            format!("{ours}&baselineFrom=1705996400&baselineTo=1706000000")
        );
        assert_eq!(
            differential(&query("shop", "v=\"2\""), baseline, &Selector::default()),
            format!("{ours}&selector=v%3D%222%22&baselineFrom=1705996400&baselineTo=1706000000&baselineSelector=")
        );
    }

    #[test]
    fn links_to_grafana_where_it_is_configured() {
        let types = ["process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned()];
        assert_eq!(grafana(&LinkSettings::default(), &query("shop", ""), &types), None);
        let settings = LinkSettings {
            base: String::new(),
            grafana: Some(Grafana { url: "https://g.example/".into(), datasource_uid: "u1".into() }),
        };
        assert_eq!(
            grafana(&settings, &query("shop", ""), &types).unwrap(),
            "https://g.example/a/grafana-pyroscope-app/explore?explorationType=flame-graph&var-serviceName=shop\
             &var-profileMetricId=process_cpu%3Acpu%3Ananoseconds%3Acpu%3Ananoseconds&var-dataSource=u1\
             &from=1706000000000&to=1706003600000"
        );
        assert_eq!(grafana(&settings, &query("shop", ""), &[]), None);
    }
}
