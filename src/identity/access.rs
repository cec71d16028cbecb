//! Who a request is from, and whether that caller may do what it asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::credentials::Credentials;
use super::gateway::{Gateways, User};
use super::host;
use super::known::Identity;
use super::needs::{Need, Needs};
use super::refusals::Refusals;
use super::token::Token;
use super::token_file::{InvalidTokens, TokenFile};
use crate::config::{AuthMode, AuthSettings};
use crate::http::announced;
use crate::kernel::{AccessMethod, Actor, Clock, Role, Text255, TokenDigest};

/// Whether callers must say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They must.
    Required,
    /// Whoever reaches the port may do everything.
    Open,
    /// The same, for requests that name this machine as their host.
    OpenOnLoopback,
}

impl Mode {
    /// The mode of these settings for a server that listens at `host`; `None` where nobody said who may ask, although
    /// it listens beyond this machine.
    pub fn of(settings: &AuthSettings, host: IpAddr) -> Option<Self> {
        match settings.mode {
            AuthMode::Required => Some(Self::Required),
            AuthMode::Open => Some(Self::Open),
            AuthMode::Auto if settings.knows_somebody() => Some(Self::Required),
            AuthMode::Auto => host.is_loopback().then_some(Self::OpenOnLoopback),
        }
    }

    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        if self == Self::Required { "required" } else { "open" }
    }
}

/// What access control is made of.
pub struct AccessParts<'a> {
    /// Whether callers must say who they are.
    pub mode: Mode,
    /// The settings.
    pub settings: &'a AuthSettings,
    /// Which role each route needs.
    pub needs: Needs,
    /// The token by which the server's own profiler is known.
    pub profiler: Option<&'a Token>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Decides who a request is from and whether that caller may do what it asks.
pub struct AccessControl {
    mode: Mode,
    needs: Needs,
    gateways: Gateways,
    /// Tokens of the settings.
    fixed: HashMap<TokenDigest, Known>,
    file: Option<WatchedFile>,
    refusals: Refusals,
    clock: Arc<dyn Clock>,
}

/// Whom a token stands for.
#[derive(Debug, Clone)]
struct Known {
    actor: Actor,
    role: Role,
    projects: Option<Vec<Text255>>,
    expires: Option<DateTime<Utc>>,
}

/// A file of tokens that is read again when it changes.
struct WatchedFile {
    path: PathBuf,
    state: RwLock<FileState>,
}

struct FileState {
    known: HashMap<TokenDigest, Known>,
    seen: Option<(SystemTime, u64, u64)>,
    problem: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(super) enum Denied {
    /// It has no credentials.
    Missing,
    /// Its credentials are no good: why.
    Bad(String),
    /// Too many bad credentials came from its address.
    TooMany,
    /// Its caller may not do that.
    Forbidden {
        /// The caller.
        identity: Box<Identity>,
        /// The role that it takes.
        needed: Role,
    },
    /// It names another machine as its host.
    Host(String),
    /// What another Flamewarden announces cannot be read.
    Announced(crate::http::Problem),
}

/// A request, as far as access is concerned.
pub(super) struct Asked<'a> {
    pub(super) need: Need,
    pub(super) peer: IpAddr,
    pub(super) host: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

impl AccessControl {
    /// The access control of these parts. The file of tokens is read.
    ///
    /// # Errors
    /// Says what is wrong with the file of tokens.
    pub fn new(parts: AccessParts<'_>) -> Result<Self, InvalidTokens> {
        let AccessParts { mode, settings, needs, profiler, clock } = parts;
        let (admin, service) = (settings.admin_token.as_ref(), settings.service_token.as_ref());
        let admin = admin.map(|token| (token.digest(), Known::of(AccessMethod::Token, "ADMIN_TOKEN", Role::Admin)));
        let service = service.map(|token| {
            let known = Known::of(AccessMethod::Service, "flamewarden", Role::Service);
            (TokenDigest::of(token.expose_secret()), known)
        });
        let profiler =
            profiler.map(|token| (token.digest(), Known::of(AccessMethod::Token, "SELF_PROFILE", Role::Ingest)));
        let file = settings.tokens_file.clone().map(WatchedFile::open).transpose()?;
        Ok(Self {
            mode,
            needs,
            gateways: Gateways::new(settings.gateway.clone()),
            fixed: admin.into_iter().chain(service).chain(profiler).collect(),
            file,
            refusals: Refusals::new(),
            clock,
        })
    }

    /// Whether callers must say who they are.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Reads the file of tokens again if it has changed. A bad one is refused as a whole, and the tokens read before stay.
    pub fn reload(&self) {
        if let Some(file) = &self.file {
            file.reload();
        }
    }

    /// How many tokens are known from the file, and why it was not read again, if it is bad now; `None` without a file.
    pub fn file(&self) -> Option<(usize, Option<String>)> {
        let state = self.file.as_ref()?.state.read().unwrap_or_else(PoisonError::into_inner);
        Some((state.known.len(), state.problem.clone()))
    }

    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The address that a request comes from.
    pub(super) fn client(&self, asked: &Asked<'_>) -> IpAddr {
        self.gateways.client(asked.peer, asked.headers)
    }

