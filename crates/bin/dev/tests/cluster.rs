//! Three members lose their leader to a power cut, to a cut of the network and to a full disk, and their Redis. Clients write
//! all the time, and Slipway rolls out.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn no_acknowledged_write_is_lost_and_two_members_never_lead() {
    let output = Command::new(env!("CARGO_BIN_EXE_slipway-dev"))
        .args(["cluster", "--json"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{told}");
    let report: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let faults = report["faults"].as_array().unwrap();
    let kinds: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault["fault"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "power cut",
            "cut off from the other members",
            "kill -9 redis",
            "disk full"
        ]
    );
    // A leader was lost twice, and a primary once: faults that change nothing prove nothing.
    for (fault, time) in [(0, "postgres_ms"), (1, "postgres_ms"), (2, "redis_ms")] {
        assert!(faults[fault][time].as_u64().unwrap() > 1000, "{}", faults[fault]);
    }
    // Its disk was full, and it handed over.
    assert_ne!(faults[3]["leader_after"], faults[3]["member"], "{told}");
    assert_eq!(report["postgres_lost"], Value::Array(Vec::new()), "{told}");
    assert_eq!(report["two_leaders"], Value::Array(Vec::new()), "{told}");
    // Each was under way when a fault came, and must succeed.
    assert_eq!(report["rollouts"], 4, "{told}");
    assert!(report["postgres_written"].as_u64().unwrap() > 500, "{told}");
    assert!(report["redis_written"].as_u64().unwrap() > 500, "{told}");
}
