//! Two quick faults, with everything that `./dev faults` starts: processes that are gone, and a record that was forged.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_fault_brings_its_alert_and_no_other_and_the_alert_ends_with_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_slipway-dev"))
        .args(["faults", "workers", "backup", "--json"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{told}");
    let report: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let faults = report["faults"].as_array().unwrap();
    let alerts: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault["alert"].as_str())
        .collect();
    assert_eq!(alerts, ["BackupLate", "ServiceDown"]);
    for fault in faults {
        assert!(
            fault["detected"].is_f64() && fault["resolved"].is_f64(),
            "{fault}"
        );
    }
}
