//! Which boot this is.

use std::fs;
use std::sync::OnceLock;

/// The kernel's boot id: changes with every boot. `unknown` where `/proc` cannot be read, which equals itself.
#[must_use]
pub fn boot_id() -> String {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID
        .get_or_init(|| {
            fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
        })
        .clone()
}
