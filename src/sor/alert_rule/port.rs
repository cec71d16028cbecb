use async_trait::async_trait;

use super::domain::{AlertRule, NewRule, RuleChange, RulePage, RuleQuery, Which};
use crate::kernel::{AppName, Call, PortResult, RowId, all_pages};

/// Keeps alert rules. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait AlertRuleSor: Send + Sync {
    /// Makes a rule.
    async fn create(&self, call: &Call, rule: NewRule) -> PortResult<AlertRule>;

    /// The rule of an id.
    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<AlertRule>>;

    /// One page of rules, by app, newest first; empty for an app nobody knows.
    async fn page(&self, call: &Call, query: &RuleQuery) -> PortResult<RulePage>;

    /// All enabled rules of an app, newest first: one page, unless there are over 10,000.
    async fn active(&self, call: &Call, app: &AppName) -> PortResult<Vec<AlertRule>> {
        let page = |after| async move {
            let which = Which::Active(app.clone());
            self.page(call, &RuleQuery { which, limit: RuleQuery::MAX_LIMIT, after }).await
        };
        all_pages(page).await
    }

    /// Changes a rule; `None` where there is none of that id.
    async fn change(&self, call: &Call, id: RowId, change: RuleChange) -> PortResult<Option<AlertRule>>;

    /// Removes a rule; whether there was one.
    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool>;
}
