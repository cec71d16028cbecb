use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use crate::kernel::{Role, TokenDigest};

/// The shortest token that a setting may hold, in characters.
const MIN_TOKEN_CHARS: usize = 32;

/// Whether callers must say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// They must where a credential is set; otherwise a server on loopback is open.
    Auto,
    /// They must.
    Required,
    /// Whoever reaches the port may do everything.
    Open,
}

/// The token of the operator.
#[derive(Debug, Clone)]
pub enum AdminToken {
    /// Itself.
    Plain(SecretString),
    /// Its digest alone.
    Digest(TokenDigest),
}

impl AdminToken {
    /// Its digest.
    pub fn digest(&self) -> TokenDigest {
        match self {
            Self::Plain(token) => TokenDigest::of(token.expose_secret()),
            Self::Digest(digest) => *digest,
        }
    }
}

/// The gateways in front of this server that say who asks.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where they are.
    pub trusted: Vec<IpNet>,
    /// The role of a user that they name without one.
    pub role: Role,
    /// The header with the user's name.
    pub user_header: String,
    /// The header with the user's role.
    pub role_header: String,
    /// The header with the user's projects.
    pub projects_header: String,
}

/// Section `auth`.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Whether callers must say who they are.
    pub mode: AuthMode,
    /// A file of tokens.
    pub tokens_file: Option<PathBuf>,
    /// The token of the operator.
    pub admin_token: Option<AdminToken>,
    /// The token by which the processes of a split deployment know each other.
    pub service_token: Option<SecretString>,
    /// The gateways; without trusted networks nobody is one.
    pub gateway: GatewaySettings,
}

impl AuthSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.required("auth.mode", "auto, required or open", |text| match text {
            "auto" => Some(AuthMode::Auto),
            "required" => Some(AuthMode::Required),
            "open" => Some(AuthMode::Open),
            _ => None,
        });
        let tokens_file = reader.text("auth.tokens_file").map(PathBuf::from);
        let admin_token =
            reader.optional("auth.admin_token", "32 characters or more, or sha256: and 64 digits", |text| {
                text.parse().map(AdminToken::Digest).ok().or_else(|| plain(text).map(AdminToken::Plain))
            });
        let service_token = reader.optional("auth.service_token", "32 characters or more, not a digest", |text| {
            // It is sent to other processes, so the digest alone is no use.
            plain(text)
        });
        let same =
            |admin: &AdminToken, service: &SecretString| admin.digest() == TokenDigest::of(service.expose_secret());
        if let (Some(Some(admin)), Some(Some(service))) = (&admin_token, &service_token)
            && same(admin, service)
        {
            reader.refuse("auth.service_token", "must not be the same as auth.admin_token");
        }
        let gateway = GatewaySettings::read(reader);
        let settings = Self {
            mode: mode?,
            tokens_file,
            admin_token: admin_token?,
            service_token: service_token?,
            gateway: gateway?,
        };
        if settings.mode == AuthMode::Required && !settings.knows_somebody() {
            let rule = "lets nobody in: set ADMIN_TOKEN, AUTH_TOKENS_FILE, SERVICE_TOKEN or TRUSTED_PROXIES";
            reader.refuse("auth.mode", rule);
        }
        Some(settings)
    }

    /// Whether there is any credential by which a caller can be known.
    pub fn knows_somebody(&self) -> bool {
        self.tokens_file.is_some()
            || self.admin_token.is_some()
            || self.service_token.is_some()
            || !self.gateway.trusted.is_empty()
    }
}

impl GatewaySettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let networks = "networks, comma-separated, such as 10.0.0.0/8, 192.0.2.7, ::1";
        let trusted = reader.optional("auth.trusted_proxies", networks, |text| {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect::<Option<Vec<_>>>()
        });
        // A gateway cannot make a caller another Flamewarden.
        let role = reader.required("auth.gateway_role", "one of ingest, viewer, editor, admin", |text| {
            text.parse().ok().filter(|role| *role != Role::Service)
        });
        let mut header = |key| reader.required(key, "the name of a header", header_name);
        let (user, roles, projects) =
            (header("auth.user_header"), header("auth.role_header"), header("auth.projects_header"));
        let names = [&user, &roles, &projects];
        if names
            .iter()
            .enumerate()
            .any(|(at, name)| name.is_some() && names.iter().skip(at + 1).any(|other| other == name))
        {
            reader.refuse("auth.user_header", "must differ from auth.role_header, and both from auth.projects_header");
        }
        Some(Self {
            trusted: trusted?.unwrap_or_default(),
            role: role?,
            user_header: user?,
            role_header: roles?,
            projects_header: projects?,
        })
    }
}

/// A name of letters, digits and hyphens, in lower case: header names have no case.
fn header_name(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| text.to_ascii_lowercase())
}

/// A token in plain text. A text that begins like a digest was meant as one, so a mistyped digest is refused.
fn plain(text: &str) -> Option<SecretString> {
    let is_long = text.chars().count() >= MIN_TOKEN_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_digest = text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sha256:"));
    (is_long && !is_digest).then(|| SecretString::from(text))
}

/// A network, or a single address. Addresses of IPv4 that are mapped to IPv6 are those of IPv4; a network of them is
/// written as one of IPv4.
fn network(text: &str) -> Option<IpNet> {
    let Ok(network) = text.parse::<IpNet>() else {
        return text.parse::<std::net::IpAddr>().ok().map(|address| address.to_canonical().into());
    };
    Some(network).filter(|network| network.addr().to_canonical() == network.addr())
}
