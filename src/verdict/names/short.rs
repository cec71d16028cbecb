//! How names are shown to people.

/// The name without package, arguments and decoration: `com/example/Cart.toJson` is `Cart.toJson`,
/// `github.com/a/b/shop.(*Cart).Add` is `shop.(*Cart).Add`, `shop::cart::Cart::add` is `Cart::add`.
pub fn short_name(name: &str) -> &str {
    let before_arguments = name.split_once('(').map(|(head, _)| head);
    let bare = match before_arguments.filter(|head| head.contains(['.', ':']) && !head.ends_with(['.', ':', '/'])) {
        Some(head) => head.rsplit_once(' ').map_or(head, |(_, last)| last),
        None => name,
    };
    // One byte is looked for more quickly than two, and most names have neither.
    if bare.contains(':') && bare.contains("::") && !bare.contains('<') {
        return last_two(bare, bare.rmatch_indices("::"));
    }
    let bare = bare.rfind('/').and_then(|slash| bare.get(slash + 1..)).filter(|rest| !rest.is_empty()).unwrap_or(bare);
    if bare.contains(['(', '<', '[', ':']) {
        return bare;
    }
    last_two(bare, bare.rmatch_indices('.'))
}

/// The last two parts of a name between separators, which are given from the last one.
fn last_two<'n>(name: &'n str, mut separators: impl Iterator<Item = (usize, &'n str)>) -> &'n str {
    separators.nth(1).and_then(|(at, separator)| name.get(at + separator.len()..)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("com/example/shop/Cart.toJson", "Cart.toJson")]
    #[case("java.util.HashMap.resize", "HashMap.resize")]
    #[case("void com.example.Cart.toJson(java.lang.String)", "Cart.toJson")]
    #[case("github.com/a/b/shop.(*Cart).Add", "shop.(*Cart).Add")]
    #[case("net/http.(*conn).serve", "http.(*conn).serve")]
    #[case("shop::cart::Cart::add", "Cart::add")]
    #[case("./index.js:(anonymous):22", "index.js:(anonymous):22")]
    #[case("main", "main")]
    #[case("loads", "loads")]
    #[case("(garbage collector)", "(garbage collector)")]
    #[case("/", "/")]
    #[case("", "")]
    fn shows_names_short(#[case] name: &str, #[case] short: &str) {
        assert_eq!(short_name(name), short);
    }
}
