//! Protobuf's JSON form of the fields of these messages.

pub(super) use crate::protobuf::json::{is_default, number, numbers, some_number};

/// The form of an answer, by its name or its number.
pub(super) mod profile_format {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::super::querier::v1::ProfileFormat;
    use crate::protobuf::json::Written;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
    pub(in super::super) fn serialize<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        match ProfileFormat::try_from(*value) {
            Ok(format) => format.as_str_name().serialize(serializer),
            Err(_) => value.serialize(serializer),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(number),
            Written::Text(name) => ProfileFormat::from_str_name(&name)
                .map(i32::from)
                .ok_or_else(|| de::Error::custom(format_args!("{name:?} is no profile format"))),
        }
    }
}
