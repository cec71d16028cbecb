//! Patterns over canonical names: token by token, never a substring of the whole.
//!
//! A pattern is written like the name it matches, `java.util.HashMap.resize` or `net/http.(*Client).Do`, and is cut at
//! the same separators. Its tokens are `literal`, `prefix*`, `*suffix`, `*part*`, any other mix such as `pre*suf`, `*` (one token, whatever it is) and
//! `**` (any number of tokens, none included). It is anchored at both ends: `**.fillInStackTrace` ends in that token.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Part(Box<str>),
    Glob(Vec<Box<str>>),
    Any,
    Rest,
}

impl Token {
    fn parse(text: &str) -> Result<Self, String> {
        let inner = text.trim_matches('*');
        if inner.contains('*') {
            return Ok(Self::Glob(text.split('*').map(Into::into).collect()));
        }
        Ok(match (text.starts_with('*'), text.ends_with('*'), inner.is_empty()) {
            (_, _, true) if text == "*" => Self::Any,
            (_, _, true) if text == "**" => Self::Rest,
            (_, _, true) => return Err(format!("{text:?} is neither * nor **")),
            (false, false, _) => Self::Literal(inner.into()),
            (false, true, _) => Self::Prefix(inner.into()),
            (true, false, _) => Self::Suffix(inner.into()),
            (true, true, _) => Self::Part(inner.into()),
        })
    }

    fn weight(&self) -> u32 {
        let len = |t: &str| u32::try_from(t.len()).unwrap_or(u32::MAX);
        match self {
            Self::Literal(t) => 4 * len(t) + 2,
            Self::Prefix(t) | Self::Suffix(t) => 4 * len(t),
            Self::Part(t) => 3 * len(t),
            Self::Glob(parts) => parts.iter().map(|part| 4 * len(part)).sum(),
            Self::Any => 1,
            Self::Rest => 0,
        }
    }

    fn takes(&self, token: &str) -> bool {
        match self {
            Self::Literal(t) => **t == *token,
            Self::Prefix(t) => token.starts_with(&**t),
            Self::Suffix(t) => token.ends_with(&**t),
            Self::Part(t) => token.contains(&**t),
            Self::Glob(parts) => takes_parts(parts, token),
            Self::Any => true,
            Self::Rest => false,
        }
    }
}

/// Whether the token contains the parts in order, the first at its start and the last at its end.
fn takes_parts(parts: &[Box<str>], token: &str) -> bool {
    let (Some((first, rest)), Some(mut left)) =
        (parts.split_first(), parts.first().and_then(|f| token.strip_prefix(&**f)))
    else {
        return false;
    };
    debug_assert!(token.starts_with(&**first));
    let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
    for part in middle {
        match left.find(&**part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    left.ends_with(&**last)
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Box<[Token]>,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // A Go receiver's marks, not the parentheses of `(idle)`.
        let bare = if text.contains(".(*") { text.replace("(*", "").replace(')', "") } else { text.to_owned() };
        let tokens = split(&bare).map(Token::parse).collect::<Result<Box<[_]>, _>>()?;
        if tokens.is_empty() {
            return Err(format!("{text:?} has no token"));
        }
        if tokens.iter().all(|t| matches!(t, Token::Any | Token::Rest)) {
            return Err(format!("{text:?} matches every name"));
        }
        Ok(Self { tokens })
    }

    /// How much of a name it fixes: of several patterns that match, the heaviest decides.
    pub(crate) fn weight(&self) -> u32 {
        self.tokens.iter().map(Token::weight).sum()
    }

    /// Whether it stands for a whole package: so many tokens or more, fixed, and then anything.
    pub(crate) fn is_package(&self, fixed: usize) -> bool {
        let Some((Token::Rest, path)) = self.tokens.split_last() else { return false };
        path.len() >= fixed && path.iter().all(|token| matches!(token, Token::Literal(_)))
    }

    /// Whether the tokens match, from the first to the last.
    pub(crate) fn matches(&self, name: &[&str]) -> bool {
        matches_from(&self.tokens, name)
    }
}

fn matches_from(pattern: &[Token], name: &[&str]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((Token::Rest, rest)) => {
            rest.is_empty() || (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|n| matches_from(rest, n)))
        }
        Some((token, rest)) => name.split_first().is_some_and(|(first, n)| token.takes(first) && matches_from(rest, n)),
    }
}

/// Cuts a canonical name, or a pattern, into its tokens.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(['.', '/', ':', '#', '\\']).filter(|t| !t.is_empty())
}

/// Leading tokens, or leading bytes of a token, that patterns are found by: as many as they fix, up to this.
const FIXED: usize = 4;

/// Many patterns, each with a number to answer, found by what fixes them.
#[derive(Debug, Default)]
pub(crate) struct PatternSet {
    entries: Vec<(Pattern, u32)>,
    /// By the hash of an [`Anchor`]. Matching the pattern distinguishes two with the same hash.
    anchored: FxHashMap<u64, Vec<u32>>,
    loose: Vec<u32>,
}

