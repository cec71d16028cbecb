//! Compares two JSON documents.

use serde_json::Value;

/// The differences of two documents, as JSON pointers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Members of the first document that the second lacks or has with another value.
    pub(crate) lost: Vec<String>,
    /// Members that only the second document has.
    pub(crate) added: Vec<String>,
}

impl Differences {
    /// Compares two documents. Arrays are compared item by item.
    pub(crate) fn between(one: &Value, other: &Value) -> Self {
        let mut found = Self::default();
        found.look("", one, other);
        found
    }

    fn look(&mut self, at: &str, one: &Value, other: &Value) {
        match (one, other) {
            (Value::Object(one), Value::Object(other)) => {
                for (name, value) in one {
                    let at = format!("{at}/{name}");
                    match other.get(name) {
                        Some(there) => self.look(&at, value, there),
                        None => self.lost.push(at),
                    }
                }
                let added = other.keys().filter(|name| !one.contains_key(*name));
                self.added.extend(added.map(|name| format!("{at}/{name}")));
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (i, (value, there)) in one.iter().zip(other).enumerate() {
                    self.look(&format!("{at}/{i}"), value, there);
                }
            }
            _ if one == other => {}
            _ => self.lost.push(at.to_owned()),
        }
    }
}

#[test]
fn differences_are_told_by_place_and_direction() {
    let one = serde_json::json!({"a": 1, "b": [{"c": 1}, 2], "d": null});
    let other = serde_json::json!({"a": 1, "b": [{"c": 1, "e": 5}, 3], "f": {}});
    let Differences { lost, added } = Differences::between(&one, &other);
    assert_eq!((lost, added), (vec!["/b/1".to_owned(), "/d".to_owned()], vec!["/b/0/e".to_owned(), "/f".to_owned()]));
}
