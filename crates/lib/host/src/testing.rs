//! Machines for tests: one in memory, and a real Nix in a folder of its own.

mod behaviour;
mod closure;
mod fake;
mod nix_rig;
mod tokio_clock;

pub use behaviour::{ClosureBehaviour, FakeHook};
pub use closure::ClosureSpec;
pub use fake::{FakeHost, FakeHostState};
pub use nix_rig::{NixRig, SigningKey};
pub use tokio_clock::TokioClock;
