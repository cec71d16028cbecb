use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a change does to a field that may be empty. A field of a JSON body with `#[serde(default)]`: absent keeps, null
/// clears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It becomes empty.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field stays as it is.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// What it becomes; `None` where it becomes empty, or stays.
    pub fn value(&self) -> Option<&T> {
        if let Self::Set(value) = self { Some(value) } else { None }
    }
}

/// To be skipped where it keeps: a null would clear.
impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body {
        #[serde(default, skip_serializing_if = "Change::is_keep")]
        owner: Change<String>,
    }

    #[rstest]
    #[case("{}", Change::Keep)]
    #[case(r#"{"owner":null}"#, Change::Clear)]
    #[case(r#"{"owner":"ana"}"#, Change::Set("ana".to_owned()))]
    fn absent_keeps_and_null_clears(#[case] json: &str, #[case] owner: Change<String>) {
        let body = Body { owner };
        assert_eq!(serde_json::from_str::<Body>(json).unwrap(), body);
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
    }
}
