//! Alerts: when is somebody told? It says what an alert rule finds in the profiles of an app, and when it would fire.
//!
//! It owns no data. It uses the port of profile data and, for labels and tenants, the registry, which may be off. Rules can
//! be tried; they are not evaluated by themselves yet.

mod domain;
mod routes;
mod service;
mod wire;

#[cfg(test)]
mod tests;

pub use domain::{
    Change, Ending, Evaluation, Firing, FunctionShare, Measurement, Patience, Sampled, Standing, Steps, Summary, Trial,
    Verdict,
};
pub use routes::routes;
pub use service::{AlertParts, AlertService, TrialRequest};
pub use wire::{EvaluationBody, FiringBody, TrialBody};
