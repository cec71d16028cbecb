//! Which channel a text of a rule or a service means.

use url::Url;

use super::{ChannelKind, ChannelName};

/// What became of the texts that a message was meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sor::notification) struct Resolved {
    /// The channel that the message goes to.
    pub(in crate::sor::notification) channel: Option<ChannelName>,
    /// The texts before it that mean no channel.
    pub(in crate::sor::notification) unresolved: Vec<String>,
}

/// What is known of a channel here: its name, its kind, and what else means it.
pub(in crate::sor::notification) type Candidate<'a> = (&'a ChannelName, ChannelKind, &'a [String]);

/// The first channel that one of the texts means, else the default one.
pub(in crate::sor::notification) fn resolve<'a>(
    meant_for: impl IntoIterator<Item = &'a str>,
    candidates: &[Candidate<'_>],
    default: Option<&ChannelName>,
) -> Resolved {
    let mut unresolved: Vec<String> = Vec::new();
    for text in meant_for {
        if let Some(name) = meant(text, candidates) {
            return Resolved { channel: Some(name.clone()), unresolved };
        }
        let text = shown(text);
        if !unresolved.contains(&text) {
            unresolved.push(text);
        }
    }
    Resolved { channel: default.cloned(), unresolved }
}

/// The channel that a text means: by name, by name after `#` or `@`, by one of its patterns. A URL means none, and no
/// text means an Alertmanager.
fn meant<'a>(text: &str, candidates: &[Candidate<'a>]) -> Option<&'a ChannelName> {
    let text = text.trim();
    if text.contains("://") {
        return None;
    }
    let targets = || candidates.iter().filter(|(_, kind, _)| *kind != ChannelKind::Alertmanager);
    let named = |name: &str| targets().find(|(own, ..)| own.as_str().eq_ignore_ascii_case(name)).map(|found| found.0);
    let plain = text.strip_prefix(['#', '@']);
    let lower = text.to_lowercase();
    let by_glob = || {
        let matches = |globs: &[String]| globs.iter().any(|glob| glob_matches(&glob.to_lowercase(), &lower));
        targets().find(|(_, _, globs)| matches(globs)).map(|found| found.0)
    };
    named(text).or_else(|| plain.and_then(named)).or_else(by_glob)
}

/// Whether a pattern, in which `*` stands for any text, matches the whole text.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The text as people are told of it. The path of a URL may be a secret.
fn shown(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let host = Url::parse(text.trim()).ok().and_then(|url| Some(format!("{}://{}/…", url.scheme(), url.host_str()?)));
    host.filter(|host| host.len() <= 255).unwrap_or_else(|| "a URL".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn name(text: &str) -> ChannelName {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::name(&["ops"], Some("ops"), &[])]
    #[case::case(&["OPS"], Some("ops"), &[])]
    #[case::after_hash(&["#ops"], Some("ops"), &[])]
    #[case::after_at(&["@Pager"], Some("pager"), &[])]
    #[case::glob(&["#orders-eu"], Some("orders"), &[])]
    #[case::glob_case(&["#ORDERS"], Some("orders"), &[])]
    #[case::name_before_glob(&["#orders-pager", "pager"], Some("orders"), &[])]
    #[case::second(&["#gone", "pager"], Some("pager"), &["#gone"])]
    #[case::default(&["#gone", "#gone", "#lost"], Some("ops"), &["#gone", "#lost"])]
    #[case::nothing(&[], Some("ops"), &[])]
    #[case::url(&["https://hooks.slack.com/services/T0/B0/secret"], Some("ops"), &["https://hooks.slack.com/…"])]
    #[case::url_of_no_host(&["x://"], Some("ops"), &["a URL"])]
    #[case::mirror(&["alertmanager"], Some("ops"), &["alertmanager"])]
    fn a_text_means_a_channel(#[case] texts: &[&str], #[case] channel: Option<&str>, #[case] unresolved: &[&str]) {
        let (ops, pager, orders, mirror) = (name("ops"), name("pager"), name("orders"), name("alertmanager"));
        let globs = ["#orders*".to_owned(), "https*".to_owned()];
        let candidates: [Candidate<'_>; 4] = [
            (&mirror, ChannelKind::Alertmanager, &[]),
            (&ops, ChannelKind::Slack, &[]),
            (&orders, ChannelKind::Webhook, &globs),
            (&pager, ChannelKind::Pagerduty, &[]),
        ];
        let resolved = resolve(texts.iter().copied(), &candidates, Some(&ops));
        assert_eq!(
            (resolved.channel.as_ref().map(ChannelName::as_str), resolved.unresolved),
            (channel, unresolved.iter().map(|text| (*text).to_owned()).collect())
        );
    }

    #[test]
    fn without_channels_nothing_is_taken() {
        let resolved = resolve(["#ops"], &[], None);
        assert_eq!(resolved, Resolved { channel: None, unresolved: vec!["#ops".to_owned()] });
    }

    #[rstest]
    #[case("*", "", true)]
    #[case("*", "x", true)]
    #[case("a*c", "abc", true)]
    #[case("a*c", "ac", true)]
    #[case("a*c", "abcd", false)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*a", "a", false)]
    #[case("abc", "abc", true)]
    #[case("abc", "abcd", false)]
    #[case("*b", "ab", true)]
    #[case("", "", true)]
    #[case("", "a", false)]
    #[case("größe*", "größer", true)]
    fn a_star_stands_for_any_text(#[case] glob: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(glob_matches(glob, text), expected);
    }
}
