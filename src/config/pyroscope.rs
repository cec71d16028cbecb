use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::Reader;

/// How this server authenticates with a Pyroscope server.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// `user:password`.
    Basic(SecretString),
    /// A bearer token.
    Token(SecretString),
}

/// Section `pyroscope`.
#[derive(Debug, Clone)]
pub struct PyroscopeSettings {
    /// Its address. `None`: there is none.
    pub url: Option<Url>,
    /// Tenant, sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Credentials.
    pub credentials: Option<Credentials>,
    /// Deadline of one call.
    pub timeout: Duration,
}

impl PyroscopeSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let url = reader.url("pyroscope.url");
        let tenant = reader.optional("pyroscope.tenant", "printable ASCII", |text| {
            text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned())
        });
        let (basic, token) = (reader.secret("pyroscope.basic_auth"), reader.secret("pyroscope.token"));
        if basic.as_ref().is_some_and(|basic| !basic.expose_secret().contains(':')) {
            reader.refuse("pyroscope.basic_auth", "must be user:password");
        }
        if basic.is_some() && token.is_some() {
            reader.refuse("pyroscope.token", "must not be set together with pyroscope.basic_auth");
        }
        if matches!(&url, Some(None)) {
            for key in ["pyroscope.tenant", "pyroscope.basic_auth", "pyroscope.token"] {
                if reader.is_given(key) {
                    reader.refuse(key, "has no use without pyroscope.url (PYROSCOPE_URL)");
                }
            }
        }
        let timeout = reader.duration("pyroscope.timeout");
        Some(Self {
            url: url?,
            tenant: tenant?,
            credentials: basic.map(Credentials::Basic).or(token.map(Credentials::Token)),
            timeout: timeout?,
        })
    }
}
