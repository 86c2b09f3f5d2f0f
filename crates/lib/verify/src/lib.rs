//! Checks of what runs in production: sites, the parts of a stack on its host, backups, the fleet and the audit log.
//! `slipway verify` uses them on a host, and for an address from anywhere. A check must never change anything, never
//! end the others, and never count as passed when it could not be made.
//!
//! The caller chooses the targets and shows the results. [`run()`] makes all checks at once, each within a time limit.
//!
//! | target | where it can be checked | checks | module |
//! |---|---|---|---|
//! | [`VerifyTarget::Site`] | anywhere | certificate, TLS versions, live, ready, health, closed metrics | `tls`, `site` |
//! | [`VerifyTarget::Certificate`] | anywhere | certificate, TLS versions | `tls` |
//! | [`VerifyTarget::Socket`], [`VerifyTarget::Service`], [`VerifyTarget::Metrics`], [`VerifyTarget::Units`] | on the stack's host | each replica, each metrics listener, the units | `inside` |
//! | [`VerifyTarget::Jobs`] | on the stack's host | the last runs of scheduled jobs | `jobs` |
//! | [`VerifyTarget::Backups`] | where the status page can be reached | age of backups and drills, the archive | [`backups`] |
//! | [`VerifyTarget::Host`] | anywhere, with a token | one host: its system, what drifts, what waits for a reboot | `fleet` |
//! | [`VerifyTarget::ControlPlane`] | anywhere, with a token | every host's system, the audit log | `fleet`, [`audit`] |
//!
//! The command line is built for macOS too, so this crate runs `systemctl` through tokio and not `slipway_process`.

pub mod audit;
pub mod backups;

mod fleet;
mod inside;
mod jobs;
mod page;
mod result;
mod run;
mod site;
mod tls;

pub use fleet::NOTABLE_SKEW_SECONDS;
pub use inside::ReplicaAddress;
pub use page::{PageUrl, StatusPage};
pub use result::{CheckResult, CheckState, PendingCheck};
pub use run::{Advice, VerifyTarget, run};
pub use site::Site;
