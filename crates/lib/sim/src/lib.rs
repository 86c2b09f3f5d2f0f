//! A model of a whole fleet: hosts with their agents, workers, people, and every failure. Only tests use it: the property
//! tests of the rules, and the tests of the store. It must never be part of a program.
//!
//! [`World`] holds the truth of every host beside the beliefs of a [`SimControlPlane`]. [`World::check`] compares the two
//! with what must always hold. The decisions are those of [`slipway_domain::decide::decide`]. The control plane is
//! [`Memory`] in the property tests, and the real store in the tests of the store.

mod control;
mod host;
mod member;
mod memory;
mod order;
pub mod stories;
mod times;
mod world;

pub use control::SimControlPlane;
pub use host::SimHost;
pub(crate) use member::SimBoot;
pub use member::{ClosureFate, Member};
pub use memory::Memory;
pub use times::TimeChange;
pub use world::{Happening, World};
