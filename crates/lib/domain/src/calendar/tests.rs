//! Windows and freezes, also where clocks are changed.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(text: &str) -> Window {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn freeze(from: &str, until: &str) -> Freeze {
    Freeze {
        id: FreezeId::generate(),
        from: at(from),
        until: at(until),
        reason: "year's end".to_owned(),
        by: "grace".parse().unwrap(),
    }
}

/// The next openings after an instant, as `from..to` in UTC.
fn openings(window: &Window, after: &str, count: usize) -> Vec<String> {
    let mut from = at(after);
    let next = || {
        from = window.next_start(from)?;
        let end = window.end_of_opening(from)?;
        Some(format!(
            "{}..{}",
            from.format("%m-%d %H:%M"),
            end.format("%m-%d %H:%M")
        ))
    };
    std::iter::from_fn(next).take(count).collect()
}

#[test]
fn a_window_opens_by_the_clock_of_its_zone() {
    let office = window("mon-thu 09:00-16:00 Europe/Berlin");
    // A Friday in winter.
    assert_eq!(
        openings(&office, "2026-11-27T12:00:00Z", 2),
        ["11-30 08:00..11-30 15:00", "12-01 08:00..12-01 15:00"]
    );
    assert_eq!(
        openings(&office, "2026-07-05T00:00:00Z", 1),
        ["07-06 07:00..07-06 14:00"],
        "an hour earlier in summer"
    );
    assert!(office.is_open(at("2026-11-30T08:00:00Z")), "its first instant");
    assert!(!office.is_open(at("2026-11-30T15:00:00Z")), "not its end");
    assert_eq!(
        openings(
            &window("tue 8-14 20:00-23:00 America/New_York"),
            "2026-11-01T00:00:00Z",
            2
        ),
        ["11-11 01:00..11-11 04:00", "12-09 01:00..12-09 04:00"],
        "the second Tuesday, which is Wednesday in UTC"
    );
    assert_eq!(
        openings(
            &window("sat-mon nov-jan 22:00-02:00 UTC"),
            "2027-01-31T12:00:00Z",
            2
        ),
        ["01-31 22:00..02-01 02:00", "11-01 22:00..11-02 02:00"],
        "over midnight, and over the ends of week and year"
    );
    assert_eq!(
        openings(&window("00:00-24:00 UTC"), "2026-01-01T00:00:00Z", 1),
        ["01-02 00:00..01-03 00:00"]
    );
}

#[test]
fn clocks_that_are_changed_shorten_and_lengthen_windows() {
    let night = window("01:00-04:00 Europe/Berlin");
    assert_eq!(
        openings(&night, "2026-03-28T12:00:00Z", 1),
        ["03-29 00:00..03-29 02:00"],
        "the hour from 02:00 is skipped"
    );
    assert_eq!(
        openings(&night, "2026-10-24T12:00:00Z", 1),
        ["10-24 23:00..10-25 03:00"],
        "the hour from 02:00 comes twice"
    );
    let within = window("02:15-02:45 Europe/Berlin");
    assert_eq!(
        openings(&within, "2026-03-28T12:00:00Z", 1),
        ["03-30 00:15..03-30 00:45"],
        "all of it is skipped that day"
    );
    assert_eq!(
        openings(&within, "2026-10-24T12:00:00Z", 2),
        ["10-25 00:15..10-25 00:45", "10-26 01:15..10-26 01:45"],
        "the first of the two, and only that"
    );
    assert_eq!(
        openings(&window("02:30-05:00 Europe/Berlin"), "2026-03-28T12:00:00Z", 1),
        ["03-29 01:00..03-29 03:00"],
        "it begins where the clocks go on"
    );
    assert_eq!(
        openings(&window("23:00-02:30 Europe/Berlin"), "2026-03-28T12:00:00Z", 1),
        ["03-28 22:00..03-29 01:00"],
        "it ends where the clocks go on"
    );
    // Samoa had no 30 December in 2011.
    assert_eq!(
        openings(&window("10:00-11:00 Pacific/Apia"), "2011-12-29T12:00:00Z", 2),
        ["12-29 20:00..12-29 21:00", "12-30 20:00..12-30 21:00"]
    );
}

