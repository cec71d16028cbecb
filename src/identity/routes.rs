use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, web};
use serde::Serialize;

use super::access::AccessControl;
use super::known::Identity;
use crate::http::{Code, NoParams, Problem, Query, Routes, documented, json};
use crate::kernel::{Role, Text255};

/// Mounts and documents `/whoami`, which every process answers.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(whoami);
}

/// Who the caller is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WhoAmI {
    /// Who it is: how it is known, and its name.
    #[schema(example = "token:ci")]
    actor: String,
    /// What it may do.
    role: Role,
    /// The projects that it is limited to; null: all.
    #[schema(value_type = Option<Vec<String>>)]
    projects: Option<Vec<Text255>>,
    /// Whether callers must say who they are: `required`, or `open`.
    #[schema(example = "required")]
    mode: &'static str,
}

/// Who the caller is
///
/// Says as whom the server knows the sender of this request, and its role. Use it to try a token: any role may ask.
#[utoipa::path(
    tag = "health", operation_id = "whoAmI",
    responses((status = 200, description = "The caller", body = WhoAmI), Unknown),
    security(("bearer" = []), ("basic" = [])),
)]
#[get("/whoami")]
async fn whoami(
    request: HttpRequest,
    access: web::Data<AccessControl>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let identity = request.extensions().get::<Identity>().cloned();
    let Identity { actor, role, projects, .. } =
        identity.ok_or_else(|| Problem::internal_error("the request was not checked"))?;
    json(StatusCode::OK, &WhoAmI { actor: actor.to_string(), role, projects, mode: access.mode().as_str() })
}

/// What `/whoami` refuses.
struct Unknown;

impl utoipa::IntoResponses for Unknown {
    fn responses() -> crate::http::Answers {
        documented(&[("400", &[Code::ParameterUnknown])])
    }
}
