//! What a world asks of its control plane.

use slipway_domain::decide::Change;
use slipway_domain::plan::Wave;
use slipway_domain::snapshot::{CommandKind, Snapshot};
use slipway_domain::{Calendar, Instruction, Strategy, Timestamp};

use crate::SimHost;

/// What stands between workers, people and agents: a model of the database, or the store with a real one.
pub trait SimControlPlane {
    /// What a worker writes under.
    type Lease: Clone;

    /// From now on it is this instant.
    fn set_clock(&mut self, now: Timestamp);

    /// These hosts are all that there are.
    fn enroll(&mut self, hosts: &[SimHost]);

    /// The labels of this host are new.
    fn relabel(&mut self, i: usize, host: &SimHost);

    /// A rollout of this version begins. The one before is over.
    fn begin_rollout(&mut self, strategy: &Strategy, hosts: &[SimHost], waves: &[Wave], version: u32);

    /// The agent of this host posts what it sees. Gives its instruction.
    fn observe(&mut self, i: usize, host: &SimHost) -> Instruction;

    /// An operator asks for something, unless the rollout is in no state to take it.
    fn request(&mut self, kind: CommandKind);

    /// From now on the environment has this calendar.
    fn set_calendar(&mut self, _: Calendar) {}

    /// The newest rollout begins nothing before.
    fn set_beginning(&mut self, _: Timestamp) {}

    /// An approver looks at the newest rollout's plan.
    fn look(&mut self) {}

    /// A worker takes the lease, whoever has it.
    fn claim(&mut self, worker: usize);

    /// What a worker reads; nothing when the lease is another's by now.
    fn read(&mut self, worker: usize) -> Option<(Self::Lease, Snapshot)>;

    /// Writes a decision. False when it comes too late, and an error when the state machines do not allow it.
    fn write(&mut self, lease: &Self::Lease, changes: &[Change]) -> Result<bool, String>;

    /// The newest rollout as it is now.
    fn snapshot(&self) -> Snapshot;
}
