//! Machines for tests: one in memory, and a real Nix in a folder of its own.

mod behaviour;
mod closure;
mod fake;
mod nix_rig;

pub use behaviour::{ClosureBehaviour, FakeHook};
pub use closure::ClosureSpec;
pub use fake::{FakeHost, FakeHostState, TokioClock};
pub use nix_rig::{NixRig, SigningKey};
