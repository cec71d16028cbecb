//! The file of channels: `default`, and `[channel.NAME]` with kind, address, patterns and secret.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::{Channel, ChannelKind, ChannelName, ChannelSecret, ChannelSet, SigningKey, outward};
use crate::config::{InvalidFile, read_text, read_toml};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The most channels in a file.
const MAX_CHANNELS: usize = 100;
/// The most patterns of a channel.
const MAX_GLOBS: usize = 100;
/// The longest pattern, address and secret, in bytes.
const MAX_TEXT_BYTES: usize = 2_000;
/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// What a key that signs begins with.
const SIGNS: &str = "whsec_";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    default: Option<Spanned<String>>,
    #[serde(default)]
    channel: BTreeMap<Spanned<String>, RawChannel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    kind: Spanned<String>,
    url: Option<Spanned<String>>,
    #[serde(rename = "match")]
    globs: Option<Spanned<Vec<String>>>,
    secret: Option<Spanned<String>>,
}

/// Where something is wrong, and what.
type Wrong = (usize, String);

/// Reads a file.
///
/// # Errors
/// Says what is wrong with it, and in which line.
pub(super) fn read(path: &Path) -> Result<ChannelSet, InvalidFile> {
    parse(&read_text(path, MAX_BYTES)?)
}

fn parse(text: &str) -> Result<ChannelSet, InvalidFile> {
    let (raw, lines) = read_toml::<RawFile>(text)?;
    if raw.channel.len() > MAX_CHANNELS {
        return Err(InvalidFile::TooLarge(format!("the file has more than {MAX_CHANNELS} channels")));
    }
    let mut channels = Vec::with_capacity(raw.channel.len());
    let mut names = HashMap::new();
    for (name, raw) in &raw.channel {
        let start = name.span().start;
        if let Some(other) = names.insert(name.as_ref().to_ascii_lowercase(), name) {
            let other_is_first = other.span().start < start;
            let (first, second) = if other_is_first { (other, name) } else { (name, other) };
            let line = lines.at(first.span().start);
            let why = format!("the name {} is that of the channel in line {line} too", second.as_ref());
            return Err(lines.wrong(second.span().start, why));
        }
        channels.push(raw.read(name).map_err(|(at, why)| lines.wrong(at, why))?);
    }
    let default = raw.default.map(|name| of_default(&name, &channels).map_err(|(at, why)| lines.wrong(at, why)));
    channels.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(ChannelSet { default: default.transpose()?, channels })
}

fn of_default(given: &Spanned<String>, channels: &[Channel]) -> Result<ChannelName, Wrong> {
    let wrong = |why: &str| (given.span().start, format!("default {why}"));
    let found = channels.iter().find(|channel| channel.name.as_str().eq_ignore_ascii_case(given.as_ref()));
    match found {
        Some(channel) if channel.kind != ChannelKind::Alertmanager => Ok(channel.name.clone()),
        Some(_) => Err(wrong("must not be an Alertmanager: no message goes to it")),
        None => Err(wrong("must be the name of a channel in this file")),
    }
}

impl RawChannel {
    fn read(&self, name: &Spanned<String>) -> Result<Channel, Wrong> {
        let at = name.span().start;
        let name: ChannelName = name.as_ref().parse().map_err(|why| (at, format!("the name of a channel {why}")))?;
        let kind = ChannelKind::of_name(self.kind.as_ref());
        let kind = kind.ok_or_else(|| {
            (self.kind.span().start, "kind must be slack, webhook, pagerduty or alertmanager".to_owned())
        })?;
        let base = match &self.url {
            Some(given) => address(given.as_ref()).ok_or_else(|| {
                (given.span().start, "url must be an http or https URL without user and password".to_owned())
            })?,
            None if kind == ChannelKind::Pagerduty => Url::parse(PAGERDUTY).map_err(|why| (at, why.to_string()))?,
            None => return Err((at, format!("url must be given for a channel of kind {}", kind.as_str()))),
        };
        let (secret, bearer) = self.secret(kind, at)?;
        let outward = outward(base, bearer.as_ref()).map_err(|_| (at, "no client can be made for it".to_owned()))?;
        Ok(Channel { name, kind, globs: self.globs()?, secret, outward })
    }

    fn globs(&self) -> Result<Vec<String>, Wrong> {
        let Some(given) = &self.globs else { return Ok(Vec::new()) };
        let globs = given.as_ref();
        let good = |glob: &String| !glob.trim().is_empty() && glob.len() <= MAX_TEXT_BYTES && !glob.contains('\0');
        if globs.len() <= MAX_GLOBS && globs.iter().all(good) {
            return Ok(globs.clone());
        }
        let rule = format!("match must be at most {MAX_GLOBS} texts of 1 to {MAX_TEXT_BYTES} bytes");
        Err((given.span().start, rule))
    }

