//! A live server of some routes, for conformance suites over HTTP.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{App, Error, HttpMessage, HttpServer};

use super::call::announced;
use super::client::{Outward, OutwardSettings};
use crate::kernel::Caller;

/// A server on a free port of loopback; it stops when dropped.
pub(crate) struct Served {
    base: url::Url,
    handle: ServerHandle,
}

impl Served {
    /// Serves what `configure` mounts.
    pub(crate) fn with(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        let server = HttpServer::new(move || App::new().configure(configure.clone()).wrap(from_fn(believe)));
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

/// Believes whom a request is announced for, as a whole server does where a peer is known by its credentials.
pub(crate) async fn believe<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let (Some(actor), client) = announced(request.headers())? {
        request.extensions_mut().insert(Caller { actor, client, projects: None });
    }
    next.call(request).await
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
