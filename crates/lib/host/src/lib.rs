//! The machine that an agent works on: Nix, systemd, checks and files.
//!
//! [`HostOperations`] is a machine in small steps; [`Machine`] is the real one (Nix with systemd, or with plain
//! processes), and `testing` has one in memory. `slipway-attempt` takes the steps; the agent also starts jobs and looks at
//! the machine. No step knows of an attempt's phase or of the journal, and nothing runs as root that did not come through
//! the [`door`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`door`] | what may be run at all |
//! | [`manifests`] | signed manifests: kept, and asked by the door |
//! | [`job`] | runs of a switch script that outlive the agent |
//! | [`checks`] | what a closure says of its own health |
//! | [`hooks`] | what a closure has done before and after a switch to it |
//! | `overrides` | what was changed beside the system |
//! | [`plan`] | what a switch would change |
//! | [`facts`] | what is known of the machine besides |
//! | [`boot`] | what the boot loader boots, by default and once |
//! | [`nix`] | fetching, profiles, garbage collector roots |
//! | [`runner`] | systemd units or processes in sessions of their own |
//! | [`seal`] | JSON with a checksum over itself |
//! | [`text`] | words for people, on one line |
//! | [`clock`], [`config`] | time, and where things are |

pub mod boot;
pub mod boot_id;
pub mod checks;
pub mod clock;
pub mod config;
pub mod door;
pub mod facts;
#[doc(hidden)]
pub mod failpoint;
pub mod hooks;
pub mod job;
pub mod machine;
pub mod manifests;
pub mod nix;
pub mod operations;
mod overrides;
pub mod plan;
pub mod runner;
pub mod seal;
mod switch_limit;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;

#[cfg(test)]
mod fixtures;

pub use clock::{Clock, SystemClock};
pub use config::{HostConfig, ReleaseTrust, RunnerKind};
pub use door::Runnable;
pub use machine::Machine;
pub use manifests::{AdmittedRelease, ReleaseClaim};
pub use nix::{CollectError, GenerationAge};
pub use operations::{HostOperations, MachineObservation};
