//! Shortens a path.

use std::borrow::Cow;

/// Names in a shortened path.
const PATH: usize = 4;

/// Names from the caller down, each of several in a row once: of many the first ones and the last.
pub(super) fn shortened<'n>(mut names: impl DoubleEndedIterator<Item = Cow<'n, str>>) -> Vec<String> {
    let mut kept: Vec<Cow<'n, str>> = Vec::with_capacity(PATH);
    while let Some(name) = names.next() {
        if kept.last() == Some(&name) {
            continue;
        }
        if kept.len() == PATH {
            kept.truncate(PATH - 2);
            kept.extend(["…".into(), names.next_back().unwrap_or(name)]);
            break;
        }
        kept.push(name);
    }
    kept.into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", &[""])]
    #[case("a b c d", &["a", "b", "c", "d"])]
    #[case("a a b c c d d", &["a", "b", "c", "d"])]
    #[case("a b c d e", &["a", "b", "…", "e"])]
    #[case("a b c d e f f", &["a", "b", "…", "f"])]
    fn shortens_a_path_to_its_first_names_and_its_last(#[case] names: &str, #[case] expected: &[&str]) {
        assert_eq!(shortened(names.split(' ').map(Cow::from)), expected);
    }
}
