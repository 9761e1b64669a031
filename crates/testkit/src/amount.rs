//! The amount that a run tries.

/// Name of the switch. docs/TESTING.md lists what it adds.
const SWITCH: &str = "COGZY_TEST_WHOLE";

/// True if a run tries everything: with `COGZY_TEST_WHOLE=1` in the environment, as CI has it.
#[must_use]
pub fn whole() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this switch is for tests, no setting of the program")]
    std::env::var_os(SWITCH).is_some_and(|value| value == "1")
}

/// `whole` if a run tries everything, `quick` if a person waits for it.
#[must_use]
pub fn amount<T>(quick: T, whole: T) -> T {
    if self::whole() { whole } else { quick }
}
