//! Opens the database of the settings: an external one, or the embedded one of this process.

use std::path::Path;
use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{EmbeddedSettings, options_behind};
use crate::config::{ConnectTo, DatabaseSettings, SslMode};

/// The configured URL is not valid. Its text is not repeated, since it contains a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("database.url (DATABASE_URL) cannot be read as a PostgreSQL URL")]
pub struct InvalidUrl;

/// How to run the embedded database by these settings.
pub fn embedded_settings(settings: &DatabaseSettings, data_dir: &Path) -> EmbeddedSettings {
    EmbeddedSettings { binaries: settings.binaries_dir.clone(), ..EmbeddedSettings::new(data_dir) }
}

/// How to connect; `None` for the embedded database.
///
/// # Errors
/// The URL is not valid.
pub fn options_of(settings: &DatabaseSettings) -> Result<Option<PgConnectOptions>, InvalidUrl> {
    let options = connect_to(&settings.connect_to)?;
    Ok(options.map(|options| options_behind(settings.pooler, options)))
}

fn connect_to(connect_to: &ConnectTo) -> Result<Option<PgConnectOptions>, InvalidUrl> {
    Ok(match connect_to {
        ConnectTo::Embedded => None,
        ConnectTo::Url(url) => Some(PgConnectOptions::from_str(url.expose_secret()).map_err(|_| InvalidUrl)?),
        ConnectTo::Parts { host, port, name, user, password, sslmode } => Some(
            PgConnectOptions::new_without_pgpass()
                .host(host)
                .port(*port)
                .database(name)
                .username(user)
                .password(password.expose_secret())
                .ssl_mode(match sslmode {
                    SslMode::Disable => PgSslMode::Disable,
                    SslMode::Allow => PgSslMode::Allow,
                    SslMode::Prefer => PgSslMode::Prefer,
                    SslMode::Require => PgSslMode::Require,
                    SslMode::VerifyCa => PgSslMode::VerifyCa,
                    SslMode::VerifyFull => PgSslMode::VerifyFull,
                }),
        ),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn parts_become_options() {
        let parts = ConnectTo::Parts {
            host: "db.example".into(),
            port: 6432,
            name: "prof".into(),
            user: "me".into(),
            password: SecretString::from("p@ss/word"),
            sslmode: SslMode::VerifyFull,
        };
        let options = connect_to(&parts).unwrap().unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("db.example", 6432));
        assert_eq!((options.get_username(), options.get_database()), ("me", Some("prof")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn a_url_becomes_options_and_embedded_none() {
        let url = ConnectTo::Url(SecretString::from("postgres://me@db.example:6432/prof?sslmode=require"));
        let options = connect_to(&url).unwrap().unwrap();
        assert_eq!(
            (options.get_host(), options.get_port(), options.get_database()),
            ("db.example", 6432, Some("prof"))
        );
        assert!(connect_to(&ConnectTo::Embedded).unwrap().is_none());
    }
}