    /// Who a request is from, unless it is refused. `None` for a route that everybody may ask and a caller that is not
    /// known.
    pub(super) fn admit(&self, asked: &Asked<'_>) -> Result<Option<Identity>, Denied> {
        if asked.need == Need::Nothing {
            return Ok(None);
        }
        let client = self.client(asked);
        if self.mode != Mode::Required {
            return self.admit_anybody(asked, client).map(Some);
        }
        if asked.need == Need::Page {
            return Ok(None);
        }
        let identity = self.identify(asked, client)?;
        let Need::Role { least, by_project } = asked.need else { return Ok(Some(identity)) };
        let role =
            if identity.projects.is_some() && !by_project { identity.role.outside_projects() } else { identity.role };
        if role.may(least) {
            return Ok(Some(identity));
        }
        Err(Denied::Forbidden { identity: Box::new(Identity { role, ..identity }), needed: least })
    }

    fn admit_anybody(&self, asked: &Asked<'_>, client: IpAddr) -> Result<Identity, Denied> {
        match asked.host {
            Some(host) if self.mode == Mode::OpenOnLoopback && !host::is_loopback(host) => {
                Err(Denied::Host(host.to_owned()))
            }
            _ => {
                let actor = Actor { method: AccessMethod::Open, name: Text255::literal("local") };
                Ok(Identity { actor, role: Role::Admin, projects: None, client: Some(client) })
            }
        }
    }

    fn identify(&self, asked: &Asked<'_>, client: IpAddr) -> Result<Identity, Denied> {
        if let Some(user) = self.gateways.user(asked.peer, asked.headers).map_err(Denied::Bad)? {
            let User { actor, role, projects } = user;
            return Ok(Identity { actor, role, projects, client: Some(client) });
        }
        let refused = |why: String| {
            if self.refusals.are_too_many_with(client) { Denied::TooMany } else { Denied::Bad(why) }
        };
        let token = match Credentials::of(asked.headers) {
            Credentials::None => return Err(Denied::Missing),
            Credentials::Unreadable(why) => return Err(refused(why.to_owned())),
            Credentials::Token(token) => token,
        };
        let known = self.known(TokenDigest::of(token.expose_secret()));
        let Known { actor, role, projects, expires } =
            known.ok_or_else(|| refused("the token is not known".to_owned()))?;
        if let Some(end) = expires.filter(|end| *end <= self.clock.now()) {
            return Err(refused(format!("the token {} expired at {}", actor.name, end.format("%FT%TZ"))));
        }
        if role != Role::Service {
            return Ok(Identity { actor, role, projects, client: Some(client) });
        }
        let (announced, from) = announced(asked.headers).map_err(Denied::Announced)?;
        Ok(Identity { actor: announced.unwrap_or(actor), role, projects, client: Some(from.unwrap_or(client)) })
    }

    fn known(&self, digest: TokenDigest) -> Option<Known> {
        if let Some(known) = self.fixed.get(&digest) {
            return Some(known.clone());
        }
        let state = self.file.as_ref()?.state.read().unwrap_or_else(PoisonError::into_inner);
        state.known.get(&digest).cloned()
    }
}

impl Known {
    /// Whom a token of the settings stands for.
    fn of(method: AccessMethod, name: &'static str, role: Role) -> Self {
        Self { actor: Actor { method, name: Text255::literal(name) }, role, projects: None, expires: None }
    }
}

impl WatchedFile {
    fn open(path: PathBuf) -> Result<Self, InvalidTokens> {
        let seen = seen(&path);
        let known = known(&TokenFile::read(&path)?);
        Ok(Self { path, state: RwLock::new(FileState { known, seen, problem: None }) })
    }

    fn reload(&self) {
        let now = seen(&self.path);
        if now.is_some() && now == self.state.read().unwrap_or_else(PoisonError::into_inner).seen {
            return;
        }
        let read = TokenFile::read(&self.path);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.seen = now;
        match read {
            Ok(file) => {
                state.known = known(&file);
                state.problem = None;
                tracing::info!(tokens = state.known.len(), "the file of tokens was read again");
            }
            Err(error) => {
                let problem = error.to_string();
                if state.problem.as_ref() != Some(&problem) {
                    tracing::error!(path = %self.path.display(), %error, "the file of tokens is refused, those read before stay");
                }
                state.problem = Some(problem);
            }
        }
    }
}

/// What tells whether a file has to be read again: when it was changed, its size, and which file it is.
fn seen(path: &std::path::Path) -> Option<(SystemTime, u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn known(file: &TokenFile) -> HashMap<TokenDigest, Known> {
    let known = |entry: &super::token_file::TokenEntry| Known {
        actor: Actor { method: AccessMethod::Token, name: entry.name.text().clone() },
        role: entry.role,
        projects: entry.projects.clone(),
        expires: entry.expires,
    };
    file.entries().iter().map(|entry| (entry.digest, known(entry))).collect()
}
