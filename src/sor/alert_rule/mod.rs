//! The Alert rule SOR: rules that say from which share of a profile on to alert. It owns the table `alert_rule`.
//!
//! It decides nothing: BORs decide when to alert whom.

mod conditions;
mod domain;
mod pattern;
mod port;
mod postgres;
mod remote;
mod routes;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use conditions::{
    InvalidRule, InvalidRunbook, Lasting, Measure, Measured, RuleCategory, RuleWindow, RunbookUrl, Scope,
    ServiceFilter, Timing, What,
};
pub use domain::{AlertRule, NewRule, RuleChange, RulePage, RulePosition, RuleQuery, Which};
pub use pattern::{FunctionPattern, InvalidPattern};
pub use port::AlertRuleSor;
#[cfg(test)]
pub use port::MockAlertRuleSor;
pub use routes::{new_rule, routes};
pub use wire::NewRuleBody;

use crate::http::Outward;
use crate::storage::Db;

/// Rules kept in this database.
pub fn local(db: Db) -> Arc<dyn AlertRuleSor> {
    Arc::new(postgres::PostgresRules::new(db))
}

/// Rules kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn AlertRuleSor> {
    Arc::new(remote::RemoteRules::new(outward))
}
