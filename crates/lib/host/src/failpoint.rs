//! Named places where a test kills the process as a power cut would.

/// Kills the process with SIGKILL when `SLIPWAY_FAILPOINT` names this place. Nothing at all without the feature.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    let named = std::env::var_os("SLIPWAY_FAILPOINT");
    if named.is_some_and(|named| named.to_str() == Some(name)) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(feature = "failpoints"))]
/// Nothing.
pub const fn failpoint(_name: &str) {}

/// The variable for a unit of ours, which inherits none.
#[cfg(feature = "failpoints")]
pub(crate) fn inherited() -> Option<String> {
    let named = std::env::var_os("SLIPWAY_FAILPOINT")?;
    Some(format!("--setenv=SLIPWAY_FAILPOINT={}", named.display()))
}

#[cfg(not(feature = "failpoints"))]
pub(crate) const fn inherited() -> Option<String> {
    None
}
