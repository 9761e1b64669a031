//! The version to keep, as a person says it: by the device that made it.

use cogzy_client::documents::KeptVersion;
use cogzy_engine::model::Keep;

/// The version that a person names. "mine" is what this device made, as a person means it; the
/// socket calls the losing version by that name.
pub fn kept(text: &str) -> Result<KeptVersion, &'static str> {
    match text {
        "mine" => Ok(KeptVersion::This),
        "remote" => Ok(KeptVersion::Other),
        text => KeptVersion::try_from(text.to_owned()),
    }
}

/// The result of a decision, in words.
pub(super) const fn told(keep: Keep) -> &'static str {
    match keep {
        Keep::Mine => "the version that was set aside is put back",
        Keep::Remote => "the version that stands stays",
        Keep::Both => "the version that was set aside stands beside the other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mine_is_what_this_device_made() {
        for (said, version) in [
            ("this", KeptVersion::This),
            ("mine", KeptVersion::This),
            ("other", KeptVersion::Other),
            ("remote", KeptVersion::Other),
            ("aside", KeptVersion::Lost),
            ("stands", KeptVersion::Stands),
            ("desk", KeptVersion::Of("desk".to_owned())),
        ] {
            assert_eq!(kept(said), Ok(version), "{said}");
        }
        assert!(kept("").is_err());
    }
}
