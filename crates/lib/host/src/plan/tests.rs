//! Plans of folders that look as NixOS' closures do. `tests/nix/plan.rs` has closures in a real store.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use slipway_domain::HostPlan;
use slipway_domain::host_plan::section;
use tempfile::TempDir;

use super::*;

/// Two closures in a folder: files by their paths.
struct Closures {
    dir: TempDir,
}

impl Closures {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["live", "new"] {
            fs::create_dir_all(dir.path().join("store").join(top(name))).unwrap();
        }
        Self { dir }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(top(name))
    }

    fn write(&self, closure: &str, file: &str, text: &str) {
        let path = self.root(closure).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The same file in both.
    fn both(&self, file: &str, text: &str) {
        self.write("live", file, text);
        self.write("new", file, text);
    }

    /// A store path beside the closures.
    fn part(&self, name: &str, text: &str) -> String {
        let path = self
            .dir
            .path()
            .join("store")
            .join(format!("{}-{name}", hash(name.len())));
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn link(&self, closure: &str, file: &str, target: &str) {
        let path = self.root(closure).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn plan(&self) -> HostPlan {
        self.try_plan().unwrap()
    }

    fn try_plan(&self) -> Result<HostPlan, PlanError> {
        let path = |name: &str| self.root(name).display().to_string().parse().unwrap();
        let mut plan = HostPlan::default();
        let compared = Compared {
            live: path("live"),
            booted: None,
        };
        compare_files(&mut plan, &compared, &path("new")).map(|()| plan)
    }
}

fn hash(n: usize) -> String {
    format!("{n:032}")
}

fn top(name: &str) -> String {
    format!("{}-nixos-system-{name}-25.05", hash(0))
}

/// A section as lines: change, name, before, after, why.
fn lines(plan: &HostPlan, section: &str) -> Vec<String> {
    let line = |entry: &slipway_domain::host_plan::PlanEntry| {
        let texts = [&entry.before, &entry.after, &entry.why].map(|text| text.clone().unwrap_or_default());
        format!("{} {} {}", entry.change.as_str(), entry.name, texts.join("|"))
    };
    plan.entries(section).iter().map(line).collect()
}

fn unit(name: &str) -> String {
    format!("etc/systemd/system/{name}")
}

#[test]
fn what_is_no_nixos_has_an_empty_plan() {
    let closures = Closures::new();
    assert_eq!(closures.plan(), HostPlan::default());
}

#[test]
fn units_are_handled_as_the_switch_script_does() {
    let closures = Closures::new();
    let service =
        |exec: &str, more: &str| format!("[Unit]\nDescription=x\n[Service]\nExecStart=/{exec}\n{more}\n");
    for (name, more) in [
        ("plain.service", ""),
        ("reloads.service", "X-ReloadIfChanged=true"),
        ("kept.service", "X-RestartIfChanged=false"),
        ("job.service", "Type=oneshot"),
        ("manual.service", "[Unit]\nX-OnlyManualStart=true"),
        ("web.service", ""),
    ] {
        closures.write("live", &unit(name), &service("a", more));
        closures.write("new", &unit(name), &service("b", more));
    }
    closures.both(&unit("web.socket"), "[Socket]\nListenStream=80\n");
    closures.write("live", &unit("tmp.mount"), "[Mount]\nOptions=a\n");
    closures.write("new", &unit("tmp.mount"), "[Mount]\nOptions=b\n");
    closures.write("live", &unit("-.mount"), "[Mount]\nWhat=a\n");
    closures.write("new", &unit("-.mount"), "[Mount]\nWhat=b\n");
    closures.write("live", &unit("gone.service"), &service("a", ""));
    closures.write(
        "live",
        &unit("stays.service"),
        &format!("[Unit]\nX-StopOnRemoval=false\n{}", service("a", "")),
    );
    closures.write("new", &unit("wanted.service"), &service("a", ""));
    closures.write("new", &unit("unwanted.service"), &service("a", ""));
    closures.link(
        "new",
        &unit("multi-user.target.wants/wanted.service"),
        "../wanted.service",
    );
    closures.write("live", &unit("told.service"), &service("a", ""));
    closures.write(
        "new",
        &unit("told.service"),
        &service("a", "").replace("Description=x", "Description=y"),
    );
    closures.write("live", &unit("big.slice"), "[Slice]\nMemoryMax=1\n");
    closures.write("new", &unit("big.slice"), "[Slice]\nMemoryMax=2\n");
    closures.both(&unit("dropped.service"), &service("a", ""));
    closures.write(
        "new",
        &unit("dropped.service.d/overrides.conf"),
        "[Service]\nUser=x\n",
    );
    closures.both(&unit("masked.service"), "");
    fs::remove_file(closures.root("new").join(unit("masked.service"))).unwrap();
    closures.link("new", &unit("masked.service"), "/dev/null");
    assert_eq!(
        lines(&closures.plan(), section::UNITS),
        [
            "reload -.mount ||What",
            "restart dropped.service ||User",
            "stop gone.service ||it is not in the release",
            "restart job.service ||ExecStart; only while it runs",
            "keep kept.service ||ExecStart",
            "keep manual.service ||ExecStart",
            "stop masked.service ||it is not in the release",
            "restart plain.service ||ExecStart",
            "reload reloads.service ||ExecStart",
            "keep stays.service ||it is not in the release",
            "reload tmp.mount ||Options",
            "start wanted.service ||it is new",
            "restart web.service ||ExecStart",
            "restart web.socket ||with web.service",
        ]
    );
}

#[test]
fn what_only_a_boot_changes_asks_for_one() {
    let closures = Closures::new();
    for (closure, kernel) in [("live", "linux-6.12.1"), ("new", "linux-6.12.30")] {
        let path = closures.part(kernel, "");
        closures.link(closure, "kernel", &path);
        closures.write(
            closure,
            "kernel-params",
            if closure == "live" {
                "quiet\n"
            } else {
                "quiet debug"
            },
        );
        let systemd = closures.part("systemd-257.5", "");
        closures.link(closure, "systemd", &systemd);
        let bus = if closure == "live" {
            "dbus-daemon"
        } else {
            "dbus-broker-launch"
        };
        closures.write(
            closure,
            &unit("dbus.service"),
            &format!("[Service]\nExecStart=/{bus}\n"),
        );
    }
    closures.write(
        "live",
        "switch-inhibitors",
        r#"{"dbus-implementation":"dbus","own":"1","gone":"x"}"#,
    );
    closures.write(
        "new",
        "switch-inhibitors",
        r#"{"dbus-implementation":"broker","own":"1","new":"x"}"#,
    );
    let plan = closures.plan();
    assert_eq!(
        lines(&plan, section::REBOOT),
        [
            "changed dbus dbus|broker|",
            "changed kernel linux-6.12.1|linux-6.12.30|",
            "changed kernel-params quiet|quiet debug|",
        ]
    );
    assert_eq!(
        lines(&plan, section::INHIBITORS),
        ["changed dbus-implementation dbus|broker|"]
    );
    assert!(plan.needs_reboot());
}

#[test]
fn users_mounts_and_the_firewall_are_compared() {
    let closures = Closures::new();
    let users = |shop: &str| {
        format!(
            r#"{{"users":[{{"name":"root","hashedPassword":"a"}},{shop}],"groups":[{{"name":"wheel","members":[]}}]}}"#
        )
    };
    let old = closures.part("old-users-groups.json", &users(r#"{"name":"old"}"#));
    let new = closures.part(
        "newer-users-groups.json",
        &users(r#"{"name":"shop"}"#).replace("\"a\"", "\"b\""),
    );
    closures.write("live", "activate", &format!("perl -w x {old}\n"));
    closures.write("new", "activate", &format!("perl -w x {new}\n"));
    closures.write(
        "live",
        "etc/fstab",
        "# x\n/dev/a / ext4 defaults\n/dev/b /old ext4 x\n/dev/c none swap x\n",
    );
    closures.write(
        "new",
        "etc/fstab",
        "/dev/a / ext4 noatime\n/dev/c none swap x\n/dev/d#1 /new xfs x\n",
    );
    let rules = |port: u16| {
        format!(
            "# {port}\n/nix/store/{}-iptables-1/bin/ip46tables -A {port}\nkeep\n",
            hash(port.into())
        )
    };
    let old = closures.part("firewall-start", &rules(80));
    let new = closures.part("firewall-start-2", &rules(443));
    closures.write(
        "live",
        &unit("firewall.service"),
        &format!("[Service]\nExecStart=@{old} firewall-start\n"),
    );
    closures.write(
        "new",
        &unit("firewall.service"),
        &format!("[Service]\nExecStart=@{new} firewall-start\n"),
    );
    let plan = closures.plan();
    assert_eq!(
        lines(&plan, section::USERS),
        ["removed old ||", "changed root ||hashedPassword", "added shop ||"]
    );
    assert!(plan.entries(section::GROUPS).is_empty());
    assert_eq!(
        lines(&plan, section::MOUNTS),
        [
            "changed / /dev/a ext4 defaults|/dev/a ext4 noatime|",
            "added /new |/dev/d#1 xfs x|",
            "removed /old /dev/b ext4 x||",
        ]
    );
    assert_eq!(
        lines(&plan, section::FIREWALL),
        [
            "added /nix/store/iptables-1/bin/ip46tables -A 443 ||",
            "removed /nix/store/iptables-1/bin/ip46tables -A 80 ||",
        ]
    );
}

#[test]
fn what_a_closure_says_to_slipway_is_compared() {
    let closures = Closures::new();
    let check = |n: usize| {
        format!(
            r#"{{"name":"web","type":"command","command":["/nix/store/{}-a/bin/a"]}}"#,
            hash(n)
        )
    };
    closures.write(
        "live",
        "etc/slipway/checks.json",
        &format!(r#"{{"checks":[{},{{"name":"old"}}]}}"#, check(1)),
    );
    closures.write(
        "new",
        "etc/slipway/checks.json",
        &format!(r#"{{"checks":[{},{{"name":"new"}}]}}"#, check(2)),
    );
    closures.write(
        "new",
        "etc/slipway/hooks.json",
        r#"{"after_commit":[{"name":"take back"}]}"#,
    );
    let schema = |names: &str| format!(r#"{{"stacks":{{"shop":{{"migrations":[{names}]}}}}}}"#);
    closures.write("live", "etc/slipway/schemas.json", &schema(r#""1_a""#));
    closures.write("new", "etc/slipway/schemas.json", &schema(r#""1_a","2_b","3_c""#));
    let plan = closures.plan();
    assert_eq!(lines(&plan, section::CHECKS), ["added new ||", "removed old ||"]);
    assert_eq!(lines(&plan, section::HOOKS), ["added after_commit: take back ||"]);
    assert_eq!(
        lines(&plan, section::SCHEMAS),
        ["changed shop 1_a|3_c|2 migrations: 2_b, 3_c"]
    );
}

#[test]
fn equal_hosts_with_other_names_have_equal_plans() {
    let digests = ["web-1", "web-2"].map(|host| {
        let closures = Closures::new();
        for (closure, exec) in [("live", "a"), ("new", "b")] {
            let name = format!("[Service]\nEnvironment=HOST={host}\nExecStart=/{exec}\n");
            closures.write(closure, &unit("app.service"), &name);
            closures.write(closure, "etc/hostname", host);
        }
        closures.plan().digest()
    });
    assert_eq!(digests[0], digests[1]);
}

/// Root reads the files before anybody has approved them, and the plan is shown to people.
#[test]
fn nothing_outside_the_store_is_read() {
    let closures = Closures::new();
    let secret = closures.dir.path().join("secret");
    fs::write(&secret, "a secret of root's\n").unwrap();
    let secret = secret.to_str().unwrap();
    let pipe = closures.dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let up = format!(
        "../{}",
        closures.part("firewall-start", "").rsplit('/').next().unwrap()
    );
    let firewall = closures.dir.path().join("store").join(&up[3..]);
    fs::remove_file(&firewall).unwrap();
    fs::create_dir(&firewall).unwrap();
    for (name, target) in [
        ("absolute", secret),
        ("relative", "../../secret"),
        ("pipe", pipe.to_str().unwrap()),
    ] {
        symlink(target, firewall.join(name)).unwrap();
    }
    let rules: Vec<String> = ["absolute", "relative", "pipe", "../../secret"]
        .map(|name| firewall.join(name).display().to_string())
        .into();
    closures.write("live", "kernel-params", "quiet");
    closures.write("live", "etc/fstab", "/dev/a / ext4 x\n");
    closures.link("new", "kernel-params", secret);
    closures.link("new", "etc/fstab", secret);
    closures.link("new", "etc/slipway/schemas.json", pipe.to_str().unwrap());
    closures.link("new", &unit("odd.service"), "../../../../../secret");
    closures.link("new", &unit("a.service.d"), closures.dir.path().to_str().unwrap());
    closures.write(
        "new",
        &unit("firewall.service"),
        &format!("[Service]\nExecStart={}\n", rules.join(" ")),
    );
    let plan = closures.plan();
    assert_eq!(lines(&plan, section::MOUNTS), ["removed / /dev/a ext4 x||"]);
    let shown = serde_json::to_string(&plan).unwrap();
    assert!(!shown.contains("a secret"), "{shown}");
}

#[test]
fn what_is_too_large_to_be_compared_is_not_left_out_in_silence() {
    let closures = Closures::new();
    let large = "#".repeat(usize::try_from(files::MAX_BYTES).unwrap() + 1);
    closures.write("new", "etc/fstab", &large);
    let error = closures.try_plan().unwrap_err().to_string();
    assert!(
        error.contains("etc/fstab is too large to be compared: a plan reads files of up to 8 MiB"),
        "{error}"
    );
    // Each is small enough, and together they would fill the memory.
    let closures = Closures::new();
    let rules = closures.part("firewall-start", &large[2..]);
    let named: Vec<String> = (0..20).map(|n| format!("{rules}{}", "/.".repeat(n))).collect();
    closures.write(
        "new",
        &unit("firewall.service"),
        &format!("[Service]\nExecStart={}\n", named.join(" ")),
    );
    let error = closures.try_plan().unwrap_err().to_string();
    assert!(error.contains("firewall-start is too large"), "{error}");
}

#[test]
fn files_that_are_odd_break_nothing() {
    let closures = Closures::new();
    for file in [
        "etc/slipway/schemas.json",
        "etc/fstab",
        "switch-inhibitors",
        "activate",
    ] {
        closures.write("live", file, "\u{0}{[");
        closures.write("new", file, "]]] = \n\n /nix/store/x-users-groups.json");
    }
    closures.write("new", &unit("odd.service"), "[\n=\n[Service\nExecStart\n\\\n");
    closures.link("new", &unit("loop.service"), "./loop.service");
    fs::create_dir_all(closures.root("new").join(unit("folder.service"))).unwrap();
    let _ = closures.plan().digest();
}
