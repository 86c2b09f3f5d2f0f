//! What a preflight looks like.

use serde_json::json;
use slipway_client::testing::{ScriptedApi, ScriptedReply};

use crate::common::{RELEASE, Slipway};

#[test]
fn a_preflight_shows_what_is_amiss_once_with_its_cure_and_counts_the_rest() {
    let server = ScriptedApi::start(|request| {
        if !request.path.starts_with("/api/v1/environments/prod/preflight") {
            return ScriptedReply::empty(500);
        }
        let silent = |check: &str| {
            json!({
                "check": check, "outcome": "unknown", "hosts": ["web-1", "web-2"], "host_count": 2,
                "message": "its agent has sent no facts yet", "cure": "they come within a minute",
            })
        };
        let mut report = json!({
            "environment": "prod", "release": RELEASE, "blocked": true, "hosts": 3,
            "release_label": { "id": RELEASE, "number": 12 },
            "findings": [
                { "check": "window", "outcome": "blocking", "message": "waits until 2027", "cure": "wait" },
                silent("facts"), silent("nix"), silent("memory"),
                { "check": "cache", "outcome": "unknown", "hosts": ["web-3"], "host_count": 1,
                  "message": "the caches could not be asked" },
                { "check": "drift", "outcome": "warning", "message": "web-3 drifts" },
                { "check": "workers", "outcome": "passed", "message": "2 workers are at work" },
                { "check": "clock", "outcome": "passed", "host_count": 3, "message": "the clocks are right" },
            ],
        });
        report["at"] = json!(crate::common::AT);
        ScriptedReply::json(200, &report)
    });
    let ran = Slipway::at(&server).run(&["preflight", "prod", "12"]);
    assert_eq!(ran.code, 30, "{ran:?}");
    let text = &ran.stdout;
    for expected in [
        "window",
        "         cure: wait\n",
        "3 checks",
        "         these: facts, nix, memory\n         cure: they come within a minute\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for once in ["sent no facts yet", "they come within a minute"] {
        assert_eq!(text.matches(once).count(), 1, "{text}");
    }
    assert!(!text.contains("the clocks are right"), "{text}");
    let place = |word: &str| text.find(word).expect(word);
    assert!(
        place("window") < place("web-3 drifts") && place("web-3 drifts") < place("3 checks"),
        "{text}"
    );
    assert!(text.contains("1 blocking, 5 unknown, 1 warning"), "{text}");
}
