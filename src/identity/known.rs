use std::net::IpAddr;

use crate::kernel::{Actor, Caller, Role, Text255};

/// Who a request comes from, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
    /// The projects that they are limited to; `None`: all.
    pub projects: Option<Vec<Text255>>,
    /// The address that they ask from.
    pub client: Option<IpAddr>,
}

impl Identity {
    /// What ports are told of it.
    pub fn caller(&self) -> Caller {
        Caller { actor: self.actor.clone(), client: self.client, projects: self.projects.clone() }
    }
}
