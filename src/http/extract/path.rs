use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;

use super::parse;
use crate::http::{Code, Problem};

/// The `N`th variable segment of the path, percent-decoded and parsed; the first by default.
///
/// For `/baselines/{key}/{type}` a handler takes `PathParam<AppName>` and `PathParam<ProfileType, 1>`.
#[derive(Debug, Clone)]
pub struct PathParam<T, const N: usize = 0>(pub T);

impl<T, const N: usize> PathParam<T, N> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T, const N: usize> FromRequest for PathParam<T, N>
where
    T: FromStr,
    T::Err: Display + 'static,
{
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(segment(request, N).and_then(|(name, text)| parse(&name, &text)).map(Self))
    }
}

fn segment(request: &HttpRequest, n: usize) -> Result<(String, String), Problem> {
    let invalid = |name: &str, why: &str| Problem::field(Code::ParameterInvalid, name, why);
    let (name, raw) = request.match_info().iter().nth(n).ok_or_else(|| {
        Problem::new(Code::Internal, "an internal error, see the log under this request id")
            .because(format!("the route has no variable segment {n}"))
    })?;
    // The router has decoded all but %25, %2B and %2F, replacing what is not UTF-8: so the path itself is asked.
    if percent_decode_str(request.uri().path()).decode_utf8().is_err() {
        return Err(invalid(name, "is not UTF-8"));
    }
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| invalid(name, "is not UTF-8"))?;
    if text.contains('\0') {
        return Err(invalid(name, "must not hold U+0000"));
    }
    Ok((name.to_owned(), text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{AppName, ProfileType};
    use actix_web::http::StatusCode;
    use actix_web::{App, test as http_test, web};
    use rstest::rstest;

    #[rstest]
    #[case("/a/shop/cpu", StatusCode::OK, "shop cpu")]
    #[case("/a/caf%C3%A9%2F%2541%25+%2B/mutex", StatusCode::OK, "café/%41%++ lock")]
    #[case("/a/%FF/cpu", StatusCode::BAD_REQUEST, "is not UTF-8")]
    #[case("/a/a%00/cpu", StatusCode::BAD_REQUEST, "U+0000")]
    #[case("/a/%20/cpu", StatusCode::BAD_REQUEST, "app: must not be empty")]
    #[case("/a/shop/heap", StatusCode::BAD_REQUEST, "profile_type_unknown")]
    #[actix_web::test]
    async fn decodes_once_and_parses(#[case] path: &str, #[case] status: StatusCode, #[case] text: &str) {
        async fn handler(app: PathParam<AppName>, kind: PathParam<ProfileType, 1>) -> String {
            format!("{} {}", app.0, kind.0)
        }
        let app = http_test::init_service(App::new().route("/a/{app}/{type}", web::get().to(handler))).await;
        let answer = http_test::call_service(&app, http_test::TestRequest::get().uri(path).to_request()).await;
        assert_eq!(answer.status(), status);
        let body = String::from_utf8(http_test::read_body(answer).await.to_vec()).unwrap();
        assert!(body.contains(text), "{body}");
    }
}
