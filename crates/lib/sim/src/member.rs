//! What there is to say of a host before a story.

use slipway_domain::{Labels, StorePath};

/// What becomes of the new closure on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosureFate {
    /// It works.
    Good,
    /// It cannot be fetched.
    FailsStage,
    /// Its switch script fails half-way.
    FailsSwitch,
    /// Its checks fail.
    FailsChecks,
    /// Its checks can come to no verdict.
    Inconclusive,
    /// Its checks fail, and the prior does not come back at first.
    FailsRevert,
    /// The host runs it already.
    There,
    /// It does not come up when it is booted: only a power cycle helps.
    NeverBoots,
    /// It reboots whenever it is booted.
    BootsForEver,
}

/// A host of a story as it is at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What becomes of the new closure on it.
    pub fate: ClosureFate,
    /// Its labels.
    pub labels: Labels,
    /// Whether the new closure brings a kernel, so that it must reboot.
    pub kernel: bool,
}

impl From<ClosureFate> for Member {
    fn from(fate: ClosureFate) -> Self {
        Self {
            fate,
            labels: Labels::new(),
            kernel: false,
        }
    }
}

/// What there is to say of its boots.
#[derive(Debug, Default)]
pub(crate) struct SimBoot {
    /// The new closure brings a kernel.
    pub(crate) kernel: bool,
    /// What the boot loader boots once.
    pub(crate) once: Option<StorePath>,
    /// A kernel hangs: the host does nothing until a power cycle.
    pub(crate) hung: bool,
}
