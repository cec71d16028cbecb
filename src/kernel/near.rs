//! Names near to one that is not known, for "did you mean".

/// At most so many are named.
const MOST: usize = 3;
/// A name is near if it takes at most one change for so many letters of the wanted one, and one more.
const LETTERS_PER_CHANGE: usize = 4;

/// The known names nearest to the wanted one, at most three, the nearest first, then by name. The distance is that of
/// Damerau and Levenshtein: letters put in, left out, replaced, or swapped with the next; case does not count. A name
/// that begins with the wanted one, or ends with it, is near too.
pub fn near<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let wanted = wanted.to_lowercase();
    let most_changes = wanted.chars().count() / LETTERS_PER_CHANGE + 1;
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let changes = strsim::osa_distance(&wanted, &name);
        let is_part = wanted.chars().count() > 2 && (name.starts_with(&wanted) || name.ends_with(&wanted));
        (changes <= most_changes || is_part).then_some(changes)
    };
    let mut near: Vec<_> = known.into_iter().filter_map(|name| Some((distance(name)?, name))).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::swapped("chekcout", &["cart", "checkout", "search"], &["checkout"])]
    #[case::case("Checkout", &["checkout"], &["checkout"])]
    #[case::nearest_first("shop1", &["shop22", "shop", "shop2"], &["shop", "shop2", "shop22"])]
    #[case::at_most_three("shop", &["shop4", "shop3", "shop2", "shop1"], &["shop1", "shop2", "shop3"])]
    #[case::a_part("cart", &["shop-cart", "cart-api", "carpet-store"], &["cart-api", "shop-cart"])]
    #[case::too_far("nobody", &["checkout", "cart"], &[])]
    #[case::nothing_known("checkout", &[], &[])]
    fn names_what_may_be_meant(#[case] wanted: &str, #[case] known: &[&str], #[case] expected: &[&str]) {
        assert_eq!(near(wanted, known.iter().copied()), expected);
    }
}
