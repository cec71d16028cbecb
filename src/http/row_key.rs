//! The id of a row in a path.

use std::str::FromStr;

use super::codes::Code;
use super::problem::Problem;
use crate::kernel::RowId;

/// The id of a row in a path: any whole number. A number that no row can have is an unknown id, not an invalid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey(Option<RowId>);

impl RowKey {
    /// The id.
    ///
    /// # Errors
    /// `unknown`, the code of the entity, where no row can have it.
    pub fn known(self, unknown: Code) -> Result<RowId, Problem> {
        self.0.ok_or_else(|| Problem::new(unknown, "no row has this id"))
    }
}

/// The same where ids are of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BigRowKey(Option<i64>);

impl BigRowKey {
    /// The id.
    ///
    /// # Errors
    /// `unknown`, the code of the entity, where no row can have it.
    pub fn known(self, unknown: Code) -> Result<i64, Problem> {
        self.0.ok_or_else(|| Problem::new(unknown, "no row has this id"))
    }
}

impl FromStr for RowKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        whole_number(text).map(|number| Self(number.and_then(RowId::new)))
    }
}

impl FromStr for BigRowKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        whole_number(text).map(|number| Self(number.filter(|number| *number >= 1)))
    }
}

/// The number; `None` where it is too large.
fn whole_number(text: &str) -> Result<Option<i64>, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("must be an id: a whole number from 1");
    }
    Ok(text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_any_row_is_an_unknown_id() {
        for text in ["0", "-1", "2147483648", "99999999999999999999999999"] {
            let key: RowKey = text.parse().unwrap();
            assert_eq!(key.known(Code::BaselineUnknown).unwrap_err().code(), Code::BaselineUnknown, "{text}");
        }
        let key: RowKey = "2147483647".parse().unwrap();
        assert_eq!(key.known(Code::BaselineUnknown).unwrap().get(), i32::MAX);
    }

    #[test]
    fn ids_of_64_bits_end_there() {
        let key: BigRowKey = "9223372036854775807".parse().unwrap();
        assert_eq!(key.known(Code::MetricUnknown).unwrap(), i64::MAX);
        for text in ["0", "-1", "9223372036854775808"] {
            let key: BigRowKey = text.parse().unwrap();
            assert_eq!(key.known(Code::MetricUnknown).unwrap_err().code(), Code::MetricUnknown, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "+1", "1.5", "abc", "1e3", " 1"] {
            assert!(text.parse::<RowKey>().is_err(), "{text}");
        }
    }
}
