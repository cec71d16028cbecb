use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use bytes::Bytes;
use utoipa::openapi::OpenApi;

use super::background::Background;
use super::database::OpenDatabase;
use super::plan::{Plan, ProfileSource};
use super::ports::{Ports, Rooms};
use super::self_profile::{Profiler, ProfilerTarget};
use crate::config::Settings;
use crate::http::{self, RouteTable, Routes};
use crate::kernel::{Clock, IdSource, RandomIds, SystemClock};
use crate::sor::history::Spool;
use crate::telemetry::Metrics;

/// How long undelivered assessments are tried once more when the server stops.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// What a process takes from the world, so that tests can give it another.
#[derive(Clone)]
pub struct Surroundings {
    /// Where the present comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<dyn IdSource>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds) }
    }
}

/// A server that is ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    background: Background,
    profiler: Option<Profiler>,
    /// Whether its own profiles come to this server, rather than to a Pyroscope.
    profiles_itself: bool,
    spool: Option<Arc<Spool>>,
    database: Option<OpenDatabase>,
}

impl Application {
    /// Wires everything and begins to listen.
    ///
    /// # Errors
    /// Fails where the settings contradict each other or something the server cannot do without is missing.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        Self::build_in(settings, Surroundings::default()).await
    }

    /// The same, in other surroundings.
    ///
    /// # Errors
    /// As [`Application::build`].
    pub async fn build_in(settings: Settings, surroundings: Surroundings) -> anyhow::Result<Self> {
        let plan = Plan::of(&settings)?;
        for warning in plan.warnings() {
            tracing::warn!("{warning}");
        }
        // Before the database: who finds the port taken should not wait for it, nor start a cluster in vain.
        let listener = listen(&settings)?;
        let address = listener.local_addr()?;
        // As early as can be: what a server does to start is most of what an idle one ever has to show of itself.
        let profiler = profile_itself(&settings, &plan, address);
        let metrics = Metrics::of_process();
        let mut background = Background::new();
        if let Some(metrics) = metrics.clone() {
            background.every(Metrics::UPKEEP_EVERY, move || metrics.upkeep());
        }
        let database = OpenDatabase::open(&settings, &plan).await?;
        if let Some(database) = &database {
            let (db, migrate) = (database.db.clone(), settings.database.migrate);
            background.run_vital(async move { Ok(db.prepare(migrate).await?) });
        }
        let db = database.as_ref().map(|database| &database.db);
        let world = (surroundings.clock, surroundings.ids);
        let ports = Ports::resolve(&settings, &plan, world, db, &mut background)?;
        let spool = ports.spool.clone();
        let server = serve(&settings, listener, ports, Rooms::of(&plan), metrics)?;
        tracing::info!(functions = %plan.functions, "listening on http://{address}");
        let profiles_itself = plan.profiles == Some(ProfileSource::Embedded);
        Ok(Self { server, address, background, profiler, profiles_itself, spool, database })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is told to stop by SIGTERM, SIGINT or its handle. Then, in this order: it accepts no more, lets
    /// requests in flight finish, takes new connections to the database, since those of its workers ended with them, stops
    /// its profiler, flushes the spool, ends background tasks, closes the pool, stops the embedded database.
    ///
    /// # Errors
    /// Fails where the listener does, or something without which serving makes no sense.
    pub async fn run_until_stopped(mut self) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let ended = tokio::select! {
            ended = &mut self.server => ended.map_err(anyhow::Error::from),
            error = self.background.failed() => {
                handle.stop(true).await;
                Err(error)
            }
        };
        if let Some(database) = &self.database {
            database.db.renew().await;
        }
        tokio::join!(last_profile(self.profiler, self.profiles_itself), flush(self.spool));
        self.background.stop().await;
        if let Some(database) = self.database {
            database.close().await;
        }
        tracing::info!("stopped");
        ended
    }
}

/// Starts the profiler, where this process is to be profiled.
fn profile_itself(settings: &Settings, plan: &Plan, address: SocketAddr) -> Option<Profiler> {
    if !plan.self_profile {
        tracing::info!("not profiling itself");
        return None;
    }
    let target = ProfilerTarget::of_server(settings, address, &plan.functions.to_string());
    Profiler::start(target).inspect_err(|error| tracing::warn!(%error, "this process cannot be profiled")).ok()
}

/// Has the profiler send what it saw last, where somebody is left to take it.
async fn last_profile(profiler: Option<Profiler>, to_itself: bool) {
    match profiler {
        Some(profiler) if to_itself => profiler.abandon(),
        Some(profiler) => profiler.stop().await,
        None => {}
    }
}

async fn flush(spool: Option<Arc<Spool>>) {
    let Some(spool) = spool else { return };
    let left = spool.flush(FLUSH_WITHIN).await;
    if left > 0 {
        tracing::warn!(left, "assessments were not delivered; they are kept for the next start");
    }
}

fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.server.host, settings.server.port);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}: set PORT or HOST to another"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn serve(
    settings: &Settings,
    listener: TcpListener,
    ports: Ports,
    rooms: Rooms,
    metrics: Option<Metrics>,
) -> anyhow::Result<Server> {
    let document = document(&rooms);
    let metrics = web::Data::new(metrics);
    let table = web::Data::new(RouteTable::of(&document));
    let text = Bytes::from(serde_json::to_vec(&document)?);
    drop(document);
    let server = HttpServer::new(move || {
        App::new()
            .configure(|config| ports.lend(config))
            .configure(Routes::serve(|routes| rooms.open(routes)))
            .app_data(table.clone())
            .app_data(metrics.clone())
            .service(http::serve_document(text.clone()))
            .service(http::swagger_ui())
            .default_service(web::to(http::unknown_route))
            .wrap(from_fn(http::walk))
    });
    let server = match settings.server.workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    let seconds = settings.server.shutdown_timeout.max(Duration::from_secs(1)).as_secs();
    Ok(server.shutdown_timeout(seconds).listen(listener)?.run())
}

/// The document of what a server of these rooms serves.
fn document(rooms: &Rooms) -> OpenApi {
    http::with_its_own_tags(Routes::describe(http::document(), |routes| rooms.open(routes)))
}

/// The document of a server that serves everything.
pub fn openapi() -> OpenApi {
    document(&Rooms::all())
}