    /// The secret, and the token of an Alertmanager.
    fn secret(&self, kind: ChannelKind, at: usize) -> Result<(ChannelSecret, Option<SecretString>), Wrong> {
        let Some(given) = &self.secret else {
            return match kind {
                ChannelKind::Pagerduty => Err((at, "secret must be the routing key of PagerDuty".to_owned())),
                _ => Ok((ChannelSecret::None, None)),
            };
        };
        let (at, text) = (given.span().start, given.as_ref().as_str());
        let visible =
            !text.is_empty() && text.len() <= MAX_TEXT_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        let plain = |what: &str| {
            let rule = || (at, format!("secret must be {what}: 1 to {MAX_TEXT_BYTES} visible characters of ASCII"));
            visible.then(|| SecretString::from(text)).ok_or_else(rule)
        };
        match kind {
            ChannelKind::Slack => Err((at, "secret must be absent: the url of Slack is one".to_owned())),
            ChannelKind::Webhook => {
                let key = text.strip_prefix(SIGNS).and_then(|encoded| STANDARD.decode(encoded).ok());
                let key = key.filter(|key| (24..=64).contains(&key.len()));
                let rule = || (at, format!("secret must be {SIGNS} and 24 to 64 bytes in base64"));
                Ok((ChannelSecret::Signs(SigningKey(key.ok_or_else(rule)?)), None))
            }
            ChannelKind::Pagerduty => Ok((ChannelSecret::RoutingKey(plain("the routing key of PagerDuty")?), None)),
            ChannelKind::Alertmanager => Ok((ChannelSecret::None, Some(plain("a bearer token")?))),
        }
    }
}

fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= MAX_TEXT_BYTES)?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = r##"default = "Ops"
[channel.ops]
kind = "slack"
url = "https://hooks.slack.com/services/T0/B0/hunter2"
match = ["#orders*", "#payments"]
[channel.robot]
kind = "webhook"
url = "http://127.0.0.1:9/hook?key=hunter2"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
[channel.pager]
kind = "pagerduty"
secret = "hunter2"
[channel.mirror]
kind = "alertmanager"
url = "http://127.0.0.1:9093"
secret = "hunter2"
"##;

    #[test]
    fn a_good_file_defines_its_channels() {
        let set = parse(GOOD).unwrap();
        let found: Vec<_> = set.channels.iter().map(|channel| (channel.name.as_str(), channel.kind)).collect();
        let expected = [
            ("mirror", ChannelKind::Alertmanager),
            ("ops", ChannelKind::Slack),
            ("pager", ChannelKind::Pagerduty),
            ("robot", ChannelKind::Webhook),
        ];
        assert_eq!(found, expected);
        assert_eq!(set.default.unwrap().as_str(), "ops");
        assert_eq!(set.channels[1].globs, ["#orders*", "#payments"]);
        assert_eq!(set.channels[2].outward.base().as_str(), PAGERDUTY);
    }

    #[test]
    fn no_secret_and_no_address_is_shown() {
        let shown = format!("{:?}", parse(GOOD).unwrap());
        assert!(shown.contains("robot"), "{shown}");
        for secret in ["hunter2", "MfKQ", "hooks.slack", "[49, 242", "127.0.0.1"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[rstest]
    #[case("default = \"Ops\"", "default = \"gone\"", 1, "default must be the name of a channel")]
    #[case("default = \"Ops\"", "default = \"mirror\"", 1, "default must not be an Alertmanager")]
    #[case("default = \"Ops\"", "other = 1", 1, "unknown field `other`")]
    #[case("[channel.ops]", "[channel.\"o/s\"]", 2, "the name of a channel must be 1 to 63")]
    #[case("[channel.robot]", "[channel.OPS]", 6, "the name OPS is that of the channel in line 2 too")]
    #[case("kind = \"slack\"", "kind = \"irc\"", 3, "kind must be slack, webhook")]
    #[case("https://hooks", "ftp://hooks", 4, "url must be an http or https URL")]
    #[case("https://hooks", "https://user:pass@hooks", 4, "without user and password")]
    #[case("match = [\"#orders*\", ", "match = [\"\", ", 5, "match must be at most 100 texts")]
    #[case("match = [\"#orders*\", \"#payments\"]", "secret = \"x\"", 5, "secret must be absent")]
    #[case("url = \"http://127.0.0.1:9093\"", "", 13, "url must be given for a channel of kind alertmanager")]
    #[case("whsec_Mf", "Mf", 9, "secret must be whsec_")]
    #[case("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", 9, "24 to 64 bytes")]
    #[case("kind = \"pagerduty\"\nsecret = \"hunter2\"", "kind = \"pagerduty\"", 10, "secret must be the routing key")]
    fn a_bad_line_is_named_and_no_secret_of_it(
        #[case] good: &str,
        #[case] bad: &str,
        #[case] line: usize,
        #[case] why: &str,
    ) {
        let error = parse(&GOOD.replacen(good, bad, 1)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: ")) && error.contains(why), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn limits_are_named() {
        let channels = |count: usize| {
            let one = |n| format!("[channel.c{n}]\nkind = \"slack\"\nurl = \"http://localhost\"\n");
            (0..count).map(one).collect::<String>()
        };
        assert_eq!(parse(&channels(100)).unwrap().channels.len(), 100);
        assert_eq!(parse(&channels(101)).unwrap_err().to_string(), "the file has more than 100 channels");
    }
}
