//! The file of tokens: `[[token]]` with name, digest, role, projects and end. Tokens themselves are never in it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use toml::Spanned;

use crate::config::{InvalidFile, read_text, read_toml};
use crate::kernel::{Role, Text255, TokenDigest};

/// The largest file of tokens, in bytes. 10,000 tokens without projects take about a third of it.
const MAX_BYTES: u64 = 4 << 20;
/// The most tokens in a file.
const MAX_TOKENS: usize = 10_000;
/// What each token begins with.
const HEADER: &str = "[[token]]";

/// The name of a token: 1 to 63 characters of `a-z`, `0-9`, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenName(Text255);

/// One token of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    /// Its name, unique in the file.
    pub name: TokenName,
    /// The digest of the token.
    pub digest: TokenDigest,
    /// What its bearer may do.
    pub role: Role,
    /// The projects that its bearer is limited to; `None`: all.
    pub projects: Option<Vec<Text255>>,
    /// When it ends; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

/// A file of tokens, with its text.
#[derive(Debug, Clone, Default)]
pub struct TokenFile {
    text: String,
    entries: Vec<TokenEntry>,
}

/// Why a file of tokens is refused. It is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// It cannot be read, or what it says is wrong.
    #[error(transparent)]
    File(#[from] InvalidFile),
    /// It cannot be changed by a program.
    #[error("{0}")]
    NotEditable(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    token: Vec<RawToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: Spanned<String>,
    hash: Spanned<String>,
    role: Spanned<String>,
    projects: Option<Spanned<Vec<String>>>,
    expires: Option<Spanned<String>>,
}

/// What a name of a token is.
const RULE: &str = "must be 1 to 63 characters of a-z, 0-9, '.', '_' and '-'";

impl FromStr for TokenName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
            text.parse().map(Self).map_err(|_| RULE)
        } else {
            Err(RULE)
        }
    }
}

impl TokenName {
    /// The name as a text.
    pub fn text(&self) -> &Text255 {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The entry as it stands in a file.
impl fmt::Display for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, role, projects, expires } = self;
        writeln!(f, "{HEADER}\nname = \"{name}\"\nhash = \"{digest}\"\nrole = \"{role}\"")?;
        if let Some(projects) = projects {
            let names: Vec<_> = projects.iter().map(|name| toml::Value::from(name.as_str()).to_string()).collect();
            writeln!(f, "projects = [{}]", names.join(", "))?;
        }
        match expires {
            Some(end) => writeln!(f, "expires = \"{}\"", end.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => Ok(()),
        }
    }
}