#[test]
fn a_window_has_one_text() {
    for (written, kept) in [
        (
            " MON-THU   9:00-16:00 europe/berlin ",
            "mon-thu 09:00-16:00 Europe/Berlin",
        ),
        (
            "jan,jul 1-7 sat 22:00-24:00 UTC",
            "sat 1-7 jan,jul 22:00-24:00 UTC",
        ),
    ] {
        let window = window(written);
        assert_eq!(window.as_str(), kept);
        let json = serde_json::to_string(&window).unwrap();
        assert_eq!(json, format!("\"{kept}\""));
        assert_eq!(serde_json::from_str::<Window>(&json).unwrap(), window);
    }
}

#[test]
fn bad_windows_are_refused_with_the_cure() {
    for (bad, said) in [
        ("", "write [WEEKDAYS] [DATES] [MONTHS] FROM-TO ZONE"),
        ("mon", "write [WEEKDAYS]"),
        ("09:00-16:00", "`09:00-16:00` has no time zone: add one"),
        (
            "mon-thu  09:00-16:00",
            "the window `mon-thu 09:00-16:00` has no time zone: add one, such as `mon-thu 09:00-16:00 Europe/Berlin`",
        ),
        ("mon mon 09:00-16:00 UTC", "write [WEEKDAYS]"),
        (
            "monday 09:00-16:00 UTC",
            "`monday` of a window is not a list of weekdays",
        ),
        ("mon,,tue 09:00-16:00 UTC", "not a list of weekdays"),
        ("0 09:00-16:00 UTC", "not a list"),
        ("32 09:00-16:00 UTC", "not a list"),
        ("25-5 09:00-16:00 UTC", "write two, as 25-31,1-5"),
        ("mon 9-16 UTC", "`9` of a window is not a time of day"),
        ("mon 24:00-16:00 UTC", "not a time of day"),
        ("mon 09:00-24:01 UTC", "not a time of day"),
        ("mon 09:60-16:00 UTC", "not a time of day"),
        ("mon +9:00-16:00 UTC", "not a time of day"),
        (
            "mon 09:00-09:00 UTC",
            "never opens: for a whole day write 00:00-24:00",
        ),
        (
            "mon 09:00-16:00 Europe/Berln",
            "`Europe/Berln` is not a time zone: use a name",
        ),
        ("mon 09:00-16:00 ../../etc/passwd", "is not a time zone"),
        (&"mon,".repeat(100), "is not a window"),
    ] {
        let error = bad.parse::<Window>().unwrap_err().to_string();
        assert!(error.contains(said), "{bad}: {error}");
    }
}

#[test]
fn a_window_may_never_open() {
    for never in [
        "30 feb 09:00-10:00 UTC",
        "31 apr,jun,sep,nov 00:00-24:00 Asia/Tokyo",
        // The last Sunday of March, in the hour that is skipped.
        "sun 25-31 mar 02:10-02:50 Europe/Berlin",
    ] {
        assert_eq!(
            window(never).next_start(at("2026-11-30T00:00:00Z")),
            None,
            "{never}"
        );
    }
}

#[test]
fn a_freeze_closes_windows_and_says_who_and_why() {
    let calendar = Calendar {
        windows: vec![window("mon-fri 09:00-16:00 UTC"), window("sun 10:00-11:00 UTC")],
        freezes: vec![
            freeze("2026-12-21T00:00:00Z", "2026-12-28T12:00:00Z"),
            freeze("2026-12-28T00:00:00Z", "2027-01-02T00:00:00Z"),
        ],
    };
    let hold = |now: &str| calendar.hold(at(now));
    assert_eq!(hold("2026-12-18T10:00:00Z"), None);
    assert_eq!(
        hold("2026-12-18T16:00:00Z").unwrap(),
        Hold {
            until: Some(at("2026-12-20T10:00:00Z")),
            why: "outside the maintenance windows".to_owned()
        }
    );
    // One freeze after the other, and then the next window.
    assert_eq!(
        hold("2026-12-22T10:00:00Z").unwrap().words(),
        "waits until 2027-01-03 10:00:00Z: frozen until 2026-12-28 12:00:00Z by grace: year's end"
    );
    let frozen = Calendar {
        freezes: calendar.freezes.clone(),
        windows: Vec::new(),
    };
    assert_eq!(
        frozen.next_open(at("2026-12-21T00:00:00Z")),
        Some(at("2027-01-02T00:00:00Z"))
    );
    assert_eq!(frozen.hold(at("2027-01-02T00:00:00Z")), None, "its end is open");
    assert_eq!(Calendar::default().hold(at("2026-12-22T10:00:00Z")), None);
}

