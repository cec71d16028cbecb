//! Extractors: the edge where raw text becomes typed values, or a problem document.

mod body;
mod params;
mod path;
mod query;
mod tenant;
mod time;

use std::any::TypeId;
use std::fmt::Display;
use std::str::FromStr;

pub use body::{BODY_LIMIT_BYTES, Body, ChangeBody, ReadOnly};
pub use path::PathParam;
pub use query::Query;
pub use tenant::{TENANT_HEADER, TenantHeader};
pub use time::{Ends, SpanParam, TimeParam, default_to, window, windows};

use super::codes::Code;
use super::problem::Problem;
use crate::kernel::UnknownProfileType;

/// Reads one parameter's text as a type that knows how to parse itself. `name` is the parameter's name as the caller
/// wrote it.
///
/// # Errors
/// `profile_type_unknown` for a profile type that does not exist, else `parameter_invalid`.
pub fn parse<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Problem::field(code_of::<T::Err>(), name, error.to_string()))
}

/// The code of a parameter that was refused with an error of this type.
fn code_of<E>() -> Code {
    let unknown_type = typeid::of::<E>() == TypeId::of::<UnknownProfileType>();
    if unknown_type { Code::ProfileTypeUnknown } else { Code::ParameterInvalid }
}
