//! Values in the query of a request.

/// The percent-encoding (RFC 3986, section 2.1) of everything but letters, digits, slashes and the
/// characters that section 2.3 leaves alone.
#[must_use]
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use cogzy_engine::remote::percent::decode;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_one_value_and_comes_back(text in ".*") {
            let encoded = encoded(&text);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b"&?#+=;".contains(&byte)));
            prop_assert_eq!(decode(&encoded), Some(text));
        }
    }
}
