use serde_json::{Map, Value};

/// A row of a table: a valid value, or what was written there without the routes.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored<T> {
    /// A row as the routes write it.
    Valid(T),
    /// A row that holds what the routes would refuse.
    Odd(OddRow),
}

impl<T> Stored<T> {
    /// The value if the row is valid. Decisions only use these.
    pub fn valid(self) -> Option<T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Odd(_) => None,
        }
    }
}

/// A row that no value can be made of, to be shown, mended and removed.
#[derive(Debug, Clone, PartialEq)]
pub struct OddRow(Map<String, Value>);

impl OddRow {
    /// The member that says what is wrong with a row.
    const PROBLEMS: &'static str = "problems";

    /// The members of a row as its table holds them, and what is wrong with them, at least one sentence.
    pub fn new(mut members: Map<String, Value>, problems: Vec<String>) -> Self {
        members.insert(Self::PROBLEMS.to_owned(), problems.into());
        Self(members)
    }

    /// The row that another server sent, if it is an odd one.
    pub fn of(members: &Map<String, Value>) -> Option<Self> {
        let problems = members.get(Self::PROBLEMS)?.as_array()?;
        (!problems.is_empty()).then(|| Self(members.clone()))
    }

    /// Its members, `problems` among them.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Members that a change only repeats, from a client that sends back the whole row it read. They must be equal to the
/// stored ones. The time of the last change and the list of problems are not compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Repeated(Map<String, Value>);

impl Repeated {
    /// These members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The first member that differs from the stored one.
    pub fn differing(&self, stored: &Map<String, Value>) -> Option<&str> {
        let not_compared = ["updatedAt", OddRow::PROBLEMS];
        let differs = |(name, value): &(&String, &Value)| {
            !not_compared.contains(&name.as_str()) && !same(value, stored.get(*name).unwrap_or(&Value::Null))
        };
        self.0.iter().find(differs).map(|(name, _)| name.as_str())
    }
}

/// Whether two members are the same: times by their instant, numbers by their value.
fn same(one: &Value, other: &Value) -> bool {
    let time = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok();
    one == other
        || time(one).zip(time(other)).is_some_and(|(one, other)| one == other)
        || one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_odd_row_is_told_by_its_problems() {
        let row = OddRow::new(map(json!({"id": 1, "severity": "dreadful"})), vec!["severity: is unknown".to_owned()]);
        assert_eq!(OddRow::of(row.members()).as_ref(), Some(&row));
        assert_eq!(OddRow::of(&map(json!({"id": 1}))), None);
        assert_eq!(OddRow::of(&map(json!({"id": 1, "problems": []}))), None);
        assert_eq!(Stored::<u8>::Odd(row).valid(), None);
        assert_eq!(Stored::Valid(7).valid(), Some(7));
    }

    #[rstest]
    #[case::the_same(json!({"id": 1, "appName": "a"}), None)]
    #[case::nothing(json!({}), None)]
    #[case::a_number_otherwise(json!({"id": 1.0}), None)]
    #[case::a_time_otherwise(json!({"createdAt": "2024-01-23T10:53:20+02:00"}), None)]
    #[case::not_compared(json!({"updatedAt": "2020-01-01T00:00:00Z", "problems": []}), None)]
    #[case::another(json!({"appName": "b"}), Some("appName"))]
    #[case::what_is_not_there(json!({"createdBy": "ana"}), Some("createdBy"))]
    #[case::null_for_what_is_not_there(json!({"createdBy": null}), None)]
    fn what_is_repeated_must_be_as_it_is_stored(#[case] repeated: Value, #[case] differing: Option<&str>) {
        let stored =
            json!({"id": 1, "appName": "a", "createdAt": "2024-01-23T08:53:20Z", "updatedAt": "2024-01-24T00:00:00Z"});
        assert_eq!(Repeated::new(map(repeated)).differing(&map(stored)), differing);
    }
}
