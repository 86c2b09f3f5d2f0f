//! Hosts that somebody accepted as they are.

use super::*;

/// Behind the release that it was accepted behind, and running what was accepted: nothing else is fine.
#[test]
fn a_host_that_somebody_accepted_behind_its_release_does_not_fail() {
    let (other, kept) = (CLOSURE.replace("web", "other"), CLOSURE.replace("web", "kept"));
    let later = RELEASE.replace("8a51", "8a52");
    assert_ne!(later, RELEASE);
    for (live, boot, accepted, behind, state, text) in [
        (&kept, &kept, true, RELEASE, "ok", "accepted by grace"),
        (
            &kept,
            &other,
            true,
            RELEASE,
            "warn",
            "but the next boot would run 0c5r1m2n…-nixos-system-other",
        ),
        (&kept, &kept, true, &later, "fail", "rollout start prod"),
        (&kept, &kept, false, RELEASE, "fail", "rollout start prod"),
        (
            &other,
            &kept,
            true,
            RELEASE,
            "fail",
            "runs 0c5r1m2n…-nixos-system-other",
        ),
        (
            &CLOSURE.to_owned(),
            &CLOSURE.to_owned(),
            true,
            RELEASE,
            "ok",
            "of release",
        ),
    ] {
        let mut changed = host("web-1");
        changed["live"] = json!(live);
        changed["boot_default"] = json!(boot);
        if accepted {
            changed["accepted"] = json!({
                "at": AT, "by": {"kind": "principal", "name": "grace"}, "reason": "a demo until Monday",
                "live": kept, "boot_default": kept, "release": behind,
            });
        }
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| {
            match request.path.as_str() {
                "/api/v1/hosts" => ScriptedReply::json(200, &json!({ "items": [changed] })),
                _ => well(request),
            }
        });
        let (ran, lines) = verify(&server, &[]);
        let (found, words) = words_of(&lines, "host");
        assert!(found == state && words.contains(text), "{found}: {words}");
        assert_eq!(ran.code, if state == "fail" { 30 } else { 0 }, "{ran:?}");
        if words.contains("accepted") {
            assert!(
                words.contains("a demo until Monday") && words.contains("ago"),
                "{words}"
            );
        }
    }
}
