//! Whether a request was addressed to this machine by a name that only this machine has.
//!
//! A web page may have its own name resolve to 127.0.0.1, and its scripts then reach a server that listens on loopback.
//! The browser still sends the page's name as `Host`.

use std::net::IpAddr;

/// Whether `host`, with or without a port, is `localhost`, below it, or an address of loopback.
pub(super) fn is_loopback(host: &str) -> bool {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(parts) => parts,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port =
        |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if !rest.is_empty() && !is_port(rest) {
        return false;
    }
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    lower == "localhost"
        || lower.strip_suffix(".localhost").is_some_and(|label| !label.is_empty())
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("localhost", true)]
    #[case("LocalHost:8080", true)]
    #[case("localhost.:8080", true)]
    #[case("flamewarden.localhost:8080", true)]
    #[case("127.0.0.1", true)]
    #[case("127.9.9.9:80", true)]
    #[case("[::1]:8080", true)]
    #[case("[::1]", true)]
    #[case("[::ffff:127.0.0.1]:80", true)]
    #[case("", false)]
    #[case(".localhost", false)]
    #[case("evil.example", false)]
    #[case("evil.example:8080", false)]
    #[case("localhost:80@evil.example", false)]
    #[case("localhost:evil.example", false)]
    #[case("[::1]x.evil.example:80", false)]
    #[case("::1", false)]
    #[case("localhost.evil.example", false)]
    #[case("notlocalhost", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("10.0.0.1:8080", false)]
    #[case("[2001:db8::1]:80", false)]
    #[case("0.0.0.0", false)]
    fn only_names_of_this_machine_are_its_own(#[case] host: &str, #[case] expected: bool) {
        assert_eq!(is_loopback(host), expected);
    }
}
