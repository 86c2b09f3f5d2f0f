use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    let times = json!({ "timeout_seconds": 60, "late_after_seconds": 90000 });
    json!({
        "stack": "shop",
        "state_dir": "/var/lib/slipway-backup/shop",
        "database": { "name": "shop", "host": "/run/postgresql", "user": "slipway-backup", "bin_dir": "/usr/bin" },
        "dump": { "directory": "/var/lib/slipway-backup/shop/dumps", "keep_days": 30, "times": times },
        "offsite": {
            "repository": "/srv/restic", "password_file": { "path": "/run/secrets/restic" },
            "paths": ["/var/lib/slipway-backup/shop/dumps"], "times": times,
            "keep": { "hourly": 0, "daily": 7, "weekly": 5, "monthly": 12 }
        },
        "units": { "wal-base": "shop-backup-wal-base.service" }
    })
}

fn with(pointer: &str, value: Value) -> String {
    let mut json = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap()[key] = value;
    Config::parse(&json.to_string()).unwrap_err().to_string()
}

#[test]
fn a_good_file_is_understood() {
    let config = Config::parse(&good().to_string()).unwrap();
    assert_eq!(config.database.port, 5432);
    assert_eq!(
        config.times(BackupKind::Dump).unwrap().timeout,
        Duration::from_mins(1)
    );
    assert_eq!(config.exporter.listen.port(), 9103);
    assert_eq!(config.units[&BackupKind::WalBase], "shop-backup-wal-base.service");
    assert!(config.times(BackupKind::Drill).is_none());
}

#[test]
fn every_mistake_names_its_field() {
    for (pointer, value, expected) in [
        ("/dump/keep_days", json!("30"), "`dump.keep_days`: invalid type"),
        ("/dump/keep_day", json!(1), "`dump.keep_day`: unknown field"),
        ("/dump/keep_days", json!(0), "`dump.keep_days` is 0"),
        (
            "/dump/times",
            json!({ "timeout_seconds": u64::MAX, "late_after_seconds": 1 }),
            "is more than a year",
        ),
        (
            "/state_dir",
            json!("state"),
            "`state_dir` is not an absolute path",
        ),
        ("/stack", json!("a b"), "`stack` is not a name"),
        (
            "/database/url_file",
            json!({ "path": "/run/url" }),
            "`database.url_file` contradicts",
        ),
        (
            "/offsite/password_file",
            json!({ "path": "/nix/store/x" }),
            "`offsite.password_file` lies in the Nix store",
        ),
        (
            "/offsite/repository_file",
            json!({ "path": "/run/r" }),
            "`offsite.repository` or repository_file",
        ),
        ("/offsite/paths", json!([]), "`offsite.paths` is empty"),
        (
            "/offsite/paths",
            json!(["x"]),
            "`offsite.paths[0]` is not an absolute path",
        ),
        (
            "/exporter",
            json!({ "listen": "0.0.0.0:9103" }),
            "`exporter.listen` is not a loopback address",
        ),
    ] {
        let failure = with(pointer, value);
        assert!(failure.contains(expected), "{pointer}: {failure}");
    }
}

#[test]
fn a_mistake_in_a_file_names_the_file_and_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.json");
    std::fs::write(&path, "{}").unwrap();
    let failure = Config::read(&path).unwrap_err();
    assert!(failure.mentions("shop.json: missing field `stack`"), "{failure}");
    assert!(failure.remedy().unwrap().contains("services.slipway.stacks"));
}
