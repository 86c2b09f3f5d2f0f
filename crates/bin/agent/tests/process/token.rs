//! A host's token that is replaced while its agent runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::AgentRig;
use crate::plane::TOKEN;

const NEXT: &str = "slw_1d7e0c5a94b2f3868e1d4c7b09a6f2537b8c0e1d9a4f6325c7e8b1a0d4f39aa1";

fn put(file: &Path, token: &str) {
    fs::write(file, token).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_rotated_token_is_read_anew_once_the_old_one_is_refused() {
    let rig = AgentRig::new();
    let file = rig.nix.dir().join("token");
    put(&file, TOKEN);
    let mut command = rig.command(&["run"]);
    command.env_remove("AGENT_TOKEN").env("AGENT_TOKEN_FILE", &file);
    let mut agent = rig.spawn(command);
    rig.eventually("it serves", |rig| !rig.plane.state().observations.is_empty());
    put(&file, NEXT);
    rig.plane.change(|state| {
        state.token = Some(NEXT.to_owned());
        state.observations.clear();
    });
    rig.eventually("it serves with the new token", |rig| {
        !rig.plane.state().observations.is_empty()
    });
    assert!(
        agent.child.try_wait().unwrap().is_none(),
        "it was not started anew for it"
    );
    assert!(!rig.agent_log().contains("slw_"));
}

/// systemd gives a service its credentials once: the service ends, to be started with the new one.
#[test]
fn an_agent_with_a_credential_ends_for_a_new_one() {
    let rig = AgentRig::new();
    let folder = rig.nix.dir().join("credentials");
    fs::create_dir(&folder).unwrap();
    put(&folder.join("AGENT_TOKEN"), TOKEN);
    let mut command = rig.command(&["run"]);
    command
        .env_remove("AGENT_TOKEN")
        .env("CREDENTIALS_DIRECTORY", &folder);
    let mut agent = rig.spawn(command);
    rig.eventually("it serves", |rig| !rig.plane.state().observations.is_empty());
    rig.plane.change(|state| state.token = Some(NEXT.to_owned()));
    assert!(agent.wait(Duration::from_mins(1)).success());
    assert!(
        rig.agent_log()
            .contains("to be started with the credential as it is now")
    );
}
