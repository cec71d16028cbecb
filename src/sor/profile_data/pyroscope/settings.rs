use std::time::Duration;

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::profile::Budget;

/// How to reach a Pyroscope server. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct PyroscopeSettings {
    /// Its address. A path is kept as a prefix.
    pub url: Url,
    /// The tenant, sent as `X-Scope-OrgID`.
    pub tenant: Option<SecretString>,
    /// How this server authenticates.
    pub credentials: Option<Credentials>,
    /// Deadline of one call, and of one query with all its calls.
    pub timeout: Duration,
    /// Largest answer taken, in bytes, after decompression.
    pub max_answer_bytes: usize,
    /// How many bytes of merged profiles of closed windows are cached.
    pub cache_bytes: u64,
    /// The process's memory budget for inflated bytes.
    pub budget: Budget,
}

/// How this server authenticates.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// `user:password`, for HTTP's basic scheme.
    Basic(SecretString),
    /// A bearer token.
    Bearer(SecretString),
}

/// A credential or tenant contains characters that a header cannot carry.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSource {
    /// The tenant.
    #[error("the tenant holds characters that no header can carry")]
    Tenant,
    /// User, password or token.
    #[error("the credentials hold characters that no header can carry")]
    Credentials,
    /// The HTTP client cannot be built.
    #[error("no client can be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl PyroscopeSettings {
    /// The defaults for a server at this address: no tenant, no credentials, a deadline of 30 s, answers up to 64 MiB,
    /// a cache of 32 MiB and a memory budget of its own.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            tenant: None,
            credentials: None,
            timeout: Duration::from_secs(30),
            max_answer_bytes: 64 << 20,
            cache_bytes: 32 << 20,
            budget: Budget::default(),
        }
    }
}

impl Credentials {
    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> Result<SecretString, InvalidSource> {
        let value = match self {
            Self::Basic(pair) => {
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose_secret()))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        };
        reqwest::header::HeaderValue::from_str(&value).map_err(|_| InvalidSource::Credentials)?;
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret_when_printed() {
        let mut settings = PyroscopeSettings::new("http://localhost:4040".parse().unwrap());
        settings.tenant = Some("tenant-7".to_owned().into());
        settings.credentials = Some(Credentials::Basic("1234:hunter2".to_owned().into()));
        let printed = format!("{settings:?} {:?}", Credentials::Bearer("glc_hunter2".to_owned().into()));
        assert!(!printed.contains("hunter2") && !printed.contains("tenant-7"), "{printed}");
    }

    #[test]
    fn writes_both_schemes() {
        let basic = Credentials::Basic("1234:hunter2".to_owned().into()).header().unwrap();
        assert_eq!(basic.expose_secret(), "Basic MTIzNDpodW50ZXIy");
        let bearer = Credentials::Bearer("abc".to_owned().into()).header().unwrap();
        assert_eq!(bearer.expose_secret(), "Bearer abc");
    }

    #[test]
    fn refuses_a_token_that_would_break_the_header() {
        assert!(matches!(Credentials::Bearer("a\nb".to_owned().into()).header(), Err(InvalidSource::Credentials)));
    }
}
