//! Every route and every error, against a whole server.

mod access;
mod alerting;
pub(crate) mod alerts;
mod always;
mod calls;
mod codes;
pub(crate) mod diff;
pub(crate) mod fleet;
mod functions;
mod latency;
mod names;
mod own_operations;
mod placement;
mod profiles;
pub(crate) mod pushing;
mod receivers;
mod refusals;
mod selectors;
mod tenants;
mod triage;
