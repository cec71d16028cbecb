//! Types of operations.

use actix_web::HttpResponse;
use serde::Deserialize;

use super::{Baselines, TypesBody};
use crate::http::{Body, Limit, NoParams, Problem, Query, RelationalErrors, WriteErrors, answered, created};
use crate::kernel::Call;
use crate::sor::performance::limits::{DEFAULT_LIMIT, MAX_LIMIT, NewOperationType, OperationTypeRow};

/// How many to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::sor::performance::limits) struct MostParams {
    /// At most this many; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MAX_LIMIT }>>,
}

impl MostParams {
    pub(super) fn limit(&self) -> u16 {
        self.limit.map_or(DEFAULT_LIMIT, Limit::get)
    }
}

/// List types of operations
///
/// By their names. Types that were seen are added by the server within an hour; a limit is learnt by itself only for those
/// that are tracked.
#[utoipa::path(
    get, path = "/performance/operation-types", tag = "performance", operation_id = "listOperationTypes",
    params(MostParams),
    responses((status = 200, description = "The types", body = TypesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_operation_types(
    port: Baselines,
    call: Call,
    params: Query<MostParams>,
) -> Result<HttpResponse, Problem> {
    answered(port.types(&call, params.into_inner().limit()).await, |types| TypesBody { types })
}

/// Tell of a type of operations
///
/// Or change what is known of it: all of it is replaced.
#[utoipa::path(
    post, path = "/performance/operation-types", tag = "performance", operation_id = "setOperationType",
    request_body = NewOperationType,
    responses((status = 201, description = "The type", body = OperationTypeRow), WriteErrors),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn set_operation_type(
    port: Baselines,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewOperationType>,
) -> Result<HttpResponse, Problem> {
    created::<OperationTypeRow, _>(port.set_type(&call, body.into_inner()).await)
}
