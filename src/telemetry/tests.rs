use super::*;

#[test]
fn flags_override_the_configuration() {
    assert_eq!(level(Level::INFO, 0, false), Level::INFO);
    assert_eq!(level(Level::INFO, 1, false), Level::DEBUG);
    assert_eq!(level(Level::TRACE, 1, false), Level::TRACE, "-v must not tell less");
    assert_eq!(level(Level::TRACE, 0, true), Level::ERROR);
}

#[test]
fn libraries_are_quieter_than_we_are() {
    let debug = filter(Level::DEBUG);
    for module in ["cogzy_vault::daemon", "cogzy_engine::sync", "cogzy_client::socket", "cogzy_s3"] {
        assert!(debug.would_enable(module, &Level::DEBUG), "{module} is not heard");
    }
    assert!(debug.would_enable("hyper", &Level::WARN) && !debug.would_enable("hyper", &Level::INFO));
    assert!(!filter(Level::ERROR).would_enable("hyper", &Level::WARN));
    assert!(filter(Level::TRACE).would_enable("hyper", &Level::DEBUG));
}
