use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use utoipa::openapi::OpenApi;

use super::access::{self, AccessWatch};
use super::background::Background;
use super::database::OpenDatabase;
use super::health::HealthSources;
use super::placement::Placement;
use super::plan::Plan;
use super::rooms::{self, Kind, ROOMS};
use super::scheduler;
use super::self_profile::{Profiler, ProfilerTarget};
use super::wiring::{Offers, Wiring};
use crate::bor::{Grafana, LinkSettings};
use crate::config::Settings;
use crate::http::{self, RouteTable, Routes};
use crate::identity::{self, Token};
use crate::kernel::{Clock, IdSource, RandomIds, SystemClock};
use crate::storage::PoolWatch;
use crate::telemetry::Metrics;

/// How long a connection without a request is kept. Profilers send every 10 to 15 s: each keeps its connection, and none
/// sends at the moment in which the server closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What a process takes from its environment, so that tests can replace it.
#[derive(Clone)]
pub struct TimeAndIds {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<dyn IdSource>,
}

impl Default for TimeAndIds {
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
    /// Work that rooms registered for the end.
    endings: Vec<BoxFuture<'static, ()>>,
    database: Option<OpenDatabase>,
}

impl Application {
    /// Wires everything and begins to listen.
    ///
    /// # Errors
    /// Fails where the settings contradict each other or something the server cannot do without is missing.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        Self::build_with(settings, TimeAndIds::default()).await
    }

    /// The same, with this clock and these ids.
    ///
    /// # Errors
    /// As [`Application::build`].
    pub async fn build_with(settings: Settings, time_and_ids: TimeAndIds) -> anyhow::Result<Self> {
        let plan = Plan::of(&settings)?;
        for warning in plan.warnings() {
            tracing::warn!("{warning}");
        }
        // Before the database, so that a start with a taken port ends at once and starts no cluster.
        let listener = listen(&settings)?;
        let address = listener.local_addr()?;
        // As early as possible, because the start is most of what an idle server's profile shows.
        let token = Token::random()?;
        let profiler = profile_itself(&settings, &plan, address, &token);
        let metrics = Metrics::of_process();
        let mut background = Background::new();
        if let Some(metrics) = metrics.clone() {
            background.every(Metrics::UPKEEP_EVERY, move || metrics.upkeep());
        }
        let clock = Arc::clone(&time_and_ids.clock);
        let access = access::control(&settings, &plan, Some(&token), clock, &mut background)?;
        let database = OpenDatabase::open(&settings, &plan).await?;
        if let Some(database) = &database {
            let (db, migrate) = (database.db.clone(), settings.database.migrate);
            let mut pool = db.watch_pool();
            background.every(PoolWatch::EVERY, move || {
                pool.look();
            });
            background.run_vital(async move { Ok(db.prepare(migrate).await?) });
        }
        let db = database.as_ref().map(|database| database.db.clone());
        let world = (time_and_ids.clock, time_and_ids.ids);
        let mut wiring = Wiring::new(&settings, world, db.clone(), &mut background);
        wiring.offer_service(link_settings(&settings, address));
        wiring.offer(Arc::clone(&access));
        wiring.check_health(Arc::new(AccessWatch(access)));
        build_rooms(&mut wiring, &plan)?;
        scheduler::start(&mut wiring)?;
        let Wiring { mut offers, health, endings, .. } = wiring;
        offers.add(Arc::new(HealthSources { db, checks: health }));
        let server = serve(&settings, listener, offers, plan.clone(), metrics)?;
        tracing::info!(functions = %plan.functions, "listening on http://{address}");
        let profiles_itself = *plan.profiles() == Placement::Local;
        Ok(Self { server, address, background, profiler, profiles_itself, endings, database })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGTERM, SIGINT or its handle stops it. Then, in this order: it accepts no more connections,
    /// finishes requests in flight, replaces its database connections (those of its workers ended with them), stops its
    /// profiler, runs the rooms' work at shutdown, ends background tasks, closes the pool and stops the embedded
    /// database.
    ///
    /// # Errors
    /// Fails where the listener does, or something without which serving makes no sense.
    pub async fn run_until_stopped(mut self) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let ended = tokio::select! {
            ended = &mut self.server => ended.map_err(anyhow::Error::from),
            error = self.background.failed() => {
                // The server does the stopping, so it has to go on running meanwhile.
                let ((), _) = tokio::join!(handle.stop(true), &mut self.server);
                Err(error)
            }
        };
        if let Some(database) = &self.database {
            database.db.renew().await;
        }
        tokio::join!(last_profile(self.profiler, self.profiles_itself), join_all(self.endings));
        self.background.stop().await;
        if let Some(database) = self.database {
            database.close().await;
        }
        tracing::info!("stopped");
        ended
    }
}

