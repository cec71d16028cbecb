//! The one table of error codes.

use actix_web::http::StatusCode;

/// What a code means to a caller.
#[derive(Debug, Clone, Copy)]
pub struct CodeRow {
    /// The code in answers.
    pub id: &'static str,
    /// The status it comes with.
    pub status: u16,
    /// A short title, the same for every occurrence.
    pub title: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

macro_rules! codes {
    ($($variant:ident = $id:literal, $status:literal, $title:literal, $retryable:literal;)+) => {
        /// A machine-readable error code; clients branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the table's titles say it")]
        pub enum Code { $($variant,)+ }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The table's row.
            pub fn row(self) -> CodeRow {
                match self {
                    $(Self::$variant => CodeRow { id: $id, status: $status, title: $title, retryable: $retryable },)+
                }
            }
        }
    };
}

codes! {
    ParameterInvalid = "parameter_invalid", 400, "A parameter is missing or invalid", false;
    ParameterUnknown = "parameter_unknown", 400, "A parameter is unknown", false;
    BodyInvalid = "body_invalid", 400, "The body is not what this route takes", false;
    ProfileTypeUnknown = "profile_type_unknown", 400, "The profile type is unknown", false;
    WindowInvalid = "window_invalid", 400, "The time window is invalid", false;
    WindowsOverlap = "windows_overlap", 400, "The time windows overlap", false;
    TimeOutOfRange = "time_out_of_range", 400, "The time is outside what is accepted", false;
    Unauthenticated = "unauthenticated", 401, "The server does not know who asks", false;
    Forbidden = "forbidden", 403, "The caller may not do this", false;
    HostRefused = "host_refused", 403, "The request names another machine as its host", false;
    AppUnknown = "app_unknown", 404, "The app is unknown", false;
    BaselineUnknown = "baseline_unknown", 404, "The baseline is unknown", false;
    HistoryUnknown = "history_unknown", 404, "The history entry is unknown", false;
    ServiceUnknown = "service_unknown", 404, "The service is not registered", false;
    RuleUnknown = "rule_unknown", 404, "The alert rule is unknown", false;
    AlertUnknown = "alert_unknown", 404, "The alert is unknown", false;
    SilenceUnknown = "silence_unknown", 404, "The silence is unknown", false;
    ChannelUnknown = "channel_unknown", 404, "The channel is not defined", false;
    NotificationUnknown = "notification_unknown", 404, "The notification is unknown", false;
    JobUnknown = "job_unknown", 404, "The job is unknown", false;
    MetricUnknown = "metric_unknown", 404, "No metric has this id", false;
    SpanUnknown = "span_unknown", 404, "No span has this id", false;
    TraceUnknown = "trace_unknown", 404, "No trace has this id", false;
    OperationUnknown = "operation_unknown", 404, "No operation is of this type", false;
    LatencyBaselineUnknown = "latency_baseline_unknown", 404, "No limit of an operation has this id", false;
    LatencyAlertUnknown = "latency_alert_unknown", 404, "No alert of an operation has this id", false;
    RouteUnknown = "route_unknown", 404, "The route is unknown", false;
    ReceiverOff = "receiver_off", 404, "This server takes no profiles", false;
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here", false;
    Conflict = "conflict", 409, "The write contradicts what is stored", false;
    BodyTooLarge = "body_too_large", 413, "The body is too large", false;
    ProfileTooLarge = "profile_too_large", 413, "The profile is over a limit", false;
    ContentTypeUnsupported = "content_type_unsupported", 415, "The content type is not supported", false;
    SamplesInsufficient = "samples_insufficient", 422, "Too few operations to learn a limit from", false;
    ProfileUnreadable = "profile_unreadable", 422, "The profile cannot be read", false;
    RateLimited = "rate_limited", 429, "Too many bad credentials came from this address", true;
    Internal = "internal", 500, "An internal error", false;
    ProfileSourceFailed = "profile_source_failed", 502, "The source of profiles failed", true;
    ProfileSourceDenied = "profile_source_denied", 502, "The source of profiles refused our credentials", false;
    DatabaseUnavailable = "database_unavailable", 503, "The database is away", true;
    Overloaded = "overloaded", 503, "Too much work at once", true;
    ProfileSourceBusy = "profile_source_busy", 503, "The source of profiles is busy", true;
    NotReady = "not_ready", 503, "The server is not ready", true;
    Timeout = "timeout", 504, "No answer in time", true;
}

impl Code {
    /// The code in answers.
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// The status it comes with.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code of that id, as another Flamewarden sent it.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_unique_and_has_a_status() {
        let mut ids: Vec<_> = Code::ALL.iter().map(|c| c.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|c| c.status().as_u16() == c.row().status));
    }
}
