//! Test binaries with a `main` of their own.

/// True if such a binary has to run nothing: its name is only asked for, or `cargo test WORD` asks
/// for tests with other names.
#[must_use]
#[expect(clippy::print_stdout, reason = "this is how a test binary names its tests")]
pub fn is_left_out(name: &str, args: &[String]) -> bool {
    if args.iter().any(|arg| arg == "--list") {
        println!("{name}: test");
        return true;
    }
    args.first().is_some_and(|word| !word.starts_with('-') && !name.contains(word.as_str()))
}
