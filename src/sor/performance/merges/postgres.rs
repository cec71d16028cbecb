//! Merges in PostgreSQL. They are recorded by a function of the schema, as those of SQL callers are.

use async_trait::async_trait;
use sqlx::types::Json;

use super::domain::{Merge, MergePage, MergeQuery, MergeRefused, MergeStatistics, MergeStatus, NewMerge};
use super::port::MergeSor;
use crate::kernel::{Call, JsonObject, Page, PortError, PortResult, Text255};
use crate::sor::performance::domain::Micros;
use crate::sor::performance::names::OperationScope;
use crate::sor::performance::postgres::caller;
use crate::storage::{Db, DbError, Repeat, words_in_rows};

pub(super) struct PostgresMerges {
    db: Db,
}

impl PostgresMerges {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    /// The rows of a query, or the one of an id.
    async fn rows(&self, call: &Call, query: MergeQuery, id: Option<i64>) -> PortResult<Vec<Merge>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Merge,
                    r#"SELECT m.merge_metric_id AS id, m.source_scope::text AS "source_scope!",
                              m.target_scope::text AS "target_scope!", m.total_merge_us,
                              m.merge_base_commit_hash::text AS merge_base_hash,
                              m.merge_base_calculation_us AS merge_base_calc_us, m.conflict_detection_us, m.conflict_count,
                              m.auto_resolution_us, m.auto_resolution_success_count AS auto_success_count,
                              m.auto_resolution_failure_count AS auto_failure_count,
                              s.auto_resolution_success_rate::float8 AS auto_resolution_success_rate,
                              to_jsonb(lower(m.merge_status)) AS "merge_status!: Json<MergeStatus>", m.merge_outcome_details AS merge_outcome,
                              m.user_name::text AS "user_name!", m.session_id::text, m.started_at, m.completed_at
                       FROM perf.merge_performance_metrics AS m
                       JOIN perf.v_merge_performance_summary AS s USING (merge_metric_id)
                       WHERE ($1::bigint IS NULL OR m.merge_metric_id = $1)
                         AND ($2::text IS NULL OR m.source_scope = $2) AND ($3::text IS NULL OR m.target_scope = $3)
                         AND ($4::text IS NULL OR lower(m.merge_status) = $4)
                         AND ($5::bigint IS NULL OR m.merge_metric_id < $5)
                       ORDER BY m.merge_metric_id DESC LIMIT $6"#,
                    id,
                    query.source_scope.as_ref().map(OperationScope::as_str),
                    query.target_scope.as_ref().map(OperationScope::as_str),
                    query.status.map(MergeStatus::as_str),
                    query.after,
                    i64::from(query.limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }
}

words_in_rows!(MergeStatus);

#[async_trait]
impl MergeSor for PostgresMerges {
    async fn record(&self, call: &Call, merge: NewMerge) -> PortResult<Merge> {
        let invalid = |why: MergeRefused| PortError::Invalid(format!("{}: {why}", why.pointer()));
        merge.check().map_err(invalid)?;
        let caller = caller(call);
        let recorded = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (merge, caller) = (merge.clone(), caller.clone());
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT perf.record_merge($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, upper($11), $12, $13, $14) AS "id!""#,
                    merge.source_scope.as_str(),
                    merge.target_scope.as_str(),
                    merge.total_merge_us.get(),
                    merge.merge_base_hash.as_ref().map(Text255::as_str),
                    merge.merge_base_calc_us.map(Micros::get),
                    merge.conflict_detection_us.map(Micros::get),
                    merge.conflict_count.get(),
                    merge.auto_resolution_us.map(Micros::get),
                    merge.auto_success_count.get(),
                    merge.auto_failure_count.get(),
                    merge.merge_status.as_str(),
                    merge.merge_outcome.as_ref().map(JsonObject::as_value),
                    merge.user_name.as_ref().map_or(caller.as_str(), Text255::as_str),
                    merge.session_id.as_ref().map(Text255::as_str),
                )
                .fetch_one(connection)
                .await
            })
        }));
        let id = recorded.await.map_err(|error| match error {
            DbError::Constraint(name) => PortError::Internal(format!("constraint {name} refused a merge")),
            DbError::Port(error) => error,
        })?;
        let row = self.rows(call, MergeQuery::default(), Some(id)).await?.into_iter().next();
        row.ok_or_else(|| PortError::Internal(format!("merge {id} is gone right after it was recorded")))
    }

    async fn page(&self, call: &Call, query: &MergeQuery) -> PortResult<MergePage> {
        let limit = query.limit.clamp(1, MergeQuery::MAX_LIMIT);
        let rows = self.rows(call, MergeQuery { limit, ..query.clone() }, None).await?;
        Ok(Page::cut(rows, limit.into(), |row| row.id))
    }

    async fn statistics(&self, call: &Call, limit: u16) -> PortResult<Vec<MergeStatistics>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    MergeStatistics,
                    r#"SELECT source_branch AS "source_branch!", target_branch AS "target_branch!",
                              merge_count AS "merge_count!", avg_duration_ms::float8 AS "avg_duration_ms!",
                              max_duration_ms::float8 AS "max_duration_ms!", min_duration_ms::float8 AS "min_duration_ms!",
                              avg_conflicts::float8 AS "avg_conflicts!", max_conflicts AS "max_conflicts!",
                              successful_merges AS "successful_merges!", failed_merges AS "failed_merges!", last_merge
                       FROM perf.v_merge_statistics LIMIT $1"#,
                    i64::from(limit),
                )
                .fetch_all(connection)
                .await
            })
        }));
        Ok(rows.await?)
    }
}
