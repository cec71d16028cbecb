//! The header `Authorization`.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

/// What a request says about who it is from.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// This token.
    Token(SecretString),
    /// Something that cannot be read, and why.
    Unreadable(&'static str),
}

impl Credentials {
    /// `Bearer TOKEN`, or `Basic` with the token as password and any user: what SDKs can send.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(AUTHORIZATION);
        let Some(value) = given.next() else { return Self::None };
        if given.next().is_some() {
            return Self::Unreadable("Authorization is given twice");
        }
        let Ok(text) = value.to_str() else { return Self::Unreadable("Authorization holds something else than ASCII") };
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(rest.trim().to_owned()),
            "basic" => password(rest.trim()),
            _ => return Self::Unreadable("Authorization must be Bearer or Basic"),
        };
        match token {
            Some(token) if !token.is_empty() => Self::Token(SecretString::from(token)),
            _ => Self::Unreadable("Authorization holds no token: Bearer TOKEN, or Basic with the token as password"),
        }
    }
}

fn password(encoded: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    use super::*;

    fn read(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match Credentials::of(&headers) {
            Credentials::None => "none".to_owned(),
            Credentials::Token(token) => format!("token {}", token.expose_secret()),
            Credentials::Unreadable(why) => why.to_owned(),
        }
    }

    /// `dTpmd194` is `u:fw_x`, `OmZ3X3g=` is `:fw_x`, `dQ==` is `u`, `dTphOmI=` is `u:a:b`.
    #[rstest]
    #[case(&[], "none")]
    #[case(&["Bearer fw_x"], "token fw_x")]
    #[case(&["bearer  fw_x "], "token fw_x")]
    #[case(&["Basic dTpmd194"], "token fw_x")]
    #[case(&["BASIC OmZ3X3g="], "token fw_x")]
    #[case(&["Basic dTphOmI="], "token a:b")]
    #[case(&["Basic dQ=="], "holds no token")]
    #[case(&["Basic %%%"], "holds no token")]
    #[case(&["Basic"], "holds no token")]
    #[case(&["Bearer "], "holds no token")]
    #[case(&["Digest fw_x"], "must be Bearer or Basic")]
    #[case(&["fw_x"], "must be Bearer or Basic")]
    #[case(&["Bearer größe"], "else than ASCII")]
    #[case(&["Bearer fw_x", "Bearer fw_x"], "given twice")]
    fn a_token_is_a_bearer_or_a_password(#[case] values: &[&str], #[case] expected: &str) {
        let read = read(values);
        assert!(read.contains(expected), "{read}");
    }

    #[test]
    fn no_token_is_shown() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer fw_secret"));
        assert!(!format!("{:?}", Credentials::of(&headers)).contains("fw_secret"));
    }
}
