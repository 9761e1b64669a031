//! The configuration file: what is read holds, or the error names a place. The rest of the program,
//! with the network library, is not built for it: these are its files.

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

    pub use error::ConfigError;
    pub use reader::Reader;
    pub use settings::*;
    pub use source::{SettingSource, ShownKey};
    pub use units::{Size, Span, UnitError};
}

use config::{Config, Reader, Size, Span};
use libfuzzer_sys::fuzz_target;

const DEFAULTS: &str = include_str!("../../config/default.toml");

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _units = (text.parse::<Size>(), text.parse::<Span>());
    let mut reader = Reader::default();
    reader.add_document(DEFAULTS, None).unwrap();
    if let Err(error) = reader.add_document(text, None).and_then(|()| Config::read(&mut reader)) {
        assert!(!error.to_string().is_empty());
    }
});
