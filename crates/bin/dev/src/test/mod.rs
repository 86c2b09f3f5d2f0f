//! `slipway-dev test`: everything that CI runs, in stages; the first failure ends it.

pub mod arrows;
pub mod last_release;
pub mod layout;
pub mod manifests;
pub mod markdown;
pub mod monitoring;
pub mod nix;
pub mod pages;
pub mod sentences;
mod servers;
pub mod shown;
pub mod sources;
pub mod stages;
