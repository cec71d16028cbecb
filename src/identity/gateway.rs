//! Gateways in front of the server: they know users, and say who asks in headers that count from their networks only.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use crate::config::GatewaySettings;
use crate::kernel::{AccessMethod, Actor, Role, Text255};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The gateways that are trusted.
#[derive(Debug)]
pub(super) struct Gateways(GatewaySettings);

/// A user of a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) actor: Actor,
    pub(super) role: Role,
    pub(super) projects: Option<Vec<Text255>>,
}

impl Gateways {
    pub(super) fn new(settings: GatewaySettings) -> Self {
        Self(settings)
    }

    /// Whether this address is that of a gateway.
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.trusted.iter().any(|network: &IpNet| network.contains(&address))
    }

    /// The address that a request comes from: the peer or, behind a gateway, the last address in `X-Forwarded-For` that
    /// is not a gateway's. IPv4 addresses mapped to IPv6 are IPv4 addresses.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).filter_map(|line| line.to_str().ok()).collect();
        // What stands before something unreadable was not written by a gateway of ours.
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map_while(address);
        hops.map(|hop| hop.to_canonical()).find(|hop| !self.trusts(*hop)).unwrap_or(peer)
    }

    /// The user that a gateway names; `None` where none does.
    ///
    /// # Errors
    /// Says which header cannot be read.
    pub(super) fn user(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Option<User>, String> {
        let GatewaySettings { role, user_header, role_header, projects_header, .. } = &self.0;
        if !self.trusts(peer.to_canonical()) {
            return Ok(None);
        }
        let Some(name) = one(headers, user_header)?.filter(|name| !name.is_empty()) else { return Ok(None) };
        let name = name.parse().map_err(|error| format!("{user_header}: {error}"))?;
        let role = match one(headers, role_header)? {
            None | Some("") => *role,
            Some(text) => match text.parse() {
                Ok(Role::Service) | Err(_) => {
                    return Err(format!("{role_header} must be one of ingest, viewer, editor, admin"));
                }
                Ok(role) => role,
            },
        };
        let projects = one(headers, projects_header)?.map(|text| projects(text, projects_header)).transpose()?;
        Ok(Some(User { actor: Actor { method: AccessMethod::Gateway, name }, role, projects }))
    }
}

/// An address as gateways write it, with a port or without.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

/// The only value of a header.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, String> {
    let mut given = headers.get_all(name);
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(format!("{name} is given twice"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| format!("{name} is not UTF-8"))?;
    Ok(Some(text.trim()))
}

/// The projects of a list. An empty list means no project: a gateway that finds none for a user does not mean all.
fn projects(text: &str, header: &str) -> Result<Vec<Text255>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|error| format!("{header}: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    fn gateways() -> Gateways {
        Gateways::new(GatewaySettings {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            role: Role::Viewer,
            user_header: "x-user".to_owned(),
            role_header: "x-role".to_owned(),
            projects_header: "x-projects".to_owned(),
        })
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in given.iter().map(header) {
            headers.append(name, value);
        }
        headers
    }

    #[rstest]
    #[case("10.1.2.3", &[("x-user", "ada")], Some("gateway:ada viewer *"))]
    #[case("::ffff:10.1.2.3", &[("x-user", "ada")], Some("gateway:ada viewer *"))]
    #[case("::1", &[("x-user", "ada"), ("x-role", "admin")], Some("gateway:ada admin *"))]
    #[case("10.1.2.3", &[("x-user", "größe"), ("x-role", "")], Some("gateway:größe viewer *"))]
    #[case("10.1.2.3", &[("x-user", "ada"), ("x-projects", "shop, pay ,")], Some("gateway:ada viewer shop,pay"))]
    #[case("10.1.2.3", &[("x-user", "ada"), ("x-projects", "")], Some("gateway:ada viewer "))]
    #[case("10.1.2.3", &[], None)]
    #[case("10.1.2.3", &[("x-user", " ")], None)]
    #[case("192.0.2.7", &[("x-user", "ada"), ("x-role", "admin")], None)]
    #[case("::ffff:192.0.2.7", &[("x-user", "ada")], None)]
    fn only_gateways_name_users(
        #[case] peer: &str,
        #[case] given: &[(&'static str, &str)],
        #[case] expected: Option<&str>,
    ) {
        let user = gateways().user(peer.parse().unwrap(), &headers(given)).unwrap();
        let shown = user.map(|User { actor, role, projects }| {
            let projects = projects.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            format!("{actor} {role} {}", projects.as_deref().unwrap_or("*"))
        });
        assert_eq!(shown.as_deref(), expected);
    }

    #[rstest]
    #[case(&[("x-user", "ada"), ("x-role", "service")], "x-role must be one of ingest, viewer, editor, admin")]
    #[case(&[("x-user", "ada"), ("x-role", "root")], "x-role must be one of")]
    #[case(&[("x-user", "ada"), ("x-user", "eve")], "x-user is given twice")]
    fn what_a_gateway_says_must_be_readable(#[case] given: &[(&'static str, &str)], #[case] why: &str) {
        let error = gateways().user("10.1.2.3".parse().unwrap(), &headers(given)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[rstest]
    #[case("192.0.2.7", &[("x-forwarded-for", "198.51.100.1")], "192.0.2.7")]
    #[case("::ffff:192.0.2.7", &[], "192.0.2.7")]
    #[case("10.0.0.1", &[], "10.0.0.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, 198.51.100.1, 10.0.0.2")], "198.51.100.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, unknown")], "10.0.0.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "198.51.100.1:5678, [::1]:80")], "198.51.100.1")]
    #[case("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.1")]
    fn the_client_is_the_last_address_that_is_no_gateway(
        #[case] peer: &str,
        #[case] given: &[(&'static str, &str)],
        #[case] expected: &str,
    ) {
        assert_eq!(gateways().client(peer.parse().unwrap(), &headers(given)).to_string(), expected);
    }
}
