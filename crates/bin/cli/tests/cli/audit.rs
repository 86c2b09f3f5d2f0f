//! `audit verify` finds what was changed, left out, moved or cut off, whatever the server says.

use crate::common::Slipway;
use serde_json::{Value, json};
use slipway_client::testing::{ScriptedApi, ScriptedReply};
use slipway_domain::event::{Actor, GENESIS, NewEvent, chain_hash};

/// A chain of `n` events as the API hands it out.
pub(crate) fn chain(n: i64) -> Vec<Value> {
    let mut previous = GENESIS;
    (1..=n)
        .map(|number| {
            let at = format!("2026-03-01T12:00:{:02}.123456Z", number % 60)
                .parse()
                .unwrap();
            let mut event = NewEvent::new(Actor::Rules, "rollout.state", format!("cause {number}"));
            event.to = Some("rolling".to_owned());
            previous = chain_hash(&previous, number, at, &event);
            let mut json = serde_json::to_value(&event).unwrap();
            json["number"] = json!(number);
            json["at"] = json!(at);
            json["hash"] = json!(hex::encode(previous));
            json
        })
        .collect()
}

pub(crate) fn head(events: &[Value]) -> String {
    let last = events
        .last()
        .map(|event| event["hash"].as_str().unwrap().to_owned());
    last.unwrap_or_else(|| hex::encode(GENESIS))
}

/// A server that says that all is well with a log of `counted` events and this head, and hands out these.
fn server(events: Vec<Value>, counted: i64, head: &str) -> ScriptedApi {
    let report = json!({
        "whole": true, "events": counted, "head": head, "broken_at": null, "problem": null, "unsealed": 0,
    });
    ScriptedApi::start(move |request| {
        if request.path.ends_with("/audit/verify") {
            return ScriptedReply::json(200, &report);
        }
        let after: i64 = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("after="))
            .map_or(0, |after| after.parse().unwrap());
        let page: Vec<&Value> = events
            .iter()
            .filter(|event| event["number"].as_i64().unwrap() > after)
            .take(500)
            .collect();
        ScriptedReply::json(200, &json!({ "items": page }))
    })
}

/// What is noted down later counts as proof, so a broken log has no head.
#[test]
fn the_head_to_note_down_is_that_of_a_whole_log() {
    let events = chain(20);
    let head = head(&events);
    let ran = Slipway::at(&server(events.clone(), 20, &head)).run(&["audit", "head"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, format!("20 {head}\n").as_str())
    );
    let mut changed = events;
    changed[7]["cause"] = json!("another cause");
    let ran = Slipway::at(&server(changed, 20, &head)).run(&["audit", "head"]);
    assert_eq!(ran.code, 20, "{ran:?}");
    assert!(
        ran.stdout.contains("NOT whole") && !ran.stdout.contains(&format!("20 {head}")),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_whole_chain_is_computed_anew_over_several_pages() {
    let events = chain(1203);
    let (noted, head) = (head(&events[..700]), head(&events));
    let server = server(events, 1203, &head);
    let ran = Slipway::at(&server).run(&["audit", "verify", "--expect-head", &noted]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("the log is whole: 1203 events") && ran.stdout.contains(&head),
        "{}",
        ran.stdout
    );
    let json = Slipway::at(&server).run(&["audit", "verify", "--json"]).json();
    assert_eq!(
        (&json["whole"], &json["events"], &json["head"]),
        (&json!(true), &json!(1203), &json!(head))
    );
}

#[test]
fn events_that_came_during_the_check_are_no_problem() {
    let events = chain(9);
    let at_check = head(&events[..7]);
    let ran = Slipway::at(&server(events, 7, &at_check)).run(&["audit", "verify"]);
    assert!(ran.code == 0 && ran.stdout.contains("9 events"), "{ran:?}");
}

#[test]
fn an_empty_log_is_whole() {
    let ran = Slipway::at(&server(vec![], 0, &hex::encode(GENESIS))).run(&["audit", "verify"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn every_forgery_is_found() {
    let whole = chain(10);
    let head = head(&whole);
    let forged = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut events = whole.clone();
        change(&mut events);
        events
    };
    let cases: [(Vec<Value>, i64, &str); 6] = [
        (
            forged(&|e| e[4]["cause"] = json!("nothing to see")),
            10,
            "event 5 is not what was recorded",
        ),
        (
            forged(&|e| e[4]["at"] = json!("2026-03-01T12:00:05.123457Z")),
            10,
            "event 5 is not what was recorded",
        ),
        (
            forged(&|e| drop(e.remove(4))),
            10,
            "event 5 is missing; event 6 comes in its place",
        ),
        (
            forged(&|e| e.truncate(8)),
            10,
            "the server counts 10 events but hands out 8",
        ),
        (forged(&|e| e.truncate(8)), 8, "the server says its head is"),
        (
            forged(&|e| e[9]["hash"] = json!("00")),
            10,
            "event 10 is not what was recorded",
        ),
    ];
    for (events, counted, expected) in cases {
        let ran = Slipway::at(&server(events, counted, &head)).run(&["audit", "verify"]);
        assert_eq!(ran.code, 20, "{ran:?}");
        assert!(
            ran.stdout.contains(expected) && ran.stdout.contains("NOT whole"),
            "{expected}: {}",
            ran.stdout
        );
    }
}

#[test]
fn a_cut_off_end_shows_against_a_noted_head() {
    let events = chain(10);
    let noted = head(&events);
    let cut = events[..8].to_vec();
    let cut_head = head(&cut);
    // The server is of one piece with itself, and all the same it is not what it was.
    let server = server(cut, 8, &cut_head);
    assert_eq!(Slipway::at(&server).run(&["audit", "verify"]).code, 0);
    let ran = Slipway::at(&server).run(&["audit", "verify", "--expect-head", &noted, "--json"]);
    assert_eq!(ran.code, 20);
    assert_eq!(ran.json()["whole"], false);
}

#[test]
fn a_broken_seal_is_the_servers_word() {
    let events = chain(3);
    let head = head(&events);
    let report = json!({
        "whole": false, "events": 3, "head": head, "broken_at": 2, "problem": "its seal is wrong", "unsealed": 0,
    });
    let server = ScriptedApi::start(move |request| {
        if request.path.ends_with("/audit/verify") {
            ScriptedReply::json(200, &report)
        } else if request.query.contains("after=0") {
            ScriptedReply::json(200, &json!({ "items": events }))
        } else {
            ScriptedReply::json(200, &json!({"items": []}))
        }
    });
    let ran = Slipway::at(&server).run(&["audit", "verify"]);
    assert!(
        ran.code == 20 && ran.stdout.contains("at event 2: its seal is wrong"),
        "{ran:?}"
    );
    let ran = Slipway::at(&server).run(&["audit", "events"]);
    assert!(
        ran.stdout
            .contains("     2  2026-03-01 12:00:02.123Z  rules  rollout.state -> rolling: cause 2"),
        "{ran:?}"
    );
}
