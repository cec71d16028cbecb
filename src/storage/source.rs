//! The database that the settings name: somebody else's, or the embedded one of this process.

use std::path::Path;
use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Db, Embedded, EmbeddedError, EmbeddedSettings, PoolSettings};
use crate::config::{ConnectTo, DatabaseSettings, SslMode};

/// Why the database that the settings name cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The embedded database does not start.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The URL is none.
    #[error("DATABASE_URL cannot be read: {0}")]
    Url(sqlx::Error),
}

/// The database of a process: the pool, and the server behind it where this process runs it.
#[derive(Debug)]
pub struct Database {
    db: Db,
    embedded: Option<Embedded>,
}

impl Database {
    /// Opens the database of the settings. The embedded one is started, and there when this returns; any other is
    /// connected to when it is asked first.
    ///
    /// # Errors
    /// What no waiting mends: see [`EmbeddedError`].
    pub async fn open(
        settings: &DatabaseSettings,
        data_dir: &Path,
        default_pool_size: u32,
    ) -> Result<Self, SourceError> {
        let (options, embedded) = if let Some(options) = options_of(&settings.connect_to)? {
            (options, None)
        } else {
            let embedded = Embedded::start(embedded_settings(settings, data_dir)).await?;
            (embedded.connect_options(), Some(embedded))
        };
        let size = settings.pool_size.unwrap_or(default_pool_size).max(1);
        let pool = PoolSettings {
            size,
            max_idle: settings.max_idle.unwrap_or(size),
            max_lifetime: settings.max_lifetime,
            max_idle_time: settings.max_idle_time,
            connect_timeout: settings.connect_timeout,
            query_timeout: settings.query_timeout,
        };
        Ok(Self { db: Db::open(options, pool), embedded })
    }

    /// The way to it.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The server behind it, where this process runs it.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// Closes the pool, then stops the server behind it; the last step of a shutdown.
    pub async fn close(self) {
        self.db.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// How to run the embedded database by these settings.
pub fn embedded_settings(settings: &DatabaseSettings, data_dir: &Path) -> EmbeddedSettings {
    EmbeddedSettings { binaries: settings.binaries_dir.clone(), ..EmbeddedSettings::new(data_dir) }
}

/// How to connect; `None` for the embedded database.
///
/// # Errors
/// A URL that is none.
pub fn options_of(connect_to: &ConnectTo) -> Result<Option<PgConnectOptions>, SourceError> {
    Ok(match connect_to {
        ConnectTo::Embedded => None,
        ConnectTo::Url(url) => Some(PgConnectOptions::from_str(url.expose_secret()).map_err(SourceError::Url)?),
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
        let options = options_of(&parts).unwrap().unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("db.example", 6432));
        assert_eq!((options.get_username(), options.get_database()), ("me", Some("prof")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }

    #[test]
    fn a_url_becomes_options_and_embedded_none() {
        let url = ConnectTo::Url(SecretString::from("postgres://me@db.example:6432/prof?sslmode=require"));
        let options = options_of(&url).unwrap().unwrap();
        assert_eq!(
            (options.get_host(), options.get_port(), options.get_database()),
            ("db.example", 6432, Some("prof"))
        );
        assert!(options_of(&ConnectTo::Embedded).unwrap().is_none());
    }
}
