//! The routes of merges.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::domain::{Merge, MergeQuery, MergeStatistics, MergeStatus, NewMerge};
use super::port::MergeSor;
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, Problem, Query, RelationalErrors, Resource, Routes, WriteErrors, answered,
    created,
};
use crate::kernel::Call;
use crate::sor::performance::names::OperationScope;

type Merges = web::Data<dyn MergeSor>;

/// Mounts and documents them.
pub(in crate::sor::performance) fn routes(routes: &mut Routes<'_>) {
    routes
        .service(
            Resource::at("/performance/merges")
                .with(__path_list_merges, list_merges)
                .with(__path_record_merge, record_merge),
        )
        .service(
            Resource::at("/performance/merge-statistics").with(__path_list_merge_statistics, list_merge_statistics),
        );
}

/// Merges.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Merges)]
pub(super) struct MergesBody {
    /// How many this page holds.
    pub(super) count: usize,
    /// The merges, newest first.
    pub(super) merges: Vec<Merge>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}

/// Figures of merges.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MergeStatisticsList)]
pub(super) struct MergeStatisticsBody {
    /// Each source and target, the most frequent first.
    pub(super) statistics: Vec<MergeStatistics>,
}

/// Which merges to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct MergeParams {
    /// Only those of this source.
    #[param(value_type = Option<String>, max_length = 512, example = "branch:7")]
    source_scope: Option<OperationScope>,
    /// Only those into this target.
    #[param(value_type = Option<String>, max_length = 512)]
    target_scope: Option<OperationScope>,
    /// Only those that ended like this.
    status: Option<MergeStatus>,
    /// How many at most; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MergeQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<i64>>,
}

/// How many to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MergeStatisticsParams {
    /// How many at most; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MergeQuery::MAX_LIMIT }>>,
}

/// Record a merge
///
/// A merge that is over now: how long it and its phases took, and how many conflicts were resolved. Its duration is also
/// recorded as a metric of type `merge` in the target's scope, which failed unless `mergeStatus` is `success`.
#[utoipa::path(
    post, path = "/performance/merges", tag = "performance", operation_id = "recordMerge",
    request_body = NewMerge,
    responses((status = 201, description = "The merge", body = Merge), WriteErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
async fn record_merge(
    port: Merges,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewMerge>,
) -> Result<HttpResponse, Problem> {
    let merge = body.into_inner();
    merge.check().map_err(|why| Problem::field(Code::BodyInvalid, why.pointer(), why.to_string()))?;
    created::<Merge, _>(port.record(&call, merge).await)
}

/// List merges
///
/// The newest first.
#[utoipa::path(
    get, path = "/performance/merges", tag = "performance", operation_id = "listMerges",
    params(MergeParams),
    responses((status = 200, description = "One page", body = MergesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_merges(port: Merges, call: Call, params: Query<MergeParams>) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = MergeQuery {
        source_scope: params.source_scope,
        target_scope: params.target_scope,
        status: params.status,
        limit: params.limit.map_or(MergeQuery::DEFAULT_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    answered(port.page(&call, &query).await, |page| MergesBody {
        count: page.entries.len(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
        merges: page.entries,
    })
}

/// List figures of merges
///
/// How often each source was merged into each target, how long it took, and how many conflicts there were.
#[utoipa::path(
    get, path = "/performance/merge-statistics", tag = "performance", operation_id = "listMergeStatistics",
    params(MergeStatisticsParams),
    responses((status = 200, description = "The figures, the most frequent first", body = MergeStatisticsBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_merge_statistics(
    port: Merges,
    call: Call,
    params: Query<MergeStatisticsParams>,
) -> Result<HttpResponse, Problem> {
    let limit = params.into_inner().limit.map_or(MergeQuery::DEFAULT_LIMIT, Limit::get);
    answered(port.statistics(&call, limit).await, |statistics| MergeStatisticsBody { statistics })
}
