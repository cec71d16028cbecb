use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::kernel::TokenDigest;

/// What every token begins with, so that scanners for leaked secrets recognise it.
const PREFIX: &str = "fw_";

/// A new token: `fw_` and 43 characters of base64url, which are 32 random bytes. Never shown by `Debug`.
#[derive(Debug, Clone)]
pub struct Token(SecretString);

impl Token {
    /// A token of the system's random bytes.
    ///
    /// # Errors
    /// Fails where the system has none.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))))
    }

    /// The token itself, for its only reader.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// The token as a secret.
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// Its digest, which is what is kept.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_32_random_bytes_in_base64url_and_is_never_shown() {
        let (one, another) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one.reveal(), another.reveal());
        let encoded = one.reveal().strip_prefix("fw_").unwrap();
        assert_eq!((encoded.len(), URL_SAFE_NO_PAD.decode(encoded).unwrap().len()), (43, 32));
        assert!(!format!("{one:?}").contains(encoded));
    }
}
