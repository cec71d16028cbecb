//! Makes names storable: valid UTF-8 without U+0000.

use std::borrow::Cow;

/// The bytes as text, with U+FFFD for what is not UTF-8 and for U+0000, which PostgreSQL cannot store.
pub(super) fn sanitise(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Cow::Borrowed(text),
        _ => Cow::Owned(String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")),
    }
}

/// The name of a Python function as `py-spy` writes it, `main (app/main.py:49)`, without the line, and the line: a function
/// that was sampled in several lines is one. Any other name as it is, with 0.
pub(super) fn without_line(name: &str) -> (Cow<'_, str>, u32) {
    let place = name.strip_suffix(')').and_then(|name| name.rsplit_once(':'));
    match place.and_then(|(front, line)| Some((front, line.parse().ok()?))) {
        Some((front, line)) if front.rsplit('.').next() == Some("py") && front.contains(" (") => {
            (format!("{front})").into(), line)
        }
        _ => (name.into(), 0),
    }
}

/// Whether the bytes are ASCII without U+0000, as nearly all names are: [`sanitise`] leaves them as they are.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    const LOWEST: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks();
    // Where no byte is over 127, taking 1 of each sets the highest bit of those that are 0, and of none before them.
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).fold(0, |all, w| all | w | w.wrapping_sub(LOWEST));
    let rest = rest.iter().fold(0, |all, b| all | b | b.wrapping_sub(1));
    words & (LOWEST << 7) == 0 && rest < 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_what_stays_as_it_is_and_is_ascii() {
        for at in 0..19 {
            let mut text = *b"runtime.scanobject!";
            assert!(is_plain(&text[..at]));
            for byte in 0..=u8::MAX {
                text[at] = byte;
                assert_eq!(is_plain(&text), (1..128).contains(&byte), "{byte} at {at}");
            }
        }
    }

    #[test]
    fn takes_the_line_off_a_function_of_python() {
        for (name, expected) in [
            ("main (app/main.py:49)", ("main (app/main.py)", 49)),
            ("<module> (a b.py:1)", ("<module> (a b.py)", 1)),
            ("main (app/main.py)", ("main (app/main.py)", 0)),
            ("main (main.py:x)", ("main (main.py:x)", 0)),
            ("main.py:49)", ("main.py:49)", 0)),
            ("f (file.js:12)", ("f (file.js:12)", 0)),
        ] {
            let (text, line) = without_line(name);
            assert_eq!((&*text, line), expected);
        }
    }

    #[test]
    fn replaces_what_is_no_text() {
        assert_eq!(sanitise(b"caf\xe9\0x"), "caf\u{fffd}\u{fffd}x");
        assert!(matches!(sanitise("größe".as_bytes()), Cow::Borrowed("größe")));
    }
}
