//! The format of entries in a file: one line each, `length checksum payload`, the two numbers as eight hexadecimal
//! digits.
//!
//! A payload is JSON without line ends, so whatever is broken ends at the next line end at the latest, and a line that
//! was cut off by a crash is recognised by its missing end.

/// Length of what stands before the payload.
const HEADER: usize = 18;

/// What some bytes start with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A whole entry.
    Whole {
        /// Its payload.
        payload: &'a [u8],
        /// Its length with all that frames it.
        length: usize,
    },
    /// A line that is no entry.
    Broken {
        /// Its length.
        length: usize,
    },
    /// The bytes end before the line does.
    Torn,
}

/// Frames a payload, which must hold no line end.
pub(super) fn frame(payload: &str) -> Vec<u8> {
    let checksum = crc32fast::hash(payload.as_bytes());
    format!("{:08x} {checksum:08x} {payload}\n", payload.len()).into_bytes()
}

/// Reads the first line; `None` where there is nothing.
pub(super) fn first(bytes: &[u8]) -> Option<Line<'_>> {
    if bytes.is_empty() {
        return None;
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Some(Line::Torn) };
    let length = end.saturating_add(1);
    Some(bytes.get(..end).and_then(payload).map_or(Line::Broken { length }, |payload| Line::Whole { payload, length }))
}

fn payload(line: &[u8]) -> Option<&[u8]> {
    let (header, payload) = line.split_at_checked(HEADER)?;
    let number = |digits: Option<&[u8]>| u32::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok();
    let (length, checksum) = (number(header.get(..8))?, number(header.get(9..17))?);
    let whole = usize::try_from(length).ok()? == payload.len() && checksum == crc32fast::hash(payload);
    whole.then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_a_line_that_a_person_can_read() {
        assert_eq!(
            String::from_utf8(frame("{}")).unwrap(),
            "00000002 8b6db0ae {}\n".replace("8b6db0ae", &format!("{:08x}", crc32fast::hash(b"{}")))
        );
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote_and_knows_every_cut(payload in "[^\n]{0,200}", cut in any::<prop::sample::Index>()) {
            let bytes = frame(&payload);
            let whole = Line::Whole { payload: payload.as_bytes(), length: bytes.len() };
            prop_assert_eq!(first(&bytes), Some(whole));
            let cut = cut.index(bytes.len());
            prop_assert_eq!(first(&bytes[..cut]), (cut > 0).then_some(Line::Torn));
        }

        #[test]
        fn a_changed_byte_is_noticed(payload in "[a-z]{1,50}", at in any::<prop::sample::Index>()) {
            let mut bytes = frame(&payload);
            let at = at.index(bytes.len() - 1);
            bytes[at] ^= 1;
            let length = bytes.len();
            let changed = first(&bytes);
            // The blanks of the header and the case of its digits carry nothing.
            prop_assert!(changed == Some(Line::Broken { length }) || at == 8 || at == 17, "{at} {changed:?}");
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = first(&bytes);
        }
    }
}