/// Starts the profiler, where this process is to be profiled.
fn profile_itself(settings: &Settings, plan: &Plan, address: SocketAddr, token: &Token) -> Option<Profiler> {
    if !plan.self_profile {
        tracing::info!("not profiling itself");
        return None;
    }
    let target = ProfilerTarget::of_server(settings, address, &plan.functions.to_string(), token);
    Profiler::start(target).inspect_err(|error| tracing::warn!(%error, "this process cannot be profiled")).ok()
}

/// Lets the profiler send its last profile, if there is a server that takes it.
async fn last_profile(profiler: Option<Profiler>, to_itself: bool) {
    match profiler {
        Some(profiler) if to_itself => profiler.abandon(),
        Some(profiler) => profiler.stop().await,
        None => {}
    }
}

/// Builds what the plan serves and what it works with: first systems of record, since decisions ask for their ports.
fn build_rooms(wiring: &mut Wiring<'_>, plan: &Plan) -> anyhow::Result<()> {
    for (room, sor) in ROOMS.iter().filter_map(|room| Some((room, room.sor()?))) {
        (sor.build)(wiring, plan.placement(room))?;
    }
    for room in ROOMS {
        let served = room.served(|function| plan.functions.serve(function));
        if let (Kind::Bor(bor), Some((_, version))) = (&room.kind, served) {
            (bor.build)(wiring, version)?;
        }
    }
    Ok(())
}

/// Links lead to where the operator says, or to this address where only this machine reaches it.
fn link_settings(settings: &Settings, address: SocketAddr) -> LinkSettings {
    let own = address.ip().is_loopback().then(|| format!("http://{address}"));
    let public = settings.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let grafana = settings.links.grafana.clone();
    LinkSettings {
        base: public.or(own).unwrap_or_default(),
        grafana: grafana.map(|(url, datasource_uid)| Grafana { url: url.to_string(), datasource_uid }),
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
    offers: Offers,
    plan: Plan,
    metrics: Option<Metrics>,
) -> anyhow::Result<Server> {
    let document = rooms::document(&plan);
    let metrics = web::Data::new(metrics);
    let table = web::Data::new(RouteTable::of(&document));
    let text = Bytes::from(serde_json::to_vec(&document)?);
    drop(document);
    let server = HttpServer::new(move || {
        App::new()
            .configure(|app| offers.mount(app))
            .configure(Routes::serve(|routes| rooms::open(&plan, routes)))
            .app_data(table.clone())
            .app_data(metrics.clone())
            .service(http::serve_document(text.clone()))
            .service(http::swagger_ui())
            .default_service(web::to(http::unknown_route))
            .wrap(from_fn(identity::guard))
            .wrap(from_fn(http::handle_request))
    });
    let server = match settings.server.workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    let seconds = settings.server.shutdown_timeout.max(Duration::from_secs(1)).as_secs();
    Ok(server.keep_alive(KEEP_ALIVE).shutdown_timeout(seconds).listen(listener)?.run())
}

/// The document of a server that serves everything.
pub fn openapi() -> OpenApi {
    rooms::document(&Plan::whole())
}
