use url::Url;

use super::reader::Reader;

/// Section `links`.
#[derive(Debug, Clone)]
pub struct LinksSettings {
    /// A Grafana with the profiles app, and the uid of its Pyroscope data source; `None`: no links to one.
    pub grafana: Option<(Url, String)>,
}

impl LinksSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let url = reader.url("links.grafana_url");
        let uid = reader.text("links.grafana_datasource_uid");
        match (&url, &uid) {
            (Some(Some(_)), None) => {
                reader.refuse("links.grafana_datasource_uid", "must be set, as links.grafana_url is");
            }
            (Some(None), Some(_)) => {
                reader.refuse("links.grafana_datasource_uid", "has no use without links.grafana_url");
            }
            _ => {}
        }
        Some(Self { grafana: url?.zip(uid) })
    }
}
