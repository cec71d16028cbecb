/// What a port answers when it cannot do its work. Small, closed, and the same after a trip over HTTP.
///
/// "Not found" is not an error: lookups return `Option`. The text is for the log; `Invalid` and `Conflict` carry
/// a text that may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The write contradicts what is stored.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The request can never succeed as it is.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The other side cannot be reached, refuses, or gives an invalid answer.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The other side is starting and serves nothing yet. The text may be shown to the caller.
    #[error("starting: {0}")]
    Starting(String),
    /// The other side refused our credentials.
    #[error("denied: {0}")]
    Denied(String),
    /// No answer within the deadline.
    #[error("timed out: {0}")]
    Timeout(String),
    /// Too much work at once; try again after `retry_after_s` seconds.
    #[error("overloaded: {detail}")]
    Overloaded {
        /// What was full.
        detail: String,
        /// Seconds to wait before another try.
        retry_after_s: u32,
    },
    /// The call was cancelled. This never travels over HTTP, where the connection is closed.
    #[error("cancelled by the caller")]
    Cancelled,
    /// A fault of our own, such as a row that breaks an invariant.
    #[error("internal: {0}")]
    Internal(String),
}

/// The result of a port call.
pub type PortResult<T> = Result<T, PortError>;

impl PortError {
    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Starting(_) | Self::Timeout(_) | Self::Overloaded { .. })
    }
}
