//! Hosts whose boot loader boots another system than the profile names.

use super::*;

#[test]
fn a_boot_loader_that_boots_another_system_is_a_warning() {
    let other = CLOSURE.replace("web", "other");
    for (kind, found, state, text) in [
        (
            "boot",
            other.clone(),
            "warn",
            "but the boot loader boots 0c5r1m2n…-nixos-system-other; undo it on the host",
        ),
        (
            "boot",
            format!("{other}, once"),
            "warn",
            "but the boot loader boots 0c5r1m2n…-nixos-system-other, once; undo it on the host",
        ),
        (
            "boot",
            "the boot entry memtest.conf".to_owned(),
            "warn",
            "but the boot loader boots the boot entry memtest.conf; undo it on the host",
        ),
        // What runs and what boots is as it should be.
        ("unit", "/run/systemd/x.conf".to_owned(), "ok", "of release"),
    ] {
        let mut changed = host("web-1");
        changed["drift"] = json!({
            "digest": format!("sha256:{}", "ab".repeat(32)),
            "items": [{ "kind": kind, "expected": CLOSURE, "found": found, "since": AT }],
        });
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| {
            match request.path.as_str() {
                "/api/v1/hosts" => ScriptedReply::json(200, &json!({ "items": [changed] })),
                _ => well(request),
            }
        });
        let (ran, lines) = verify(&server, &[]);
        expect(&lines, "host", state, text);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}