impl TokenFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Says what is wrong with it, and in which line.
    pub fn read(path: &Path) -> Result<Self, InvalidFile> {
        Self::parse(read_text(path, MAX_BYTES)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`TokenFile::read`].
    pub fn parse(text: String) -> Result<Self, InvalidFile> {
        let (raw, lines) = read_toml::<RawFile>(&text)?;
        if raw.token.len() > MAX_TOKENS {
            return Err(InvalidFile::TooLarge(format!("the file has more than {MAX_TOKENS} tokens")));
        }
        let mut names = HashMap::new();
        let mut digests = HashSet::new();
        let mut entries = Vec::with_capacity(raw.token.len());
        for token in &raw.token {
            let start = token.name.span().start;
            let entry = token.read().map_err(|(offset, why)| lines.wrong(offset, why))?;
            if let Some(first) = names.insert(entry.name.clone(), lines.at(start)) {
                let why = format!("the name {} is that of the token in line {first} too", entry.name);
                return Err(lines.wrong(start, why));
            }
            if !digests.insert(entry.digest) {
                return Err(lines.wrong(start, format!("the token {} is the same as another", entry.name)));
            }
            entries.push(entry);
        }
        Ok(Self { text, entries })
    }

    /// Its tokens, in the order of the file.
    pub fn entries(&self) -> &[TokenEntry] {
        &self.entries
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file with one token more, at its end.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub fn with(&self, entry: &TokenEntry) -> Result<Self, InvalidTokens> {
        let gap = if self.text.is_empty() || self.text.ends_with("\n\n") {
            ""
        } else if self.text.ends_with('\n') {
            "\n"
        } else {
            "\n\n"
        };
        Ok(Self::parse(format!("{}{gap}{entry}", self.text))?)
    }

    /// The file without a token; `None` where it has none of that name. Comments above another token stay.
    ///
    /// # Errors
    /// The tokens do not each begin with a line `[[token]]`.
    pub fn without(&self, name: &TokenName) -> Result<Option<Self>, InvalidTokens> {
        let Some(at) = self.entries.iter().position(|entry| entry.name == *name) else { return Ok(None) };
        let lines: Vec<_> = self.text.split_inclusive('\n').collect();
        let headers: Vec<_> = (0..lines.len()).filter(|n| is_header(lines.get(*n))).collect();
        if headers.len() != self.entries.len() {
            let why = format!("this file is not changed by a program: each token must begin with a line {HEADER}");
            return Err(InvalidTokens::NotEditable(why));
        }
        let begin = headers.get(at).copied().unwrap_or(lines.len());
        let mut end = headers.get(at + 1).copied().unwrap_or(lines.len());
        if end < lines.len() {
            let above = |n: usize| lines.get(n).is_some_and(|line| line.trim_start().starts_with('#'));
            while end > begin + 1 && above(end - 1) {
                end -= 1;
            }
        }
        let kept = lines.iter().take(begin).chain(lines.iter().skip(end));
        Ok(Some(Self::parse(kept.copied().collect())?))
    }
}

fn is_header(line: Option<&&str>) -> bool {
    line.is_some_and(|line| line.split('#').next().is_some_and(|start| start.trim() == HEADER))
}

impl RawToken {
    /// The entry, or where and why it is wrong.
    fn read(&self) -> Result<TokenEntry, (usize, String)> {
        let wrong = |at: usize, member: &str, why: &dyn fmt::Display| (at, format!("{member} {why}"));
        let name = self.name.as_ref().parse().map_err(|why| wrong(self.name.span().start, "name", &why))?;
        let digest = self.hash.as_ref().parse().map_err(|why| wrong(self.hash.span().start, "hash", &why))?;
        let role: Role = self.role.as_ref().parse().map_err(|why| wrong(self.role.span().start, "role", &why))?;
        let projects = match &self.projects {
            None => None,
            Some(given) if given.as_ref().is_empty() => {
                return Err(wrong(given.span().start, "projects", &"must name one, or be absent for all"));
            }
            Some(given) if role == Role::Service => {
                return Err(wrong(given.span().start, "projects", &"must be absent: the role service has all"));
            }
            Some(given) => {
                let names = given.as_ref().iter().map(|name| name.parse()).collect::<Result<_, _>>();
                Some(names.map_err(|why| wrong(given.span().start, "projects", &why))?)
            }
        };
        let end = |given: &Spanned<String>| {
            let end = DateTime::parse_from_rfc3339(given.as_ref()).map(|end| end.to_utc());
            end.map_err(|_| wrong(given.span().start, "expires", &"must be a time such as 2027-01-31T00:00:00Z"))
        };
        let expires = self.expires.as_ref().map(end).transpose()?;
        Ok(TokenEntry { name, digest, role, projects, expires })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    fn entry(name: &str) -> TokenEntry {
        TokenEntry {
            name: name.parse().unwrap(),
            digest: TokenDigest::of(name),
            role: Role::Editor,
            projects: Some(vec!["check \"out\"".parse().unwrap(), "pay".parse().unwrap()]),
            expires: Some("2027-01-31T00:00:00Z".parse().unwrap()),
        }
    }

    fn file(names: &[&str]) -> TokenFile {
        names.iter().fold(TokenFile::default(), |file, name| file.with(&entry(name)).unwrap())
    }

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let plain = TokenEntry { projects: None, expires: None, role: Role::Service, ..entry("b") };
        let file = file(&["a"]).with(&plain).unwrap();
        assert_eq!(file.entries(), [entry("a"), plain]);
        assert!(file.text().starts_with("[[token]]\nname = \"a\"\nhash = \"sha256:"), "{}", file.text());
    }

    #[test]
    fn a_revoked_token_goes_and_everything_else_stays() {
        let text = format!("# ours\n{}# of the nightly build\n{}", entry("a"), entry("b"));
        let file = TokenFile::parse(text).unwrap();
        let left = file.without(&"a".parse().unwrap()).unwrap().unwrap();
        assert_eq!(left.text(), format!("# ours\n# of the nightly build\n{}", entry("b")));
        assert!(left.without(&"a".parse().unwrap()).unwrap().is_none());
        let none = left.without(&"b".parse().unwrap()).unwrap().unwrap();
        assert_eq!(none.entries(), []);
    }

    #[test]
    fn tokens_of_another_layout_are_not_changed_by_a_program() {
        let hash = TokenDigest::of("a");
        let file =
            TokenFile::parse(format!("token = [{{name = \"a\", hash = \"{hash}\", role = \"viewer\"}}]")).unwrap();
        assert!(matches!(file.without(&"a".parse().unwrap()), Err(InvalidTokens::NotEditable(_))));
    }

    #[rstest]
    #[case("role = \"editor\"", "role = \"root\"", 4, "role must be one of")]
    #[case("name = \"a\"", "name = \"A\"", 2, "name must be 1 to 63 characters")]
    #[case("sha256:", "md5:", 3, "hash must be sha256:")]
    #[case("['check \"out\"', \"pay\"]", "[]", 5, "must name one")]
    #[case("2027-01-31T00:00:00Z", "tomorrow", 6, "expires must be a time")]
    #[case("role =", "rule =", 4, "unknown field `rule`")]
    #[case("role = \"editor\"", "role = \"service\"", 5, "the role service has all")]
    #[case("role = \"editor\"", "role =", 4, "")]
    fn a_bad_line_is_named(#[case] good: &str, #[case] bad: &str, #[case] line: usize, #[case] why: &str) {
        let text = file(&["a"]).text().replace(good, bad);
        let error = TokenFile::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: ")) && error.contains(why), "{error}");
    }

    #[test]
    fn names_and_tokens_are_unique() {
        let error = file(&["a", "b"]).with(&entry("a")).unwrap_err();
        assert_eq!(error.to_string(), "line 16: the name a is that of the token in line 2 too");
        let error = file(&["a"]).with(&TokenEntry { name: "b".parse().unwrap(), ..entry("a") }).unwrap_err();
        assert_eq!(error.to_string(), "line 9: the token b is the same as another");
    }

    #[test]
    fn limits_are_named() {
        let one = |n: usize| TokenEntry { projects: None, expires: None, ..entry(&n.to_string()) }.to_string();
        let most: String = (0..MAX_TOKENS).map(one).collect();
        assert_eq!(TokenFile::parse(most.clone()).unwrap().entries().len(), MAX_TOKENS);
        let text = most + &one(MAX_TOKENS);
        assert_eq!(TokenFile::parse(text).unwrap_err().to_string(), "the file has more than 10000 tokens");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        fs::write(&path, "#".repeat(4_194_305)).unwrap();
        assert_eq!(TokenFile::read(&path).unwrap_err().to_string(), "the file is over 4194304 bytes");
        assert!(TokenFile::read(&dir.path().join("none")).unwrap_err().to_string().contains("none: No such file"));
    }
}
