use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::params::{Failure, Parameters};
use crate::http::{Code, Problem};

/// The query string, read into a struct of parameters.
///
/// Unknown parameters are refused with a list of the known ones. Repeated parameters are refused. Each error names its
/// parameter. `T` is a plain struct of texts, numbers, flags, enums and options of them; `serde(flatten)` is not
/// supported. Fields of kernel types parse themselves.
///
/// ```
/// use actix_web::{HttpResponse, Responder};
/// use flamewarden::http::{Problem, Query, TimeParam};
///
/// #[derive(serde::Deserialize, utoipa::IntoParams)]
/// #[serde(rename_all = "camelCase", deny_unknown_fields)]
/// struct ListQuery {
///     /// Where the window begins.
///     from: Option<TimeParam>,
///     /// How many rows at most.
///     limit: Option<u32>,
/// }
///
/// async fn list(Query(query): Query<ListQuery>) -> Result<impl Responder, Problem> {
///     Ok(HttpResponse::Ok().json(query.limit.unwrap_or(50)))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T> Query<T> {
    /// The parameters.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Reads a query string without its question mark.
    ///
    /// # Errors
    /// `parameter_unknown`, else `profile_type_unknown` or `parameter_invalid`.
    pub fn from_query_string(text: &str) -> Result<Self, Problem> {
        let pairs = pairs(text)?;
        T::deserialize(Parameters::new(&pairs)).map(Self).map_err(problem)
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::from_query_string(request.query_string()))
    }
}

/// Parameters that mean their default where they are empty. Older clients always send them.
const EMPTY_IS_DEFAULT: [&str; 2] = ["type", "types"];

fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let is_default =
        |pair: &str| EMPTY_IS_DEFAULT.iter().any(|name| pair.strip_prefix(name).is_some_and(|rest| rest == "="));
    text.split('&')
        .filter(|pair| !pair.is_empty() && !is_default(pair))
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|why| Problem::field(Code::ParameterInvalid, name, why))?;
            let value = decode(value).map_err(|why| Problem::field(Code::ParameterInvalid, name.clone(), why))?;
            Ok((name, value))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, &'static str> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| "is not UTF-8")?;
    if decoded.contains('\0') {
        return Err("must not hold U+0000");
    }
    Ok(decoded.into_owned())
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Unknown { names, known } => {
            let known = match known {
                [] => "this route takes no parameters".to_owned(),
                known => format!("known are {}", known.join(", ")),
            };
            Problem::fields(Code::ParameterUnknown, names, &format!("is unknown: {known}"))
        }
        Failure::Named { name, code, detail } => Problem::field(code, name, detail),
        Failure::Unnamed { code, detail } => Problem::new(code, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::TimeParam;
    use crate::kernel::{AppName, ProfileType};
    use rstest::rstest;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Format {
        Json,
        Markdown,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Sample {
        app_name: AppName,
        #[serde(rename = "type")]
        kind: Option<ProfileType>,
        limit: Option<u32>,
        at_least: Option<f64>,
        format: Option<Format>,
        from: Option<TimeParam>,
        #[serde(default)]
        flag: bool,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    fn read(text: &str) -> Result<Sample, Problem> {
        Query::from_query_string(text).map(Query::into_inner)
    }

    #[test]
    fn reads_texts_numbers_flags_enums_and_kernel_types() {
        let sample = read("appName=caf%C3%A9+one&type=mutex&limit=7&atLeast=1.5&format=markdown&from=now-1h&flag=true");
        let sample = sample.unwrap();
        assert_eq!(sample.app_name.as_str(), "café one");
        assert_eq!(sample.kind, Some(ProfileType::Lock));
        assert_eq!((sample.limit, sample.at_least, sample.flag), (Some(7), Some(1.5), true));
        assert_eq!(sample.format, Some(Format::Markdown));
        assert!(sample.from.is_some());
    }

    #[rstest]
    #[case(
        "appName=a&limt=7",
        Code::ParameterUnknown,
        "limt: is unknown: known are appName, type, limit, atLeast, format, from, flag"
    )]
    #[case("appName=a&limit=7&limit=8", Code::ParameterInvalid, "limit: is given more than once")]
    #[case("limit=7", Code::ParameterInvalid, "appName: is missing")]
    #[case("appName=", Code::ParameterInvalid, "appName: must not be empty")]
    #[case("appName=a&limit=", Code::ParameterInvalid, "limit: must be a whole number from 0 to 4294967295")]
    #[case("appName=a&limit=-1", Code::ParameterInvalid, "limit: must be a whole number from 0 to 4294967295")]
    #[case("appName=a&atLeast=NaN", Code::ParameterInvalid, "atLeast: must be a number")]
    #[case("appName=a&flag=yes", Code::ParameterInvalid, "flag: must be true or false")]
    #[case("appName=a&format=xml", Code::ParameterInvalid, "format: unknown value \"xml\": valid are json, markdown")]
    #[case("appName=%FF", Code::ParameterInvalid, "appName: is not UTF-8")]
    #[case("appName=a%00b", Code::ParameterInvalid, "appName: must not hold U+0000")]
    #[case("appName=a&from=1706000000000", Code::ParameterInvalid, "from: must be epoch seconds, not milliseconds")]
    fn names_the_parameter_and_the_reason(#[case] text: &str, #[case] code: Code, #[case] detail: &str) {
        let problem = read(text).unwrap_err();
        assert_eq!((problem.code(), problem.detail()), (code, detail));
    }

    #[test]
    fn an_unknown_profile_type_has_its_own_code() {
        let problem = read("appName=a&type=heap").unwrap_err();
        assert_eq!(problem.code(), Code::ProfileTypeUnknown);
        assert!(problem.detail().contains("valid are cpu"), "{problem}");
    }

    #[test]
    fn an_empty_type_means_the_default() {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Asked {
            r#type: Option<crate::kernel::ProfileType>,
            types: Option<String>,
        }
        let asked = Query::<Asked>::from_query_string("type=&types=").unwrap().into_inner();
        assert!(asked.r#type.is_none() && asked.types.is_none());
        let asked = Query::<Asked>::from_query_string("type=CPU").unwrap().into_inner();
        assert_eq!(asked.r#type, Some(crate::kernel::ProfileType::Cpu));
    }

    #[test]
    fn a_route_without_parameters_says_so() {
        let problem = Query::<Nothing>::from_query_string("a=1&b=2").unwrap_err();
        assert_eq!(problem.detail(), "a, b: is unknown: this route takes no parameters");
    }
}
