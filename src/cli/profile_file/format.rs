//! The format of a file, from its content; of two binary formats without a mark, from its name.

use std::path::Path;

use crate::profile::{ReadLimits, beginning, inflate, is_jfr};

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Format {
    Pprof,
    Folded,
    Flamebearer,
    Speedscope,
    CpuProfile,
    Trie,
    Tree,
    Jfr,
}

/// Formats of JSON, by members that they have. The first of which all are there; without any it is flame graph JSON.
const JSON: [(&[&[u8]], Format); 4] = [
    (&[b"\"flamebearer\""], Format::Flamebearer),
    (&[b"speedscope.app/file-format-schema"], Format::Speedscope),
    (&[b"\"shared\"", b"\"frames\""], Format::Speedscope),
    (&[b"\"nodes\"", b"\"callFrame\""], Format::CpuProfile),
];

/// Formats by the extension of the file's name, before that of a compression. Their content shows nothing.
const EXTENSIONS: [(&str, Format); 2] = [("trie", Format::Trie), ("tree", Format::Tree)];

/// How many inflated bytes are looked at for the format: longer than any first line of folded stacks.
const LOOKED_AT: usize = 1 << 20;

/// A recording starts with its mark, JSON with a brace, folded stacks are text whose lines end with a number, anything
/// else is pprof. Any of them may be compressed.
pub(in crate::cli) fn format_of(path: &Path, bytes: &[u8]) -> Format {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if let Some((_, format)) = EXTENSIONS.iter().find(|(known, _)| *known == extension) {
        return *format;
    }
    let bytes = beginning(bytes, LOOKED_AT);
    if is_jfr(&bytes) {
        return Format::Jfr;
    }
    let start = bytes.trim_ascii_start();
    if start.starts_with(b"{") {
        let has = |wanted: &&[u8]| start.windows(wanted.len()).any(|found| found == *wanted);
        let known = JSON.iter().find(|(members, _)| members.iter().all(has));
        return known.map_or(Format::Flamebearer, |(_, format)| *format);
    }
    let line = start.split(|b| *b == b'\n').next().unwrap_or(&[]).trim_ascii_end();
    let ends_in_number = || {
        let text = std::str::from_utf8(line).ok().and_then(|line| line.rsplit_once([' ', '\t']));
        text.is_some_and(|(stack, number)| !stack.contains('\0') && is_number(number))
    };
    if ends_in_number() { Format::Folded } else { Format::Pprof }
}

/// Whether a text is digits, with decimals or without.
fn is_number(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    [whole, decimals].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Other formats, by their first bytes after white space.
const BEGINNINGS: [(&[u8], &str); 10] = [
    (b"<svg", "an SVG picture"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "XML, perhaps an SVG picture"),
    (b"PERFILE2", "a perf.data file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\x7fELF", "a program or library"),
    (b"go 1.", "a Go execution trace"),
    (b"[", "a JSON list, perhaps a Chrome trace"),
];

/// Other formats of JSON, by a member that they have.
const MEMBERS: [(&[u8], &str); 3] = [
    (b"\"traceEvents\"", "a Chrome trace"),
    (b"\"selfSize\"", "a heap profile of V8 (.heapprofile)"),
    (b"\"resourceProfiles\"", "profiles of OpenTelemetry as JSON"),
];

/// What an unreadable file looks like. `None`: flame graph JSON, about which its reader knows more.
pub(super) fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file");
    }
    let Ok(inflated) = inflate(bytes, &ReadLimits::default()) else {
        return Some("a compressed file that is cut off or damaged");
    };
    let start = inflated.trim_ascii_start();
    let has = |wanted: &[u8]| start.windows(wanted.len()).any(|found| found == wanted);
    if start.starts_with(b"{") {
        let known = MEMBERS.iter().find(|(member, _)| has(member)).map(|(_, name)| *name);
        return known.or_else(|| (!has(b"\"flamebearer\"")).then_some("JSON that is no flame graph"));
    }
    let begins = |beginning: &[u8]| start.get(..beginning.len()).is_some_and(|s| s.eq_ignore_ascii_case(beginning));
    let known = BEGINNINGS.iter().find(|(beginning, _)| begins(beginning)).map(|(_, name)| *name);
    let is_text = || {
        let printable = |text: &str| text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
        std::str::from_utf8(&inflated).is_ok_and(printable)
    };
    Some(known.unwrap_or_else(|| {
        if is_text() { "text whose lines do not end in a number" } else { "a damaged pprof file, or no profile at all" }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"{\"flamebearer\":{}}", Format::Flamebearer)]
    #[case(b"{\"names\":[]}", Format::Flamebearer)]
    #[case(b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",", Format::Speedscope)]
    #[case(b" {\"version\":\"1\",\"shared\":{\"frames\":[", Format::Speedscope)]
    #[case(b"{\"nodes\":[{\"id\":1,\"callFrame\":{", Format::CpuProfile)]
    #[case(b"\n main;a b 12\nmain 1\n", Format::Folded)]
    #[case(b"main;a 12.5\n", Format::Folded)]
    #[case(b"\x0a\x04\x08\x01\x10\x02", Format::Pprof)]
    #[case(b"\x1f\x8b\x08", Format::Pprof)]
    #[case(b"", Format::Pprof)]
    #[case(b"FLR\0\0\x02", Format::Jfr)]
    fn tells_formats_by_content(#[case] bytes: &[u8], #[case] format: Format) {
        assert_eq!(format_of(Path::new("profile"), bytes), format);
    }

    #[rstest]
    #[case("a/b.tree", Format::Tree)]
    #[case("checkout.2026.TRIE", Format::Trie)]
    #[case("x.trie.gz", Format::Trie)]
    #[case("trie", Format::Folded)]
    #[case("x.tree.txt", Format::Folded)]
    fn tells_formats_without_a_mark_by_the_name(#[case] path: &str, #[case] format: Format) {
        assert_eq!(format_of(Path::new(path), b"main 1"), format);
    }

    #[rstest]
    #[case(b"", Some("an empty file"))]
    #[case(b"\n<SVG width=\"1200\">", Some("an SVG picture"))]
    #[case(b"\x1f\x8b\x08\x00", Some("a compressed file that is cut off or damaged"))]
    #[case(b"{\"head\":{\"callFrame\":{},\"selfSize\":0}}", Some("a heap profile of V8 (.heapprofile)"))]
    #[case(b"{\"a\":1}", Some("JSON that is no flame graph"))]
    #[case(b"{\"flamebearer\":{}}", None)]
    #[case(b"Dear reader,\n", Some("text whose lines do not end in a number"))]
    #[case(b"\x0a\x04\x08\x01\x10", Some("a damaged pprof file, or no profile at all"))]
    fn says_what_a_file_looks_like(#[case] bytes: &[u8], #[case] expected: Option<&str>) {
        assert_eq!(looks_like(bytes), expected);
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn looks_into_compressed_files() {
        assert_eq!(looks_like(&gzip(b"PERFILE2")), Some("a perf.data file"));
        assert_eq!(format_of(Path::new("x.gz"), &gzip(b"FLR\0\0\x02\0\x01")), Format::Jfr);
        assert_eq!(format_of(Path::new("x.gz"), &gzip(b"main;a 1\n")), Format::Folded);
        assert_eq!(format_of(Path::new("x.gz"), &gzip(b"{\"flamebearer\":{}}")), Format::Flamebearer);
        let zstd = zstd::stream::encode_all(&b"main;a 1\n"[..], 0).unwrap();
        assert_eq!(format_of(Path::new("x.gz"), &zstd), Format::Folded);
    }
}
