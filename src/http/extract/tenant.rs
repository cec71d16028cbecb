use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::parse;
use crate::http::{Code, Problem};
use crate::kernel::Tenant;

/// The header that carries a tenant, to Pyroscope and between two Flamewardens.
pub const TENANT_HEADER: &str = "x-scope-orgid";
/// The same header as it is written in documents.
const WRITTEN: &str = "X-Scope-OrgID";

/// The tenant that a request names in its header, if any.
#[derive(Debug, Clone, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
pub struct TenantHeader {
    /// The tenant whose profiles are read or pushed: 1 to 150 letters, digits and `!-_.*'()`, but not `.` or `..`. If it
    /// is absent, the tenant that the server is configured with, or else `anonymous`.
    #[param(rename = "X-Scope-OrgID", value_type = String, required = false,
        pattern = r"^(?!\.{1,2}$)[A-Za-z0-9!_.*'()-]{1,150}$")]
    tenant: Option<Tenant>,
}

impl TenantHeader {
    /// The tenant.
    pub fn into_inner(self) -> Option<Tenant> {
        self.tenant
    }

    /// The tenant, or the default one.
    pub fn or_default(self) -> Tenant {
        self.tenant.unwrap_or_default()
    }

    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let invalid = |why: &str| Problem::field(Code::ParameterInvalid, WRITTEN, why);
        let mut given = request.headers().get_all(TENANT_HEADER);
        let Some(value) = given.next() else { return Ok(Self { tenant: None }) };
        if given.next().is_some() {
            return Err(invalid("is given more than once"));
        }
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("is not UTF-8"))?;
        parse(WRITTEN, text).map(|tenant| Self { tenant: Some(tenant) })
    }
}

impl FromRequest for TenantHeader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use rstest::rstest;

    #[rstest]
    #[case(&[], Ok(None))]
    #[case(&["team-a"], Ok(Some("team-a")))]
    #[case(&[""], Err("X-Scope-OrgID: must be 1 to 150 characters long, is 0"))]
    #[case(&["a|b"], Err("X-Scope-OrgID: may hold letters, digits and !-_.*'() only, not '|'"))]
    #[case(&["a", "b"], Err("X-Scope-OrgID: is given more than once"))]
    fn takes_one_valid_tenant_or_none(#[case] given: &[&str], #[case] expected: Result<Option<&str>, &str>) {
        let headers = given.iter().fold(TestRequest::get(), |request, value| request.append_header((WRITTEN, *value)));
        let tenant = TenantHeader::of(&headers.to_http_request());
        let told = tenant.as_ref().map(|header| header.tenant.as_ref().map(Tenant::as_str));
        assert_eq!(told.map_err(Problem::detail), expected);
    }
}
