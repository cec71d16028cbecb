//! A live server of some routes, for conformance suites over HTTP.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

use super::client::{Outward, OutwardSettings};

/// A server on a free port of loopback; it stops when dropped.
pub(crate) struct Served {
    base: url::Url,
    handle: ServerHandle,
}

impl Served {
    /// Serves what `configure` mounts.
    pub(crate) fn with(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        let server = HttpServer::new(move || App::new().configure(configure.clone()));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]).parse().unwrap();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { base, handle }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Outward {
        let settings = OutwardSettings {
            base: self.base.clone(),
            timeout: Duration::from_secs(10),
            max_answer_bytes: 64 << 20,
            authorization: None,
        };
        Outward::new(settings).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
