//! The console in a real browser, before a real stack with real agents.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;
mod console {
    pub(crate) mod axe;
    pub(crate) mod browser;
    pub(crate) mod scene;

    mod hands;
    mod looks;
    mod provider;
    mod trouble;
    mod watching;
}
