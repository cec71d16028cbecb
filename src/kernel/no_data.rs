use std::fmt;

/// Why a query found no data. A source that cannot tell says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoDataReason {
    /// The app never sent this kind of profile. A Pyroscope server is asked about the window, or, if the app is silent
    /// in it, about the last day with profiles.
    KindNeverSent,
    /// The app has such profiles, but the selector matches none of their series.
    NoSeriesMatches,
    /// The app sends such profiles, and none came in the window.
    NoneInWindow,
    /// Profiles came in the window, without a single sample.
    WithoutSamples,
}

impl NoDataReason {
    /// The name in answers and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KindNeverSent => "kind_never_sent",
            Self::NoSeriesMatches => "no_series_matches",
            Self::NoneInWindow => "none_in_window",
            Self::WithoutSamples => "without_samples",
        }
    }
}

impl fmt::Display for NoDataReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
