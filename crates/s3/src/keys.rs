//! Credentials as they can be sent, whatever source they come from.
//!
//! The signer puts key id and token into a header and takes for granted that they fit: a line end
//! from `echo`, a file or a program that prints a key would end the process. So what the source
//! gives is trimmed, and refused where it still does not fit.

use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_credential_types::{Credentials, provider::error::CredentialsError};

/// Words of the refusal, by which the error is sorted.
pub(super) const UNSENDABLE: &str = "holds a character that cannot be sent";

/// A source of credentials whose white space at the ends is cut off.
#[derive(Debug)]
pub(super) struct Trimmed(pub(super) SharedCredentialsProvider);

impl ProvideCredentials for Trimmed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move { sendable(&self.0.provide_credentials().await?) })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.fallback_on_interrupt().and_then(|kept| sendable(&kept).ok())
    }
}

fn sendable(given: &Credentials) -> provider::Result {
    let fits = |what: &str, text: &str| {
        let text = text.trim();
        if text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        Err(CredentialsError::invalid_configuration(format!("{what} {UNSENDABLE}")))
    };
    let id = fits("the key id", given.access_key_id())?;
    let secret = given.secret_access_key().trim();
    let token = given.session_token().map(|token| fits("the session token", token)).transpose()?;
    let token = token.filter(|token| !token.is_empty());
    Ok(Credentials::new(id, secret, token, given.expiry(), "cogzy-vault"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_cut_off_and_other_control_characters_refused() {
        let given = |id: &str, secret: &str, token: &str| {
            Credentials::new(id, secret, Some(token.to_owned()), None, "test")
        };
        let sent = sendable(&given("id\r\n", "secret\n", " token\r")).unwrap();
        assert_eq!((sent.access_key_id(), sent.secret_access_key()), ("id", "secret"));
        assert_eq!(sent.session_token(), Some("token"));
        assert_eq!(sendable(&given("id", "secret", "\n")).unwrap().session_token(), None);
        sendable(&given("i\u{1}d", "secret", "")).unwrap_err();
        sendable(&given("id", "secret", "to\nken")).unwrap_err();
    }
}
