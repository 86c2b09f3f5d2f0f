//! Units: `systemd-analyze verify` of all together, and the exposure of those that face the network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use slipway_dev::programs;

use crate::host::{Host, snapshots, store_paths};

/// Keys that this distribution's systemd may be too old for, each with the first version that has it. An older one
/// says so and goes on without.
const NEWER: [(&str, u32); 2] = [("RestartSteps", 254), ("RestartMaxDelaySec", 254)];

/// Lines that an older systemd takes for a reason to refuse the unit, each with the first version that takes them
/// (<https://github.com/systemd/systemd/pull/31149>). Our hosts have a newer one.
const REFUSED: [(&str, u32); 1] = [("RestartForceExitStatus=", 256)];

/// Services of NixOS that ours add to or ask for.
const FOREIGN: [&str; 3] = ["nginx.service", "postgresql.service", "redis-shop.service"];

/// The most that `systemd-analyze security` may say of a unit, in tenths.
fn most(unit: &str) -> u32 {
    match unit {
        // Root, and any address: it switches the system (modules/agent.nix has the reasons).
        "slipway-agent.service" => 30,
        _ => 20,
    }
}

#[test]
fn systemd_takes_every_line_of_every_unit() {
    let units = Units::new();
    assert!(
        units.names.len() > 25,
        "a full stack has more units than {:?}",
        units.names
    );
    assert_eq!(units.complaints(), Vec::<String>::new());
}

#[test]
fn a_mistake_in_a_unit_is_found() {
    for (unit, right, wrong, told) in [
        (
            "shop-api-1.service",
            "MemoryHigh=",
            "MemoryHihg=",
            "Unknown key 'MemoryHihg'",
        ),
        (
            "shop-api-1.service",
            "[Service]",
            "[Servise]",
            "Unknown section 'Servise'",
        ),
        (
            "shop-worker-1.service",
            "ProtectProc=invisible",
            "ProtectProc=gone",
            "protection mode",
        ),
        (
            "redis-shop.service.d/slipway.conf",
            "RestartSec=1",
            "RestartSec=one",
            "Failed to parse sec value",
        ),
        (
            "shop-backup-drill.timer",
            "OnCalendar=",
            "OnCalendar=Whenever ",
            "calendar",
        ),
        (
            "shop-api-2.service",
            "Requires=shop-api-2.socket",
            "Requires=shop-api-9.socket",
            "shop-api-9.socket not found",
        ),
        (
            "shop-migrate.service",
            "/bin/shop migrate",
            "/bin/nothing migrate",
            "is not executable",
        ),
    ] {
        let units = Units::new();
        let file = units.folder.join(unit);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(right), "{unit} has no {right}");
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let complaints = units.complaints();
        assert!(
            complaints.iter().any(|complaint| complaint.contains(told)),
            "{wrong} in {unit}: {complaints:?}"
        );
    }
}

#[test]
fn no_service_is_exposed_more_than_it_may_be() {
    let units = Units::new();
    let services: Vec<_> = units
        .names
        .iter()
        .filter(|name| name.ends_with(".service"))
        .collect();
    assert!(services.len() > 15, "{services:?}");
    for name in services {
        let report = units.exposure(name, most(name));
        assert!(report.status.success(), "{name}: {}", printed(&report));
    }
    // The judge judges.
    let file = units.folder.join("shop-api-1.service");
    let text = fs::read_to_string(&file).unwrap();
    let loose = text
        .replace("CapabilityBoundingSet=\n", "")
        .replace("PrivateUsers=true\n", "");
    fs::write(&file, loose).unwrap();
    assert!(!units.exposure("shop-api-1.service", 20).status.success());
}

/// The units of the snapshots in a folder, with something to run wherever a unit runs something.
struct Units {
    _host: Host,
    folder: PathBuf,
    /// Of the units that are ours as a whole.
    names: Vec<String>,
}

impl Units {
    fn new() -> Self {
        let host = Host::new();
        let folder = host.folder("/units");
        let from = snapshots().join("units");
        let mut names = Vec::new();
        for entry in fs::read_dir(&from).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                let drop_in = format!("{name}/slipway.conf");
                fs::create_dir(folder.join(&name)).unwrap();
                put(&host, &from.join(&drop_in), &folder.join(&drop_in));
            } else {
                put(&host, &entry.path(), &folder.join(&name));
                names.push(name);
            }
        }
        names.sort();
        for name in FOREIGN {
            fs::write(folder.join(name), "[Service]\nExecStart=/bin/true\n").unwrap();
        }
        Self {
            _host: host,
            folder,
            names,
        }
    }

    /// What systemd has to say, without what is only its age.
    fn complaints(&self) -> Vec<String> {
        let output = self
            .analyze(&["verify", "--man=no"])
            .args(
                self.names
                    .iter()
                    .chain(&FOREIGN.map(String::from))
                    .map(|name| self.folder.join(name)),
            )
            .output()
            .unwrap();
        let version = version();
        let too_new: Vec<String> = NEWER
            .iter()
            .filter(|(_, since)| *since > version)
            .map(|(key, _)| format!("Unknown key '{key}' in section [Service], ignoring."))
            .collect();
        let complaints: Vec<String> = printed(&output)
            .lines()
            .filter(|line| !too_new.iter().any(|known| line.ends_with(known)))
            .map(str::to_owned)
            .collect();
        assert!(
            output.status.success() || !complaints.is_empty(),
            "{}",
            output.status
        );
        complaints
    }

    fn exposure(&self, name: &str, most: u32) -> Output {
        self.analyze(&["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={most}"))
            .arg(self.folder.join(name))
            .output()
            .unwrap()
    }

    fn analyze(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::find("systemd-analyze").unwrap());
        // Before the distribution's own units, which the empty part stands for.
        let mut path = self.folder.clone().into_os_string();
        path.push(":");
        command
            .args(args)
            .env("SYSTEMD_UNIT_PATH", path)
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// Writes a unit with stand-ins for what it takes from the store, each a program that can be run.
fn put(host: &Host, from: &Path, to: &Path) {
    let text = fs::read_to_string(from).unwrap();
    for name in store_paths(&text) {
        let mark = format!("@{name}@");
        for (at, _) in text.match_indices(&mark) {
            let word = text[at + mark.len()..].split_whitespace().next();
            let inside = word.filter(|inside| inside.starts_with('/')).unwrap_or_default();
            let file = host.write(&format!("/store/{name}{inside}"), "#!/bin/sh\n");
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let version = version();
    let refused = |line: &str| {
        let too_new = |(key, since): &(&str, u32)| *since > version && line.starts_with(key);
        REFUSED.iter().any(too_new)
    };
    let text: String = text.split_inclusive('\n').filter(|line| !refused(line)).collect();
    fs::write(to, host.stored(&text)).unwrap();
}

/// The version of the systemd that judges.
fn version() -> u32 {
    let output = Command::new(programs::find("systemd-analyze").unwrap())
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = text.split_whitespace().nth(1).unwrap();
    number.split('.').next().unwrap().parse().unwrap()
}

fn printed(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
