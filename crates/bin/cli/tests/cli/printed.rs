//! What hosts print, as it is followed and as it is read afterwards.

use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};

use crate::common::{AT, ROLLOUT, Ran, Slipway, TOKEN_ID, environment, host, news, rollout};

/// An API whose rollout goes on, happens and prints as the test says.
#[derive(Clone)]
struct Stage(Arc<Mutex<World>>);

struct World {
    state: &'static str,
    events: Vec<Value>,
    printed: Vec<Value>,
    /// What `web-1` prints when somebody has seen the rollout's end.
    last: Option<&'static str>,
}

impl World {
    fn print(&mut self, at: &str, host: &str, text: &str) {
        self.printed.push(json!({
            "number": self.printed.len() + 1, "at": at, "host": host, "attempt": TOKEN_ID, "job": "activate-1", "text": text,
        }));
    }
}

impl Stage {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            state: "rolling",
            events: Vec::new(),
            printed: Vec::new(),
            last: None,
        })))
    }

    fn prints(&self, host: &str, text: &str) {
        self.prints_at(AT, host, text);
    }

    fn prints_at(&self, at: &str, host: &str, text: &str) {
        self.0.lock().unwrap().print(at, host, text);
    }

    fn happens(&self, to: &'static str) {
        self.happens_at(AT, to);
    }

    fn happens_at(&self, at: &str, to: &'static str) {
        let mut world = self.0.lock().unwrap();
        world.state = to;
        let number = world.events.len() + 1;
        world.events.push(json!({
            "number": number, "at": at, "actor": {"kind": "rules"}, "kind": "rollout.state", "environment": null,
            "rollout": ROLLOUT, "step": null, "host": null, "from": "rolling", "to": to, "cause": "so it is", "hash": "",
        }));
    }

    fn reply(&self, request: &ReceivedRequest) -> ScriptedReply {
        let mut world = self.0.lock().unwrap();
        let list = match request.path.rsplit('/').next().unwrap_or_default() {
            "events" => &world.events,
            "output" => &world.printed,
            "environments" => {
                let mut environment = environment();
                environment["open_rollout"] = json!(ROLLOUT);
                return ScriptedReply::json(200, &json!({ "items": [environment] }));
            }
            "hosts" => return ScriptedReply::json(200, &json!({ "items": [host("web-1"), host("web-2")] })),
            _ => {
                if world.state == "succeeded"
                    && let Some(text) = world.last.take()
                {
                    world.print(AT, "web-1", text);
                }
                return ScriptedReply::json(200, &rollout(world.state, None, ["verifying", "waiting"]));
            }
        };
        if request.query.contains("newest_first=true") {
            let newest: Vec<&Value> = list.last().into_iter().collect();
            return ScriptedReply::json(200, &json!({ "items": newest }));
        }
        news(request, list)
    }

    fn serve(&self, port: u16) -> ScriptedApi {
        let stage = self.clone();
        ScriptedApi::start_on(port, move |request| stage.reply(request))
    }
}

