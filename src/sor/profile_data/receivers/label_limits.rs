//! What labels of a push may be.

use std::collections::BTreeMap;

use super::super::store::{MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABELS};
use super::refused::Refused;

/// Refuses labels that are too many or too long. The limits are Pyroscope's. Labels that begin with `__` belong to the
/// protocol and are not counted.
pub(super) fn check_labels(member: &'static str, labels: &BTreeMap<String, String>) -> Result<(), Refused> {
    let refused = |detail| Err(Refused::Parameter(member, detail));
    let count = labels.keys().filter(|name| !name.starts_with("__")).count();
    if count > MAX_LABELS {
        return refused(format!("has {count} labels: at most {MAX_LABELS} are taken"));
    }
    for (name, value) in labels {
        if name.len() > MAX_LABEL_NAME {
            let begin: String = name.chars().take(20).collect();
            return refused(format!("the name of label {begin:?}… has more than {MAX_LABEL_NAME} bytes"));
        }
        if value.len() > MAX_LABEL_VALUE {
            return refused(format!("the value of label {name:?} has more than {MAX_LABEL_VALUE} bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn labels(count: usize, name: usize, value: usize) -> BTreeMap<String, String> {
        let mut labels: BTreeMap<_, _> = (1..count).map(|n| (format!("label_{n}"), "value".to_owned())).collect();
        labels.insert("n".repeat(name), "v".repeat(value));
        labels.insert("__delta__".to_owned(), "false".to_owned());
        labels
    }

    #[rstest]
    #[case::the_most(30, 1_024, 2_048, None)]
    #[case::one_more(31, 1, 1, Some("has 31 labels: at most 30"))]
    #[case::a_long_name(2, 1_025, 1, Some("more than 1024 bytes"))]
    #[case::a_long_value(2, 1, 2_049, Some("more than 2048 bytes"))]
    fn labels_have_limits_that_errors_name(
        #[case] count: usize,
        #[case] name: usize,
        #[case] value: usize,
        #[case] said: Option<&str>,
    ) {
        match (check_labels("name", &labels(count, name, value)), said) {
            (Ok(()), None) => {}
            (Err(Refused::Parameter("name", detail)), Some(said)) => assert!(detail.contains(said), "{detail}"),
            (other, _) => panic!("{other:?}"),
        }
    }
}
