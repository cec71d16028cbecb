//! Alerts: when is somebody told? It says what an alert rule finds in the profiles of an app, and when it would fire.
//!
//! It owns no data. It uses the ports of profile data, alert rules and incidents and, for labels, tenants and owners, the
//! registry, which may be off. Rules can be tried ([`AlertService`]), and all are evaluated each minute ([`AlertRound`]).
//! People are told of what comes of that ([`Teller`]).

mod domain;
mod round;
mod routes;
mod service;
mod tell;
mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use domain::{
    AlertDetail, AlertFunction, AlertLinks, AppFindings, Change, Ending, Evaluation, Firing, FunctionShare,
    Measurement, Patience, RuleFindings, Sampled, Standing, Steps, Summary, Trial, Verdict,
};
pub use round::{AlertRound, RoundParts};
pub use routes::routes;
pub use service::{AlertParts, AlertService, TrialRequest};
pub use tell::{TellParts, Teller};
pub use wire::{EvaluationBody, FiringBody, RuleStateBody, TrialBody};
