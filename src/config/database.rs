use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::Reader;

/// How a connection is encrypted, in the words of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "PostgreSQL's own names")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What is between this process and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that gives each connection a session of its own.
    None,
    /// A pooler that may run each transaction in another session, such as PgBouncer with `pool_mode = transaction`.
    Transaction,
}

/// Which database.
#[derive(Debug, Clone)]
pub enum ConnectTo {
    /// One that this process runs itself.
    Embedded,
    /// The one of this URL.
    Url(SecretString),
    /// The one of these parts.
    Parts {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Database.
        name: String,
        /// Role.
        user: String,
        /// Its password.
        password: SecretString,
        /// Encryption.
        sslmode: SslMode,
    },
}

/// Section `database`.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Which one.
    pub connect_to: ConnectTo,
    /// The pooler in front of it.
    pub pooler: Pooler,
    /// Connections at most; `None`: decided by what the process serves.
    pub pool_size: Option<u32>,
    /// Idle connections at most; `None`: as many as the pool holds.
    pub max_idle: Option<u32>,
    /// Age at which a connection is closed.
    pub max_lifetime: Duration,
    /// Idle time after which a connection is closed.
    pub max_idle_time: Duration,
    /// How long a request waits for a connection.
    pub connect_timeout: Duration,
    /// How long a statement may run.
    pub query_timeout: Duration,
    /// Whether the schema is brought up to date at start.
    pub migrate: bool,
    /// Where the programs of an embedded database are; `None`: found or downloaded.
    pub binaries_dir: Option<PathBuf>,
}

const PARTS: [(&str, &str); 4] = [
    ("database.host", "DB_HOST"),
    ("database.name", "DB_NAME"),
    ("database.user", "DB_USER"),
    ("database.password", "DB_PASSWORD"),
];

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let connect_to = connect_to(reader);
        let pooler = reader.required("database.pooler", "none or transaction", |text| match text {
            "none" => Some(Pooler::None),
            "transaction" => Some(Pooler::Transaction),
            _ => None,
        });
        if let (Some(ConnectTo::Embedded), Some(Pooler::Transaction)) = (&connect_to, pooler) {
            reader
                .refuse("database.pooler", "has no use without database.url (DATABASE_URL) or database.host (DB_HOST)");
        }
        let pool_size = reader.optional_number("database.pool_size", 1..=1_000_u32);
        let max_idle = reader.optional_number("database.max_idle", 0..=1_000_u32);
        if let (Some(Some(pool)), Some(Some(idle))) = (pool_size, max_idle)
            && idle > pool
        {
            reader.refuse("database.max_idle", format!("must not be over database.pool_size, {pool}"));
        }
        let max_lifetime = reader.duration("database.max_lifetime");
        let max_idle_time = reader.duration("database.max_idle_time");
        let connect_timeout = reader.duration("database.connect_timeout");
        let query_timeout = reader.duration("database.query_timeout");
        let migrate = reader.flag("database.migrate");
        let binaries_dir = reader.text("database.binaries_dir").map(PathBuf::from);
        Some(Self {
            connect_to: connect_to?,
            pooler: pooler?,
            pool_size: pool_size?,
            max_idle: max_idle?,
            max_lifetime: max_lifetime?,
            max_idle_time: max_idle_time?,
            connect_timeout: connect_timeout?,
            query_timeout: query_timeout?,
            migrate: migrate?,
            binaries_dir,
        })
    }
}

fn connect_to(reader: &mut Reader) -> Option<ConnectTo> {
    let url = reader.secret("database.url");
    let port = reader.number("database.port", 1..=u16::MAX);
    let sslmode =
        reader.required("database.sslmode", "disable, allow, prefer, require, verify-ca or verify-full", |text| {
            match text {
                "disable" => Some(SslMode::Disable),
                "allow" => Some(SslMode::Allow),
                "prefer" => Some(SslMode::Prefer),
                "require" => Some(SslMode::Require),
                "verify-ca" => Some(SslMode::VerifyCa),
                "verify-full" => Some(SslMode::VerifyFull),
                _ => None,
            }
        });
    let given: Vec<_> = PARTS.iter().filter(|(key, _)| reader.is_given(key)).collect();
    if let Some(url) = url {
        let valid = Url::parse(url.expose_secret()).is_ok_and(|u| matches!(u.scheme(), "postgres" | "postgresql"));
        if !valid {
            reader.refuse("database.url", "must be a URL such as postgres://user:password@host:5432/name");
        }
        for (key, _) in &given {
            reader.refuse(key, "must not be set together with database.url (DATABASE_URL)");
        }
        return (valid && given.is_empty()).then_some(ConnectTo::Url(url));
    }
    if given.is_empty() {
        for key in ["database.port", "database.sslmode"] {
            if reader.is_given(key) {
                reader.refuse(key, "has no use without database.host (DB_HOST)");
            }
        }
        return Some(ConnectTo::Embedded);
    }
    for (key, name) in PARTS.iter().filter(|part| !given.contains(part)) {
        let others: Vec<_> = given.iter().map(|(_, name)| *name).collect();
        reader.refuse(key, format!("({name}) must be set, as {} is", others.join(", ")));
    }
    Some(ConnectTo::Parts {
        host: reader.text("database.host")?,
        port: port?,
        name: reader.text("database.name")?,
        user: reader.text("database.user")?,
        password: reader.secret("database.password")?,
        sslmode: sslmode?,
    })
}