/// Waits until the server was asked for output after this number.
fn until_asked(server: &ScriptedApi, path: &str, after: usize) {
    let until = Instant::now() + Duration::from_mins(1);
    let wanted = format!("after={after}&");
    while !server
        .requests()
        .iter()
        .any(|request| request.path.ends_with(path) && format!("{}&", request.query).contains(&wanted))
    {
        assert!(Instant::now() < until, "nobody asked for {path} after {after}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

#[test]
fn watching_shows_each_hosts_lines_once_through_a_restart_of_the_api() {
    let stage = Stage::new();
    stage.prints("web-1", "one\n\u{1b}[31mtwo\u{202e}\n");
    let server = stage.serve(0);
    let port = server.port();
    let slipway = Slipway::at(&server);
    let child = slipway.start(&["rollout", "watch", ROLLOUT, "--logs"]);
    until_asked(&server, "/output", 1);
    drop(server);
    stage.prints("web-2", "while nobody could see it\n");
    std::thread::sleep(Duration::from_secs(1));
    let server = stage.serve(port);
    until_asked(&server, "/output", 2);
    // The last lines come after the rollout's end.
    stage.0.lock().unwrap().last = Some("the end\n");
    stage.happens("succeeded");
    let ran = end(child);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(_, line)| line))
        .filter(|line| line.contains(" | "))
        .collect();
    assert_eq!(
        lines,
        [
            "web-1 activate-1 | one",
            "web-1 activate-1 | \u{fffd}[31mtwo\u{fffd}",
            "web-2 activate-1 | while nobody could see it",
            "web-1 activate-1 | the end",
        ],
        "{}",
        ran.stdout
    );
}

/// The lines with their times but those of the last word.
fn timed(ran: &Ran) -> Vec<&str> {
    let lines = ran.stdout.lines();
    lines.filter(|line| line.starts_with("2026-03-01T")).collect()
}

#[test]
fn what_was_before_somebody_watched_is_told_in_the_order_in_which_it_came() {
    let stage = Stage::new();
    stage.happens_at("2026-03-01T12:00:01Z", "staging");
    stage.prints_at("2026-03-01T12:00:02Z", "web-1", "one\ntwo\n");
    stage.happens_at("2026-03-01T12:00:03Z", "rolling");
    stage.prints_at("2026-03-01T12:00:04Z", "web-2", "three\n");
    stage.happens_at("2026-03-01T12:00:05Z", "succeeded");
    let server = stage.serve(0);
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["rollout", "watch", ROLLOUT, "--logs"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let printed = [
        "2026-03-01T12:00:02Z web-1 activate-1 | one",
        "2026-03-01T12:00:02Z web-1 activate-1 | two",
        "2026-03-01T12:00:04Z web-2 activate-1 | three",
    ];
    assert_eq!(
        timed(&ran),
        [
            "2026-03-01T12:00:01Z rollout rolling -> staging: so it is",
            printed[0],
            printed[1],
            "2026-03-01T12:00:03Z rollout rolling -> rolling: so it is",
            printed[2],
            "2026-03-01T12:00:05Z rollout rolling -> succeeded: so it is",
        ]
    );
    // Afterwards the same lines have the same times.
    assert_eq!(timed(&slipway.run(&["rollout", "logs", ROLLOUT])), printed);
}

#[test]
fn output_that_is_told_in_many_pages_is_merged_too() {
    let pages = 3;
    let server = ScriptedApi::start(move |request| {
        let path = &request.path;
        if path.ends_with("/events") {
            let event = json!({
                "number": 1, "at": "2026-03-01T12:00:02.5Z", "actor": {"kind": "rules"}, "kind": "rollout.state",
                "environment": null, "rollout": ROLLOUT, "step": null, "host": null, "from": "rolling", "to": "succeeded",
                "cause": "so it is", "hash": "",
            });
            return news(request, &[event]);
        }
        if !path.ends_with("/output") {
            return ScriptedReply::json(200, &rollout("succeeded", None, ["committed", "committed"]));
        }
        let mut pairs = request.query.split('&');
        let after = pairs.find_map(|pair| pair.strip_prefix("after=")?.parse::<usize>().ok());
        let number = after.unwrap_or(0) + 1;
        if number > pages {
            return news(request, &[]);
        }
        let piece = json!({ "number": number, "at": format!("2026-03-01T12:00:0{number}Z"), "host": "web-1",
            "attempt": TOKEN_ID, "job": "activate-1", "text": format!("{number}\n") });
        let next = (number < pages).then(|| number.to_string());
        ScriptedReply::json(200, &json!({ "items": [piece], "next": next }))
    });
    let ran = Slipway::at(&server).run(&["rollout", "watch", ROLLOUT, "--logs"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told: Vec<_> = timed(&ran).iter().map(|line| &line[17..19]).collect();
    assert_eq!(told, ["01", "02", "02", "03"], "{}", ran.stdout);
}

#[test]
fn logs_are_followed_to_the_end_of_the_rollout_and_no_further() {
    for flag in ["--follow", "-f"] {
        let stage = Stage::new();
        stage.prints_at("2026-03-01T11:59:58Z", "web-1", "before\n");
        stage.happens("rolling");
        let server = stage.serve(0);
        let slipway = Slipway::at(&server);
        let child = slipway.start(&[
            "rollout", "logs", ROLLOUT, flag, "--host", "web-1", "--search", "e",
        ]);
        until_asked(&server, "/output", 1);
        stage.prints("web-1", "then\n");
        until_asked(&server, "/output", 2);
        stage.0.lock().unwrap().last = Some("the end\n");
        stage.happens("succeeded");
        let ran = end(child);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (
                0,
                "2026-03-01T11:59:58Z web-1 activate-1 | before\n2026-03-01T12:00:00Z web-1 activate-1 | then\n\
                 2026-03-01T12:00:00Z web-1 activate-1 | the end\n"
            ),
            "{ran:?}"
        );
        let requests = server.requests();
        let mut asked = requests
            .iter()
            .filter(|request| request.path.ends_with("/output"));
        assert!(asked.all(|request| request.query.contains("host=web-1&search=e")));
        assert_eq!(slipway.run(&["--json", "rollout", "logs", ROLLOUT, flag]).code, 2);
    }
}

#[test]
fn following_logs_ends_with_a_signal_and_changes_nothing() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let child = Slipway::at(&server).start(&["rollout", "logs", ROLLOUT, "--follow"]);
    until_asked(&server, "/output", 0);
    kill_process(
        Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    assert_eq!(end(child).code, 130);
    assert!(server.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn an_api_of_an_earlier_release_is_watched_without_output() {
    let stage = Stage::new();
    let server = {
        let stage = stage.clone();
        ScriptedApi::start(move |request| {
            if request.path.ends_with("/output") {
                ScriptedReply::problem(404, "not-found", "there is no such route")
            } else {
                stage.reply(request)
            }
        })
    };
    let child = Slipway::at(&server).start(&["rollout", "watch", ROLLOUT, "--logs"]);
    until_asked(&server, "/output", 0);
    stage.happens("succeeded");
    let ran = end(child);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stdout.matches("of an earlier release").count(),
        1,
        "{}",
        ran.stdout
    );
}

#[test]
fn logs_are_read_page_by_page_and_searched_on_the_server() {
    let page = |number: i64, text: &str, next: Value| {
        let piece = json!({ "number": number, "at": AT, "host": "web-1", "attempt": TOKEN_ID, "job": "activate-1",
            "text": text, "skipped": if number == 2 { 2048 } else { 0 }, "cut": number == 2 });
        json!({ "items": [piece], "next": next })
    };
    let server = ScriptedApi::start(move |request| {
        let reply = if request.query.contains("after=1") {
            page(2, "two\n", Value::Null)
        } else {
            page(1, "one\n", json!("1"))
        };
        ScriptedReply::json(200, &reply)
    });
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["rollout", "logs", "34", "--host", "web-1", "--search", "a&b"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            0,
            format!(
                "{AT} web-1 activate-1 | one\n{AT} web-1 activate-1 | … 2.0 KiB left out …\n{AT} web-1 activate-1 | two\n\
                 {AT} web-1 activate-1 | … the host printed more than is kept; the rest is in its journal …\n"
            )
            .as_str()
        )
    );
    let asked = server.requests();
    assert_eq!(asked[0].path, "/api/v1/rollouts/34/output");
    assert!(
        asked[0].query.contains("host=web-1") && asked[0].query.contains("search=a%26b"),
        "{}",
        asked[0].query
    );
    let json = slipway.run(&["--json", "rollout", "logs", "34"]).json();
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
}

#[test]
fn logs_without_a_line_say_what_there_is_not() {
    let stage = Stage::new();
    let server = {
        let stage = stage.clone();
        ScriptedApi::start(move |request| {
            let nothing = request.query.contains("search=") || request.query.contains("host=web-2");
            if request.path.ends_with("/output") && nothing {
                return ScriptedReply::json(200, &json!({ "items": [] }));
            }
            stage.reply(request)
        })
    };
    let slipway = Slipway::at(&server);
    let said = |args: &[&str]| {
        let ran = slipway.run(&[&["rollout", "logs", ROLLOUT], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
        ran.stderr
    };
    assert_eq!(
        said(&[]),
        format!("no output of the rollout {ROLLOUT} is kept yet\n")
    );
    stage.happens("succeeded");
    assert_eq!(said(&[]), format!("no output of the rollout {ROLLOUT} is kept\n"));
    stage.prints("web-1", "one\n");
    assert_eq!(
        said(&["--host", "web-2", "--search", "x"]),
        format!("no output of web-2 in the rollout {ROLLOUT} is kept\n")
    );
    assert_eq!(
        said(&["--host", "web-1", "--search", "x"]),
        "no line of web-1 has `x`\n"
    );
    assert_eq!(said(&["--search", "x"]), "no line has `x`\n");
}

#[test]
fn the_fleet_is_followed_with_events_and_output_until_a_signal() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let port = server.port();
    let slipway = Slipway::at(&server);
    let child = slipway.start(&["status", "--watch", "--logs"]);
    until_asked(&server, "/output", 0);
    stage.prints("web-2", "starting\n");
    until_asked(&server, "/output", 1);
    drop(server);
    stage.happens("paused");
    stage.prints("web-2", "started\n");
    std::thread::sleep(Duration::from_secs(4));
    let server = stage.serve(port);
    until_asked(&server, "/events", 1);
    until_asked(&server, "/output", 2);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = end(child);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(
        ran.stdout.starts_with("prod: 2 hosts, 2 online;"),
        "{}",
        ran.stdout
    );
    for expected in [
        "rollout rolling -> paused: so it is",
        "web-2 activate-1 | starting",
        "web-2 activate-1 | started",
        "trying again",
        "the API answers again",
    ] {
        assert_eq!(
            ran.stdout.matches(expected).count(),
            1,
            "{expected}: {}",
            ran.stdout
        );
    }
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
}

#[test]
fn watching_the_fleet_is_no_document_and_needs_an_api() {
    let stage = Stage::new();
    let server = stage.serve(0);
    let slipway = Slipway::at(&server);
    let ran = slipway.run(&["--json", "status", "--watch"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(slipway.run(&["status", "--logs"]).code, 2);
    drop(server);
    assert_eq!(slipway.run(&["status", "--watch"]).code, 6);
}
