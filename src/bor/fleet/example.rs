//! The examples of the documentation; a test keeps them in the shape of the answers.

/// A whole answer of a search, v2.
pub(super) fn search() -> serde_json::Value {
    serde_json::from_str(include_str!("search.json")).unwrap_or_default()
}

/// A whole answer of hotspots, v2.
pub(super) fn hotspots() -> serde_json::Value {
    serde_json::from_str(include_str!("hotspots.json")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::bor::fleet::{HotspotsBody, SearchBody};

    #[test]
    fn the_examples_are_answers_with_every_field_known() {
        let (search, hotspots) = (super::search(), super::hotspots());
        let body: SearchBody = serde_json::from_value(search.clone()).unwrap();
        assert_eq!(serde_json::to_value(body).unwrap(), search);
        let body: HotspotsBody = serde_json::from_value(hotspots.clone()).unwrap();
        assert_eq!(serde_json::to_value(body).unwrap(), hotspots);
    }
}
