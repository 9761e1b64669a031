//! The configuration file: it is read, or an error says what is wrong. The rest of the program,
//! with the network library, is not built for it: these are its own files.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the program uses more of these files")]

#[path = "../../src/config"]
mod config {
    mod error;
    mod keys;
    mod layer;
    mod reader;
    mod settings;
    mod source;
    mod units;

    use error::ConfigError;
    use reader::Reader;
    use settings::*;
    use source::{SettingSource, ShownKey};
    pub use units::{Size, Span};
    use units::UnitError;

    const DEFAULTS: &str = include_str!("../../config/default.toml");

    /// Reads a file over the defaults.
    pub fn read(text: &str) -> Result<(), String> {
        let mut reader = Reader::default();
        reader.add_document(DEFAULTS, None).expect("the defaults are valid");
        let read = reader.add_document(text, None).and_then(|()| Config::read(&mut reader));
        read.map(drop).map_err(|error| error.to_string())
    }
}

use config::{Size, Span};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _units = (text.parse::<Size>(), text.parse::<Span>());
    if let Err(error) = config::read(text) {
        assert!(!error.is_empty());
    }
});
