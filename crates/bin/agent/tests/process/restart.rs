//! The agent's own unit is restarted by the switch scripts that it and its dead-man start.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::AgentRig;

/// A dead-man holds the journal while its script restarts the agent's unit and waits until it is ready. Each could
/// wait for the other.
#[test]
fn an_agent_is_ready_and_can_be_stopped_while_a_deadman_holds_the_journal() {
    let rig = AgentRig::new();
    fs::create_dir_all(rig.state_dir()).unwrap();
    let held = File::create(rig.state_dir().join("journal.lock")).unwrap();
    held.lock().unwrap();
    let path = rig.nix.dir().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();

    let mut agent = rig.agent_with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut word = [0; 256];
    let length = manager.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"READY=1\n");

    agent.signal(Signal::TERM);
    assert!(agent.wait(Duration::from_secs(10)).success());
}
