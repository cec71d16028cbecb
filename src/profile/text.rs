//! Names as the rest of the server can keep them.

use std::borrow::Cow;

/// The bytes as text, with U+FFFD for what is not UTF-8 and for U+0000, which PostgreSQL cannot keep.
pub(super) fn sanitise(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Cow::Borrowed(text),
        _ => Cow::Owned(String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_is_no_text() {
        assert_eq!(sanitise(b"caf\xe9\0x"), "caf\u{fffd}\u{fffd}x");
        assert!(matches!(sanitise("größe".as_bytes()), Cow::Borrowed("größe")));
    }
}
