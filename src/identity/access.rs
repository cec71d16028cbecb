//! Who a request is from, and whether that caller may do what it asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

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
use super::token_file::TokenFile;
use crate::config::{AuthMode, AuthSettings, InvalidFile, WatchedFile};
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
    file: Option<WatchedFile<KnownTokens>>,
    refusals: Refusals,
    clock: Arc<dyn Clock>,
}

/// Tokens by their digests.
type KnownTokens = HashMap<TokenDigest, Known>;

/// Whom a token stands for.
#[derive(Debug, Clone)]
struct Known {
    actor: Actor,
    role: Role,
    projects: Option<Vec<Text255>>,
    expires: Option<DateTime<Utc>>,
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
    pub fn new(parts: AccessParts<'_>) -> Result<Self, InvalidFile> {
        let AccessParts { mode, settings, needs, profiler, clock } = parts;
        let (admin, service) = (settings.admin_token.as_ref(), settings.service_token.as_ref());
        let admin = admin.map(|token| (token.digest(), Known::of(AccessMethod::Token, "ADMIN_TOKEN", Role::Admin)));
        let service = service.map(|token| {
            let known = Known::of(AccessMethod::Service, "flamewarden", Role::Service);
            (TokenDigest::of(token.expose_secret()), known)
        });
        let profiler =
            profiler.map(|token| (token.digest(), Known::of(AccessMethod::Token, "SELF_PROFILE", Role::Ingest)));
        let file = settings
            .tokens_file
            .clone()
            .map(|path| WatchedFile::open(path, "tokens", |path| TokenFile::read(path).map(|file| known(&file))));
        Ok(Self {
            mode,
            needs,
            gateways: Gateways::new(settings.gateway.clone()),
            fixed: admin.into_iter().chain(service).chain(profiler).collect(),
            file: file.transpose()?,
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
        let file = self.file.as_ref()?;
        Some((file.content().len(), file.problem()))
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
        self.file.as_ref()?.content().get(&digest).cloned()
    }
}

impl Known {
    /// Whom a token of the settings stands for.
    fn of(method: AccessMethod, name: &'static str, role: Role) -> Self {
        Self { actor: Actor { method, name: Text255::literal(name) }, role, projects: None, expires: None }
    }
}

fn known(file: &TokenFile) -> KnownTokens {
    let known = |entry: &super::token_file::TokenEntry| Known {
        actor: Actor { method: AccessMethod::Token, name: entry.name.text().clone() },
        role: entry.role,
        projects: entry.projects.clone(),
        expires: entry.expires,
    };
    file.entries().iter().map(|entry| (entry.digest, known(entry))).collect()
}
