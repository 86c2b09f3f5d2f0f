//! Machines for tests: one in memory, and a real Nix in a folder of its own.

mod closure;
mod fake;
mod nix_rig;

pub use closure::ClosureSpec;
pub use fake::{ClosureBehaviour, FakeHost, FakeHostState, TokioClock};
pub use nix_rig::{NixRig, SigningKey};
