//! What is kept elsewhere tells when somebody who holds the whole control plane writes its log anew.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};
use slipway_domain::event::{GENESIS, NewEvent, chain_hash};

use crate::audit::{chain, head};
use crate::common::Slipway;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

/// A server whose log can change while it runs; it always says of itself that all is well.
struct Plane {
    server: ScriptedApi,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Plane {
    fn new(events: Vec<Value>, keys: Value) -> Self {
        let events = Arc::new(Mutex::new(events));
        let shown = Arc::clone(&events);
        let server = ScriptedApi::start(move |request| answer(&shown.lock().unwrap(), &keys, request));
        Self { server, events }
    }

    fn set(&self, events: Vec<Value>) {
        *self.events.lock().unwrap() = events;
    }
}

fn answer(events: &[Value], keys: &Value, request: &ReceivedRequest) -> ScriptedReply {
    if request.path.ends_with("/audit/verify") {
        let report = json!({
            "whole": true, "events": events.len(), "head": head(events), "broken_at": null, "problem": null,
            "unsealed": 0, "keys": keys,
        });
        return ScriptedReply::json(200, &report);
    }
    let after = request
        .query
        .split('&')
        .find_map(|pair| pair.strip_prefix("after="));
    let after: i64 = after.map_or(0, |after| after.parse().unwrap());
    let page = events
        .iter()
        .filter(|event| event["number"].as_i64().unwrap() > after);
    ScriptedReply::json(200, &json!({ "items": page.take(500).collect::<Vec<_>>() }))
}

/// The same events with another cause at this place, and every hash from there on made anew.
fn rewritten(events: &[Value], place: usize) -> Vec<Value> {
    let mut events = events.to_vec();
    events[place]["cause"] = json!("approved by mallory");
    let mut previous = GENESIS;
    for event in &mut events {
        let number = event["number"].as_i64().unwrap();
        let at = event["at"].as_str().unwrap().parse().unwrap();
        let content: NewEvent = serde_json::from_value(event.clone()).unwrap();
        previous = chain_hash(&previous, number, at, &content);
        event["hash"] = json!(hex::encode(previous));
    }
    events
}

fn noted(events: &[Value]) -> String {
    format!("{} {}\n", events.len(), head(events))
}

#[test]
fn a_log_that_was_written_anew_or_cut_off_is_found_by_the_heads_that_were_noted() {
    let whole = chain(700);
    let plane = Plane::new(whole.clone(), json!([]));
    let it = Slipway::at(&plane.server);
    let anchors = it.home.path().join("anchors");
    fs::write(
        &anchors,
        format!("# prod\n{}{}", noted(&whole[..120]), noted(&whole[..640])),
    )
    .unwrap();
    let file = anchors.to_str().unwrap();
    let verify = ["audit", "verify", "--anchor", file];
    let ran = it.run(&verify);
    assert!(
        ran.code == 0 && ran.stdout.contains("all 2 events that were noted down"),
        "{ran:?}"
    );
    // Of one piece with itself, in each case.
    for (log, code, said) in [
        (rewritten(&whole, 50), 20, "event 120 is another"),
        (rewritten(&whole, 119), 20, "event 120 is another"),
        (rewritten(&whole, 120), 20, "event 640 is another"),
        // After the last head, nothing is known.
        (rewritten(&whole, 640), 0, "passes through"),
        (
            whole[..639].to_vec(),
            20,
            "event 640 was noted down in line 3, and the log ends with event 639",
        ),
    ] {
        plane.set(log);
        assert_eq!(it.run(&["audit", "verify"]).code, 0, "{said}");
        let ran = it.run(&verify);
        assert!(ran.code == code && ran.stdout.contains(said), "{said}: {ran:?}");
    }
    let ran = it.run_with_stdin(
        &["audit", "verify", "--anchor", "-", "--json"],
        &noted(&whole[..640]),
    );
    assert_eq!((ran.code, ran.json()["whole"].clone()), (20, json!(false)));
    fs::write(&anchors, "640 abc\n").unwrap();
    let ran = it.run(&verify);
    assert!(
        ran.code == 2 && ran.stderr.contains("line 1 is no head"),
        "{ran:?}"
    );
}

#[test]
fn events_under_a_key_that_the_list_does_not_name_are_refused() {
    let (first, second) = (hex::encode([1; 32]), hex::encode([2; 32]));
    let keys = json!([{ "id": first, "first": 1, "last": 6 }, { "id": second, "first": 7, "last": 9 }]);
    let plane = Plane::new(chain(9), keys);
    let it = Slipway::at(&plane.server);
    let printed = it.run(&["audit", "keys"]);
    assert_eq!(printed.stdout, format!("{first} 1-6\n{second} 7-\n"));
    let list = it.home.path().join("keys");
    let verify = ["audit", "verify", "--keys", list.to_str().unwrap()];
    for (text, code, said) in [
        (printed.stdout.clone(), 0, "the log is whole"),
        (
            format!("{first} 1-6\n"),
            20,
            "events 7 to 9 are sealed with key 0202",
        ),
        (
            format!("{first} 1-5\n{second}\n"),
            20,
            "event 6 is sealed with key 0101",
        ),
    ] {
        fs::write(&list, text).unwrap();
        let ran = it.run(&verify);
        assert!(ran.code == code && ran.stdout.contains(said), "{said}: {ran:?}");
    }
    fs::write(&list, "12345678\n").unwrap();
    assert_eq!(it.run(&verify).code, 2);
    // A control plane that names no keys proves nothing.
    let silent = Plane::new(chain(3), json!([]));
    fs::write(&list, &first).unwrap();
    let ran = Slipway::at(&silent.server).run(&verify);
    assert!(
        ran.code == 20 && ran.stdout.contains("does not say which keys"),
        "{ran:?}"
    );
}

#[test]
fn heads_are_sent_signed_and_noted_once_they_were_taken() {
    let whole = chain(30);
    let plane = Plane::new(whole[..10].to_vec(), json!([]));
    let heard: Arc<Mutex<Vec<ReceivedRequest>>> = Arc::default();
    let kept = Arc::clone(&heard);
    let receiver = ScriptedApi::start(move |request| {
        let mut kept = kept.lock().unwrap();
        kept.push(request.clone());
        ScriptedReply::empty(if kept.len() == 2 { 500 } else { 204 })
    });
    let it = Slipway::at(&plane.server);
    let (notes, secret) = (it.home.path().join("heads"), it.home.path().join("secret"));
    fs::write(&secret, SECRET).unwrap();
    let url = format!("{}/anchors", receiver.url());
    let send = [
        "audit",
        "anchor",
        "--notes",
        notes.to_str().unwrap(),
        "--to",
        &url,
        "--secret-file",
        secret.to_str().unwrap(),
    ];
    let ran = it.run(&send);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, noted(&whole[..10]).as_str()));
    let first = fs::read_to_string(&notes).unwrap();
    assert!(first.starts_with(noted(&whole[..10]).trim_end()), "{first}");
    {
        let heard = heard.lock().unwrap();
        let request = &heard[0];
        assert_eq!(request.line(), "POST /anchors");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["number"], &body["data"]["head"]),
            (&json!("audit.head"), &json!(10), &json!(head(&whole[..10])))
        );
        assert!(
            request
                .header("webhook-id")
                .unwrap()
                .starts_with("audit-head-10-")
        );
        assert!(request.header("webhook-timestamp").is_some());
        assert!(request.header("webhook-signature").unwrap().starts_with("v1,"));
        // The token is the API's alone.
        assert_eq!(request.header("authorization"), None);
    }
    // What was not taken is not noted, and comes with the next run.
    plane.set(whole.clone());
    assert_ne!(it.run(&send).code, 0);
    assert_eq!(fs::read_to_string(&notes).unwrap(), first);
    assert_eq!(it.run(&send).code, 0);
    let both = fs::read_to_string(&notes).unwrap();
    assert!(
        both.lines().count() == 2 && both.contains(&head(&whole)),
        "{both}"
    );
    // Nothing new: it is sent all the same, so that the receiver sees that the sender lives.
    assert_eq!(it.run(&send).code, 0);
    assert_eq!(
        (
            heard.lock().unwrap().len(),
            fs::read_to_string(&notes).unwrap() == both
        ),
        (4, true)
    );
    let ran = it.run(&["audit", "verify", "--anchor", notes.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Rewritten or cut off since: nothing goes out, and the notes stay.
    for log in [rewritten(&whole, 5), rewritten(&whole, 29), whole[..29].to_vec()] {
        plane.set(log);
        let ran = it.run(&send);
        assert!(
            ran.code == 20 && ran.stdout.contains("no head was sent"),
            "{ran:?}"
        );
    }
    assert_eq!(
        (
            heard.lock().unwrap().len(),
            fs::read_to_string(&notes).unwrap() == both
        ),
        (4, true)
    );
}

#[test]
fn a_command_gets_the_head_and_must_succeed() {
    let whole = chain(3);
    let plane = Plane::new(whole.clone(), json!([]));
    let it = Slipway::at(&plane.server);
    let notes = it.home.path().join("heads");
    let anchor = |command: &str| {
        it.run(&[
            "audit",
            "anchor",
            "--notes",
            notes.to_str().unwrap(),
            "--command",
            command,
        ])
    };
    let ran = anchor("exit 7");
    assert!(
        ran.code == 1 && ran.stderr.contains("exit status: 7") && !notes.exists(),
        "{ran:?}"
    );
    let ran = anchor("test -z \"$SLIPWAY_TOKEN\" && cat > taken");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        fs::read_to_string(it.home.path().join("taken")).unwrap(),
        noted(&whole)
    );
    assert!(notes.exists());
}

