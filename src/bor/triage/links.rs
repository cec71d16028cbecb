//! Where to look next: links with absolute times.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::domain::TriageRequest;
use crate::kernel::{ProfileType, Selector};

/// What a query value or path segment may hold unescaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How links are made.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings {
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

/// The flame graph of the same query, as a path on this server.
pub(super) fn flame_graph(request: &TriageRequest, kind: ProfileType) -> String {
    let (app, window) = (encoded(request.app.as_str()), request.window);
    let (from, to) = (window.from().timestamp(), window.to().timestamp());
    let mut link = format!("/profiles/{app}/flamegraph?type={kind}&from={from}&to={to}");
    let ([selector], labels) = Selector::beside_labels([&request.selector]);
    for (name, text) in [("selector", selector.to_string()), ("labels", labels.to_string())] {
        if !text.is_empty() {
            link.extend(["&", name, "=", &encoded(&text)]);
        }
    }
    link
}

/// The same query in Grafana's profiles app; it knows single profile types only, so the first.
pub(super) fn grafana(settings: &LinkSettings, request: &TriageRequest, profile_types: &[String]) -> Option<String> {
    let (grafana, profile_type) = (settings.grafana.as_ref()?, profile_types.first()?);
    let window = request.window;
    Some(format!(
        "{}/a/grafana-pyroscope-app/explore?explorationType=flame-graph&var-serviceName={}&var-profileMetricId={}\
         &var-dataSource={}&from={}&to={}",
        grafana.url.trim_end_matches('/'),
        encoded(request.app.as_str()),
        encoded(profile_type),
        encoded(&grafana.datasource_uid),
        window.from().timestamp_millis(),
        window.to().timestamp_millis(),
    ))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bor::triage::Requested;
    use crate::kernel::TimeWindow;
    use chrono::DateTime;

    fn request(app: &str, selector: &str) -> TriageRequest {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        TriageRequest {
            app: app.parse().unwrap(),
            window: TimeWindow::new(at(1_706_000_000), at(1_706_003_600)).unwrap(),
            types: Requested::Default,
            limit: 10,
            selector: selector.parse().unwrap(),
            requested_by: None,
        }
    }

    #[test]
    fn links_to_the_flame_graph_of_the_same_query() {
        assert_eq!(
            flame_graph(&request("größe/a b", "env=\"prod\""), ProfileType::Cpu),
            "/profiles/gr%C3%B6%C3%9Fe%2Fa%20b/flamegraph?type=cpu&from=1706000000&to=1706003600&selector=env%3D%22prod%22"
        );
    }

    #[test]
    fn links_to_grafana_where_it_is_configured() {
        let types = ["process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned()];
        let settings = LinkSettings {
            grafana: Some(Grafana { url: "https://grafana.example/".into(), datasource_uid: "pyro".into() }),
        };
        assert_eq!(grafana(&LinkSettings::default(), &request("a", ""), &types), None);
        assert_eq!(
            grafana(&settings, &request("a", ""), &types).as_deref(),
            Some(
                "https://grafana.example/a/grafana-pyroscope-app/explore?explorationType=flame-graph&var-serviceName=a\
                 &var-profileMetricId=process_cpu%3Acpu%3Ananoseconds%3Acpu%3Ananoseconds&var-dataSource=pyro\
                 &from=1706000000000&to=1706003600000"
            )
        );
    }
}