/// What a name must have for a pattern to match it at all.
enum Anchor<'n> {
    /// These tokens first.
    Tokens(&'n [&'n str]),
    /// This token last.
    LastToken(&'n str),
    /// A first token that begins so.
    FirstBytes(&'n [u8]),
    /// A last token that begins so.
    LastBytes(&'n [u8]),
}

impl Anchor<'_> {
    /// Tags that are no length keep anchors of one text and several kinds apart.
    fn place(&self) -> u64 {
        match self {
            Self::Tokens(tokens) => FxBuildHasher.hash_one((101_u8, tokens)),
            Self::LastToken(token) => FxBuildHasher.hash_one((103_u8, token)),
            Self::FirstBytes(bytes) => FxBuildHasher.hash_one((107_u8, bytes)),
            Self::LastBytes(bytes) => FxBuildHasher.hash_one((109_u8, bytes)),
        }
    }
}

/// The bytes that any token begins with that the pattern's token takes, if it fixes any.
fn beginning(token: &Token) -> Option<&[u8]> {
    let fixed = match token {
        Token::Literal(text) | Token::Prefix(text) => text,
        Token::Glob(parts) => parts.first()?,
        Token::Suffix(_) | Token::Part(_) | Token::Any | Token::Rest => return None,
    };
    fixed.as_bytes().get(..FIXED.min(fixed.len())).filter(|bytes| !bytes.is_empty())
}

impl PatternSet {
    /// Adds a pattern that answers `number`; one that is spelled in two ways is kept once.
    ///
    /// # Errors
    /// The pattern answers another number already: that number.
    pub(crate) fn add(&mut self, pattern: Pattern, number: u32) -> Result<(), u32> {
        let place = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let literal = |token: &Token| if let Token::Literal(text) = token { Some(text.clone()) } else { None };
        let first: Vec<_> = pattern.tokens.iter().map_while(literal).take(FIXED).collect();
        let first: Vec<_> = first.iter().map(|text| &**text).collect();
        let anchor = match (first.is_empty(), pattern.tokens.first(), pattern.tokens.last()) {
            (false, ..) => Some(Anchor::Tokens(&first)),
            (_, _, Some(Token::Literal(text))) => Some(Anchor::LastToken(text)),
            (_, Some(first), Some(last)) => {
                beginning(first).map(Anchor::FirstBytes).or_else(|| beginning(last).map(Anchor::LastBytes))
            }
            _ => None,
        };
        let list = match anchor {
            Some(anchor) => self.anchored.entry(anchor.place()).or_default(),
            None => &mut self.loose,
        };
        let mut beside = list.iter().filter_map(|place| self.entries.get(*place as usize));
        if let Some((_, answered)) = beside.find(|(other, _)| *other == pattern) {
            return if *answered == number { Ok(()) } else { Err(*answered) };
        }
        list.push(place);
        self.entries.push((pattern, number));
        Ok(())
    }

    /// The numbers of all patterns that match, with their weights, in no particular order.
    pub(crate) fn all<'s>(&'s self, name: &'s [&'s str]) -> impl Iterator<Item = (u32, u32)> + 's {
        let tokens = (1..=FIXED).filter_map(|n| name.get(..n)).map(Anchor::Tokens);
        let bytes = |token: Option<&&'s str>| {
            let token = token.map_or(&[][..], |token| token.as_bytes());
            (1..=FIXED).filter_map(move |n| token.get(..n))
        };
        let first = bytes(name.first()).map(Anchor::FirstBytes);
        let last = bytes(name.last()).map(Anchor::LastBytes);
        let anchors = tokens.chain(name.last().map(|token| Anchor::LastToken(token))).chain(first).chain(last);
        let anchored = anchors.filter_map(|anchor| self.anchored.get(&anchor.place()));
        anchored.chain([&self.loose]).flatten().filter_map(|place| {
            let (pattern, number) = self.entries.get(*place as usize)?;
            pattern.matches(name).then(|| (*number, pattern.weight()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn hits(pattern: &str, name: &str) -> bool {
        let mut set = PatternSet::default();
        set.add(Pattern::parse(pattern).unwrap(), 1).unwrap();
        let tokens: Vec<_> = split(name).collect();
        set.all(&tokens).count() == 1
    }

    #[rstest]
    #[case("java.util.HashMap.resize", "java.util.HashMap.resize", true)]
    #[case("java.util.HashMap.resize", "java.util.HashMap.resizeAll", false)]
    #[case("com.fasterxml.jackson.**", "com.fasterxml.jackson.core.JsonParser.next", true)]
    #[case("com.fasterxml.jackson.**", "com.fasterxml.jacksonette.X.y", false)]
    #[case("(idle)", "(idle)", true)]
    #[case("tcp_*", "tcp_sendmsg", true)]
    #[case("tcp_*", "xtcp_sendmsg", false)]
    #[case("*_arraycopy", "jbyte_disjoint_arraycopy", true)]
    #[case("**.fillInStackTrace", "java.lang.Throwable.fillInStackTrace", true)]
    #[case("**.Zip*.read", "a.b.ZipFile.read", true)]
    #[case("net/http.(*Client).Do", "net/http.Client.Do", true)]
    #[case("a.*.c", "a.b.c", true)]
    #[case("a.*.c", "a.b.b.c", false)]
    #[case("a.**.c", "a.c", true)]
    #[case("md*_init", "md5_init", true)]
    #[case("md*_init", "md5_inits", false)]
    #[case("G1*::*Region*::do_*x", "G1Foo::HeapRegionClosure::do_heapx", true)]
    fn matches_token_by_token(#[case] pattern: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(hits(pattern, name), expected);
    }

    #[rstest]
    #[case("**")]
    #[case("")]
    #[case("a.***")]
    fn refuses_what_is_no_pattern(#[case] pattern: &str) {
        assert!(Pattern::parse(pattern).is_err());
    }
}