#[test]
fn what_cannot_be_sent_safely_is_refused() {
    let plane = Plane::new(chain(3), json!([]));
    let it = Slipway::at(&plane.server);
    let secret = it.home.path().join("secret");
    let notes = it.home.path().join("heads");
    let (secret_file, notes_file) = (secret.to_str().unwrap(), notes.to_str().unwrap());
    let send = |url: &str| {
        it.run(&[
            "audit",
            "anchor",
            "--notes",
            notes_file,
            "--to",
            url,
            "--secret-file",
            secret_file,
        ])
    };
    fs::write(&secret, "hunter2hunter2").unwrap();
    let ran = send("http://127.0.0.1:1/x");
    assert!(
        ran.code == 2 && ran.stderr.contains("whsec_") && !ran.stderr.contains("hunter2"),
        "{ran:?}"
    );
    fs::write(&secret, SECRET).unwrap();
    let ran = send("http://anchors.example.com/x");
    assert!(ran.code == 2 && ran.stderr.contains("plain HTTP"), "{ran:?}");
    let ran = it.run(&[
        "audit",
        "anchor",
        "--notes",
        notes_file,
        "--to",
        "https://anchors.example.com",
    ]);
    assert!(ran.code == 2 && ran.stderr.contains("--secret-file"), "{ran:?}");
    fs::write(&notes, format!("3 {}\n3 {}\n", "0".repeat(64), "1".repeat(64))).unwrap();
    let ran = it.run(&["audit", "anchor", "--notes", notes_file]);
    assert!(
        ran.code == 2 && ran.stderr.contains("two heads of one event"),
        "{ran:?}"
    );
}
