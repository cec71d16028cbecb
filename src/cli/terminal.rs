//! Shows text to a person: wrapped at the width of the terminal, verdicts in colour.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use terminal_size::Width;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const ASIDE: Style = Style::new().dimmed();

/// The style of a line, by its beginning. The first that matches applies.
const STYLES: [(&str, Style); 12] = [
    ("PROBLEM", BAD),
    ("REGRESSIONS", BAD),
    ("over its limit", BAD),
    ("NOTHING STANDS OUT", GOOD),
    ("OWN CODE", GOOD),
    ("QUIET", GOOD),
    ("NO REGRESSIONS", GOOD),
    ("NOT SURE", UNSURE),
    ("INCONCLUSIVE", UNSURE),
    ("NO DATA", UNSURE),
    ("UNAVAILABLE", UNSURE),
    ("note:", ASIDE),
];

/// Prints text that ends with a line break. Lines are wrapped only on a terminal.
pub(super) fn show(text: &str, color: Color) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let is_terminal = out.is_terminal();
    let width = terminal_size::terminal_size_of(&out).filter(|_| is_terminal).map(|(Width(width), _)| width.into());
    let is_colored = match color {
        Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        Color::Always => true,
        Color::Never => false,
    };
    out.write_all(dressed(text, width, is_colored).as_bytes())
}

/// The text, wrapped at a width and coloured. Continued lines are indented further than their first line.
fn dressed(text: &str, width: Option<usize>, is_colored: bool) -> String {
    let mut dressed = String::with_capacity(text.len());
    for line in text.lines() {
        let words = line.trim_start();
        let indent = " ".repeat(line.len() - words.len() + 4);
        let pieces = match width {
            Some(width) => {
                textwrap::wrap(line, textwrap::Options::new(width).subsequent_indent(&indent).break_words(false))
            }
            None => vec![Cow::Borrowed(line)],
        };
        let style = STYLES.iter().find(|(beginning, _)| is_colored && words.starts_with(beginning));
        for piece in pieces {
            match style {
                Some((_, style)) => {
                    let _ = writeln!(dressed, "{style}{piece}{style:#}");
                }
                None => {
                    let _ = writeln!(dressed, "{piece}");
                }
            }
        }
    }
    dressed
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "shop\n\nPROBLEM: gc (high)\n  70.00 %  a function with a long name\n";

    #[test]
    fn without_a_terminal_a_text_stays_as_it_is() {
        assert_eq!(dressed(TEXT, None, false), TEXT);
        assert_eq!(dressed(TEXT, Some(80), false), TEXT);
    }

    #[test]
    fn long_lines_go_on_below_further_to_the_right() {
        let expected = "shop\n\nPROBLEM: gc (high)\n  70.00 %  a function\n      with a long name\n";
        assert_eq!(dressed(TEXT, Some(24), false), expected);
    }

    #[test]
    fn a_verdict_has_its_colour_and_nothing_else_has() {
        let expected =
            "shop\n\n\u{1b}[1m\u{1b}[31mPROBLEM: gc (high)\u{1b}[0m\n  70.00 %  a function with a long name\n";
        assert_eq!(dressed(TEXT, None, true), expected);
    }
}
