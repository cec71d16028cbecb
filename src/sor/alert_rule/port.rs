use async_trait::async_trait;

use super::domain::{AlertRule, NewRule, RuleChange, RulePage, RuleQuery, Which};
use crate::kernel::{AppName, Call, PortResult, RowId, Stored, all_pages};

/// Keeps alert rules. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait AlertRuleSor: Send + Sync {
    /// Makes a rule.
    async fn create(&self, call: &Call, rule: NewRule) -> PortResult<AlertRule>;

    /// The rule of an id.
    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<Stored<AlertRule>>>;

    /// One page of rules, by app, newest first; empty for an unknown app.
    async fn page(&self, call: &Call, query: &RuleQuery) -> PortResult<RulePage>;

    /// All valid rules, by app, newest first: one page, unless there are over 10,000.
    async fn all(&self, call: &Call) -> PortResult<Vec<AlertRule>> {
        let page = |after| async move {
            let query = RuleQuery { which: Which::All, limit: RuleQuery::MAX_LIMIT, after };
            self.page(call, &query).await.map(|page| page.read(Stored::valid))
        };
        all_pages(page).await
    }

    /// All enabled rules of an app that are valid, newest first: one page, unless there are over 10,000.
    async fn active(&self, call: &Call, app: &AppName) -> PortResult<Vec<AlertRule>> {
        let page = |after| async move {
            let which = Which::Active(app.clone());
            let query = RuleQuery { which, limit: RuleQuery::MAX_LIMIT, after };
            self.page(call, &query).await.map(|page| page.read(Stored::valid))
        };
        all_pages(page).await
    }

    /// Changes a rule. `None`: no rule has that id.
    async fn change(&self, call: &Call, id: RowId, change: RuleChange) -> PortResult<Option<Stored<AlertRule>>>;

    /// Removes a rule; whether there was one.
    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool>;
}
