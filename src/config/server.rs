use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::function::Functions;
use super::reader::Reader;
use super::sor::url_keys;

/// Section `server`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where people reach this server, for links in what they are told; `None`: at its own address.
    pub public_url: Option<Url>,
    /// What this process serves.
    pub functions: Functions,
    /// Where it keeps files.
    pub data_dir: PathBuf,
    /// How long requests in flight may take once the server is asked to stop.
    pub shutdown_timeout: Duration,
    /// Threads that serve requests; `None`: one per core.
    pub workers: Option<usize>,
}

impl ServerSettings {
    pub(super) fn read(reader: &mut Reader, functions: &[&'static str]) -> Option<Self> {
        let host = reader.required("server.host", "an IP address such as 127.0.0.1, 0.0.0.0 or ::1", |text| {
            if text == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { text.parse().ok() }
        });
        let port = reader.number("server.port", 0..=u16::MAX);
        let public_url = reader.url("server.public_url");
        let functions = match Functions::parse(&reader.text("server.function").unwrap_or_default(), functions) {
            Ok(functions) => Some(functions),
            Err(error) => {
                reader.refuse("server.function", error.to_string());
                None
            }
        };
        let data_dir = match reader.text("server.data_dir") {
            Some(text) => std::path::absolute(text).ok(),
            None => default_data_dir(),
        };
        if data_dir.is_none() {
            reader.refuse("server.data_dir", "must be set: this user has no home directory");
        }
        let shutdown_timeout = reader.duration("server.shutdown_timeout");
        let workers = reader.number("server.workers", 0..=1_024_usize);
        Some(Self {
            host: host?,
            port: port?,
            public_url: public_url?,
            functions: functions?,
            data_dir: data_dir?,
            shutdown_timeout: shutdown_timeout?,
            workers: workers.map(|workers| Some(workers).filter(|workers| *workers > 0))?,
        })
    }

    /// A server must not call itself.
    pub(super) fn refuse_own_urls(&self, reader: &mut Reader) {
        let sors = url_keys(reader.keys()).map(str::to_owned);
        for key in sors.chain(["pyroscope.url".to_owned()]).collect::<Vec<_>>() {
            let key = key.as_str();
            let url = reader.text(key).and_then(|text| Url::parse(&text).ok());
            if url.is_some_and(|url| self.listens_at(&url)) {
                reader.refuse(key, "is the address that this server itself listens on");
            }
        }
    }

    fn listens_at(&self, url: &Url) -> bool {
        let own = |address: IpAddr| {
            address == self.host || address.is_unspecified() || (address.is_loopback() && self.host.is_unspecified())
        };
        let local = self.host.is_unspecified() || self.host.is_loopback();
        url.port_or_known_default() == Some(self.port)
            && match url.host() {
                Some(Host::Domain(name)) => local && (name == "localhost" || name.ends_with(".localhost")),
                Some(Host::Ipv4(address)) => own(address.into()),
                Some(Host::Ipv6(address)) => own(address.into()),
                None => false,
            }
    }
}

/// `/var/lib/flamewarden` for root, else `flamewarden/` in the user's data directory.
fn default_data_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/flamewarden"));
    }
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = set("XDG_DATA_HOME").or_else(|| {
        let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
        set("HOME").map(|home| home.join(below))
    });
    data.map(|data| data.join("flamewarden"))
}
