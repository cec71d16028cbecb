//! Label selectors as Pyroscope reads them, and the labels by which populations and profilers differ.

use std::fmt::Write;

use crate::kernel::{AppName, MatchOp, Selector};

/// Labels by which populations differ whose profiles should not be judged together.
pub(super) const POPULATIONS: [&str; 5] = ["env", "environment", "deployment_environment", "namespace", "cluster"];
/// Labels by which profilers differ, the most reliable first.
pub(super) const PROFILERS: [&str; 3] = ["pyroscope_spy", "otel.scope.name", "job"];

/// `{service_name="app",…}`. Never empty, which servers require.
pub(super) fn selector_of(app: &AppName, selector: &Selector, further: Option<(&str, &str)>) -> String {
    let mut text = String::with_capacity(64);
    text.push_str("{service_name=");
    quote(&mut text, app.as_str());
    for matcher in selector.matchers() {
        condition(&mut text, matcher.name(), matcher.op(), matcher.value());
    }
    if let Some((name, value)) = further {
        condition(&mut text, name, MatchOp::Equal, value);
    }
    text.push('}');
    text
}

/// Names that older parsers only take in quotes, such as those with dots, are quoted.
fn condition(text: &mut String, name: &str, op: MatchOp, value: &str) {
    text.push(',');
    if name.contains('.') {
        quote(text, name);
    } else {
        text.push_str(name);
    }
    text.push_str(op.as_str());
    quote(text, value);
}

/// A text with Go's quotes and escapes.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("checkout", "", r#"{service_name="checkout"}"#)]
    #[case("a\"b\\c\nd\te", "", r#"{service_name="a\"b\\c\nd\u0009e"}"#)]
    #[case("checkout", r#"env="prod",pod=~"a\\.b.*""#, r#"{service_name="checkout",env="prod",pod=~"a\\.b.*"}"#)]
    #[case("größe/🔥", r#"otel.scope.name!="x""#, r#"{service_name="größe/🔥","otel.scope.name"!="x"}"#)]
    fn writes_a_selector_that_pyroscope_reads(#[case] app: &str, #[case] selector: &str, #[case] text: &str) {
        assert_eq!(selector_of(&app.parse().unwrap(), &selector.parse().unwrap(), None), text);
    }

    #[test]
    fn adds_the_profiler_that_is_read() {
        let text = selector_of(&"a".parse().unwrap(), &Selector::default(), Some(("pyroscope_spy", "gospy")));
        assert_eq!(text, r#"{service_name="a",pyroscope_spy="gospy"}"#);
    }
}
