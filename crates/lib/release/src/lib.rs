//! The signed manifest of a release: what one host after the other is to run, for how long and under which number.
//!
//! A manifest is a file. Its bytes are read, signed, stored and sent, and never written anew: a signature is one of bytes.
//! Nothing here does I/O or has a clock, so the agent, the API and the command line share one rule.
//!
//! | module | what it holds |
//! |---|---|
//! | [`manifest`] | the form, read strictly |
//! | [`keys`] | public keys that a host trusts |
//! | [`signature`] | signatures of minisign and of `ssh-keygen -Y sign` |
//! | [`signed`] | a manifest's bytes with their signatures |
//! | [`rule`] | whether a host may run a closure by a manifest |

pub mod keys;
pub mod manifest;
pub mod rule;
pub mod signature;
pub mod signed;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use keys::{KeyError, ReleaseKey, ReleaseKeys};
pub use manifest::{HostEntry, MAX_NUMBER, Manifest, ManifestError, Source};
pub use rule::{Committed, Question, Refusal};
pub use signature::{Signature, SignatureError};
pub use signed::{SignedError, SignedManifest, Untrusted};
