//! The example of the documentation; a test keeps it in the shape of the answer.

/// A whole answer of v2.
pub(super) fn diff() -> serde_json::Value {
    serde_json::from_str(include_str!("example.json")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::bor::diff::DiffBody;

    #[test]
    fn the_example_is_an_answer_with_every_field_known() {
        let example = super::diff();
        let body: DiffBody = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(body).unwrap(), example);
    }
}
