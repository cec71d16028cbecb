//! Makes names storable: valid UTF-8 without U+0000.

use std::borrow::Cow;

/// The bytes as text, with U+FFFD for what is not UTF-8 and for U+0000, which PostgreSQL cannot store.
pub(super) fn sanitise(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Cow::Borrowed(text),
        _ => Cow::Owned(String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")),
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
    fn replaces_what_is_no_text() {
        assert_eq!(sanitise(b"caf\xe9\0x"), "caf\u{fffd}\u{fffd}x");
        assert!(matches!(sanitise("größe".as_bytes()), Cow::Borrowed("größe")));
    }
}