#[test]
fn many_freezes_that_each_cover_an_opening_are_all_passed_over() {
    let day = |n: i64| at("2026-12-01T00:00:00Z") + chrono::TimeDelta::days(n);
    let freezes = (0..64).map(|n| Freeze {
        from: day(n),
        until: day(n) + chrono::TimeDelta::hours(23),
        ..freeze("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z")
    });
    let calendar = Calendar {
        windows: vec![window("09:00-10:00 UTC")],
        freezes: freezes.collect(),
    };
    let open = day(64) + chrono::TimeDelta::hours(9);
    assert_eq!(calendar.next_open(day(0)), Some(open));
}

#[test]
fn a_rollout_begins_at_its_own_time_and_then_by_the_calendar() {
    let timing = Timing {
        calendar: Calendar {
            windows: vec![window("mon-fri 09:00-16:00 UTC")],
            freezes: Vec::new(),
        },
        not_before: Some(at("2026-12-01T10:00:00Z")),
        overridden: false,
    };
    let early = at("2026-11-30T09:30:00Z");
    assert_eq!(
        timing.hold(early).unwrap().words(),
        "waits until 2026-12-01 10:00:00Z: it is to begin at 2026-12-01 10:00:00Z"
    );
    assert_eq!(timing.hold(at("2026-12-01T10:00:00Z")), None);
    let late = Timing {
        not_before: Some(at("2026-12-01T20:00:00Z")),
        ..timing.clone()
    };
    let hold = late.hold(early).unwrap();
    assert_eq!(hold.until, Some(at("2026-12-02T09:00:00Z")));
    assert!(
        hold.why
            .ends_with("the environment is outside the maintenance windows then"),
        "{}",
        hold.why
    );
    let overridden = Timing {
        overridden: true,
        ..late
    };
    assert_eq!(
        overridden.hold(early).unwrap().until,
        Some(at("2026-12-01T20:00:00Z"))
    );
    assert_eq!(
        overridden.hold(at("2026-12-01T20:00:00Z")),
        None,
        "no window counts then"
    );
}

#[test]
fn people_give_times_with_an_offset_or_a_zone() {
    for (text, means) in [
        ("2026-12-01T22:00:00+01:00", "2026-12-01T21:00:00Z"),
        ("2026-12-01T21:00:00Z", "2026-12-01T21:00:00Z"),
        ("2026-12-01 22:00 Europe/Berlin", "2026-12-01T21:00:00Z"),
        ("2026-12-01T22:00 UTC", "2026-12-01T22:00:00Z"),
    ] {
        assert_eq!(text.parse::<GivenTime>().unwrap().0, at(means), "{text}");
    }
    for (bad, said) in [
        ("tomorrow", "is not a time: write it with an offset"),
        ("2026-12-01 22:00", "is not a time"),
        ("2026-12-01 UTC", "is not a time"),
        ("2026-02-30 22:00 UTC", "is not a time"),
        ("2026-12-01 22:00 Mars/Base", "is not a time zone"),
        (
            "2026-03-29 02:30 Europe/Berlin",
            "the clocks in Europe/Berlin skip 2026-03-29 02:30",
        ),
        (
            "2026-10-25 02:30 Europe/Berlin",
            "give it with an offset, as 2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z",
        ),
    ] {
        let error = bad.parse::<GivenTime>().unwrap_err().to_string();
        assert!(error.contains(said), "{bad}: {error}");
    }
}
