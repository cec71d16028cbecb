use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::kernel::{InvalidJson, InvalidTenant, JsonObject, Tenant};

/// The member that says of which tenant a service's profiles are.
const TENANT: &str = "pyroscopeTenant";

/// What else the owners of a service want to be known: any JSON object whose `pyroscopeTenant`, where it has one, is a
/// tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    object: JsonObject,
    tenant: Option<Tenant>,
}

/// Why a JSON value is no [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// No object, too long, or something that PostgreSQL cannot keep.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// The tenant is no text.
    #[error("{TENANT} must be a text")]
    Shape,
    /// The tenant is not valid.
    #[error("{TENANT} {0}")]
    Tenant(#[from] InvalidTenant),
}

impl Metadata {
    /// The object as a value.
    pub fn as_value(&self) -> &Value {
        self.object.as_value()
    }

    /// The tenant of the service's profiles, where that is not the one the source is configured with.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }
}

impl TryFrom<Value> for Metadata {
    type Error = InvalidMetadata;

    fn try_from(value: Value) -> Result<Self, InvalidMetadata> {
        let object = JsonObject::try_from(value)?;
        let tenant = match object.as_value().get(TENANT) {
            Some(Value::String(text)) => Some(text.parse()?),
            Some(_) => return Err(InvalidMetadata::Shape),
            None => None,
        };
        Ok(Self { object, tenant })
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!([]), "must be an object")]
    #[case(json!({"pyroscopeTenant": null}), "pyroscopeTenant must be a text")]
    #[case(json!({"pyroscopeTenant": 7}), "pyroscopeTenant must be a text")]
    #[case(json!({"pyroscopeTenant": ""}), "pyroscopeTenant must be 1 to 150 characters long, is 0")]
    #[case(json!({"pyroscopeTenant": "a|b"}), "pyroscopeTenant may hold letters, digits and !-_.*'() only, not '|'")]
    fn refuses_a_tenant_that_is_none(#[case] value: Value, #[case] reason: &str) {
        assert_eq!(Metadata::try_from(value).unwrap_err().to_string(), reason);
    }

    #[test]
    fn is_the_object_that_was_given_and_knows_its_tenant() {
        let given = json!({"z": [1], "pyroscopeTenant": "team-a"});
        let metadata = Metadata::try_from(given.clone()).unwrap();
        assert_eq!(metadata.tenant().map(Tenant::as_str), Some("team-a"));
        assert_eq!((metadata.as_value(), serde_json::to_value(&metadata).unwrap()), (&given, given.clone()));
        let without = Metadata::try_from(json!({"pyroscope": {"pyroscopeTenant": 7}})).unwrap();
        assert_eq!(without.tenant(), None);
    }
}
