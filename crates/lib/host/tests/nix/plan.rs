//! What a switch would change, by closures in a real store.

use std::os::unix::fs::symlink;

use slipway_domain::HostPlan;
use slipway_domain::host_plan::section;

use super::*;

/// A closure of this version with one package of this version in it.
fn system(rig: &MachineRig, version: &str, package: &str) -> StorePath {
    let part = rig.nix.dir().join(package);
    fs::create_dir_all(&part).unwrap();
    fs::write(part.join("program"), "x".repeat(10_000)).unwrap();
    let part = rig.nix.build(&part);
    let folder = rig.folder(|spec| version.clone_into(&mut spec.version));
    fs::create_dir_all(folder.join("etc/systemd/system")).unwrap();
    let unit = format!("[Service]\nExecStart={part}/program\n");
    fs::write(folder.join("etc/systemd/system/web.service"), unit).unwrap();
    rig.nix.build_with(&folder, &part)
}

fn lines(plan: &HostPlan, section: &str) -> Vec<String> {
    let line = |entry: &slipway_domain::host_plan::PlanEntry| {
        let texts = [&entry.before, &entry.after, &entry.why].map(|text| text.clone().unwrap_or_default());
        format!("{} {} {}", entry.change.as_str(), entry.name, texts.join("|"))
    };
    plan.entries(section).iter().map(line).collect()
}

#[tokio::test]
async fn packages_sizes_and_units_of_two_closures_are_compared() {
    let rig = MachineRig::new();
    let (old, new) = (system(&rig, "v1", "web-1.26.2"), system(&rig, "v2", "web-1.28.0"));
    let refused = rig.machine.plan(&new, BOUND).await.unwrap_err().to_string();
    assert!(refused.contains("no live system"), "{refused}");
    symlink(old.as_path(), rig.nix.dir().join("host/live")).unwrap();
    let computed = rig.machine.plan(&new, BOUND).await.unwrap();
    assert_eq!(
        lines(&computed.plan, section::PACKAGES),
        ["changed web 1.26.2|1.28.0|"]
    );
    assert_eq!(
        lines(&computed.plan, section::UNITS),
        ["restart web.service ||ExecStart"]
    );
    let report = &computed.report;
    assert_eq!(
        (report.from.clone(), report.digest),
        (old, computed.plan.digest())
    );
    assert!(
        report.bytes_new > 10_000 && report.bytes_after >= report.bytes_new,
        "{report:?}"
    );
    // The same again: nothing in it depends on when it is computed.
    assert_eq!(rig.machine.plan(&new, BOUND).await.unwrap(), computed);
    let nothing = rig.machine.plan(&report.from, BOUND).await.unwrap();
    assert_eq!((nothing.plan, nothing.report.bytes_new), (HostPlan::default(), 0));
}

#[tokio::test]
async fn a_closure_that_is_not_there_has_no_plan() {
    let rig = MachineRig::new();
    let (old, new) = (system(&rig, "v1", "web-1.26.2"), system(&rig, "v2", "web-1.28.0"));
    symlink(old.as_path(), rig.nix.dir().join("host/live")).unwrap();
    rig.nix.forget(&new);
    let refused = rig.machine.plan(&new, BOUND).await.unwrap_err().to_string();
    assert!(
        refused.contains(new.as_str()) && refused.contains("is not valid"),
        "{refused}"
    );
}
