//! How names are shown to people.

use std::borrow::Cow;

use super::text::all_digits;

/// The file endings of languages in which a function's name does not include its module.
const SCRIPTS: [&str; 8] = ["py", "js", "mjs", "cjs", "ts", "jsx", "tsx", "rb"];

/// The name without package, arguments and decoration: `com/example/Cart.toJson` is `Cart.toJson`,
/// `github.com/a/b/shop.(*Cart).Add` is `shop.(*Cart).Add`, `shop::cart::Cart::add` is `Cart::add`,
/// `total (/srv/shop/cart.py:12)` is `total (cart.py:12)`, `maps.(*Map[go.shape.string,a/b.Cart]).Load` is
/// `maps.(*Map[…]).Load`.
pub fn short_name(name: &str) -> Cow<'_, str> {
    if let Some(name) = without_type_arguments(name) {
        return Cow::Owned(bare(&name).to_owned());
    }
    match name.strip_suffix(')').and_then(|n| n.split_once(" (")) {
        // The number of calls says nothing of the function.
        Some((function, calls)) if !function.is_empty() && all_digits(calls) => bare(function).into(),
        Some((function, place)) if !function.is_empty() && is_place(place) => {
            let file = place.rfind(['/', '\\']).and_then(|at| place.get(at + 1..)).unwrap_or(place);
            Cow::Owned(format!("{function} ({file})"))
        }
        _ => bare(name).into(),
    }
}

/// The name with the end of its file's path, where it is a bare word of a script that many files may have:
/// `handle (router/layer.js)`.
pub(in crate::verdict) fn with_file((name, file): (&str, &str)) -> String {
    let is_script = file.rsplit_once('.').is_some_and(|(_, ending)| SCRIPTS.contains(&ending));
    if !is_script || name.contains(['.', '/', ':', '#', '\\']) {
        return name.to_owned();
    }
    let path = file.rmatch_indices(['/', '\\']).nth(1).and_then(|(at, _)| file.get(at + 1..)).unwrap_or(file);
    format!("{name} ({path})")
}

/// The name with `…` in place of Go's type arguments, which have paths of their own; `None` for a name without any.
fn without_type_arguments(name: &str) -> Option<String> {
    let opens = name.find('[').filter(|at| *at > 0)?;
    let has_path = name.get(opens..)?.split(']').next()?.contains(['.', '/']);
    if !has_path {
        return None;
    }
    let mut short = String::with_capacity(name.len());
    let mut depth = 0_usize;
    for c in name.chars() {
        if c == ']' {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            short.push(c);
        }
        if c == '[' {
            if depth == 0 {
                short.push('…');
            }
            depth += 1;
        }
    }
    Some(short)
}

/// `/srv/shop/cart.py:12`: a file, and where in it.
fn is_place(text: &str) -> bool {
    let file = text.rsplit_once(':').filter(|(_, line)| all_digits(line)).map_or(text, |(file, _)| file);
    let is_file = file.rsplit_once('.').is_some_and(|(_, ending)| ending.bytes().all(|b| b.is_ascii_alphanumeric()));
    is_file && !text.contains(['(', ')', ','])
}

fn bare(name: &str) -> &str {
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
    #[case("github.com/a/b/v4.(*Map[go.shape.uint64,go.shape.struct { A x/y.A; B x/y.B }]).Load", "v4.(*Map[…]).Load")]
    #[case("a/b.internal[go.shape.43e642].internal[go.shape.43e642].func1", "b.internal[…].internal[…].func1")]
    #[case("cmp.Map[x.K[y.V],z.T].Get", "cmp.Map[…].Get")]
    #[case("fsnotify_[k]", "fsnotify_[k]")]
    #[case("[kernel.kallsyms]`do_sys_open", "[kernel.kallsyms]`do_sys_open")]
    #[case("net/http.(*conn).serve", "http.(*conn).serve")]
    #[case("shop::cart::Cart::add", "Cart::add")]
    #[case("./index.js:(anonymous):22", "index.js:(anonymous):22")]
    #[case("total (/srv/shop/cart.py:12)", "total (cart.py:12)")]
    #[case("<module> (cart.py:12)", "<module> (cart.py:12)")]
    #[case("Shop::Cart#total (91)", "Shop::Cart#total")]
    #[case("Shop!Shop.Cart.Total(class System.String, int32)", "Cart.Total")]
    #[case("main", "main")]
    #[case("loads", "loads")]
    #[case("(garbage collector)", "(garbage collector)")]
    #[case("/", "/")]
    #[case("", "")]
    fn shows_names_short(#[case] name: &str, #[case] short: &str) {
        assert_eq!(short_name(name), short);
    }

    #[rstest]
    #[case("handle", "/srv/node_modules/express/lib/router/layer.js", "handle (router/layer.js)")]
    #[case("<module>", "main.py", "<module> (main.py)")]
    #[case("Cart#total", "/srv/app/cart.rb", "Cart#total")]
    #[case("main.total", "/srv/cart.go", "main.total")]
    #[case("total", "", "total")]
    fn says_the_file_of_a_bare_word(#[case] name: &str, #[case] file: &str, #[case] shown: &str) {
        assert_eq!(with_file((name, file)), shown);
    }
}
