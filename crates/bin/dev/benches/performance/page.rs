//! docs/performance.md, made from the figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use procfs::{CpuInfo, Current as _, Meminfo};

use slipway_dev::stack::control_plane::POOL_SIZE;

use crate::figures::{Figure, Figures};
use crate::plot::{self, Line};
use crate::{decide, load};

const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "pictures/performance-decide.svg";
/// The page's text, with places for the numbers.
const TEXT: &str = include_str!("page.md");

/// Parts with a table of their own.
const PARTS: [&str; 5] = ["agent", "backup", "requests", "rollouts", "sync"];

/// A goal, what is measured for it, and by how much it is to be met.
struct Goal {
    text: &'static str,
    /// The part and the end of the name of its figure.
    of: [&'static str; 2],
    /// The divisor of a ratio. A ratio should be large, a single figure small.
    over: Option<[&'static str; 2]>,
    number: f64,
}

const fn times(text: &'static str, of: &'static str, over: &'static str, number: f64) -> Goal {
    Goal {
        text,
        of: ["requests", of],
        over: Some(["requests", over]),
        number,
    }
}

const fn at_most(text: &'static str, of: [&'static str; 2], number: f64) -> Goal {
    Goal {
        text,
        of,
        over: None,
        number,
    }
}

#[rustfmt::skip]
const GOALS: [Goal; 12] = [
    times("requests a second, times FastAPI's", "Slipway: health", "FastAPI: health", 12.0),
    times("p99 of FastAPI, times Slipway's", "FastAPI: health: p99", "Slipway: health: p99", 25.0),
    times("memory of FastAPI, times Slipway's", "FastAPI: memory after load", "Slipway: memory after load", 20.0),
    times("`whoami` a second, times what pgbench does with its statement", "Slipway: whoami", "pgbench: statements of whoami", 1.0 / 1.3),
    times("20 hosts a second, times what pgbench does with their statements", "Slipway: 20 hosts", "pgbench: statements of 20 hosts", 1.0 / 1.3),
    at_most("p99 of `whoami` with a token, in ms", ["requests", "Slipway: whoami: p99"], 10.0),
    at_most("memory for each parked agent, in KiB", ["sync", "memory of the process for each"], 20.0),
    at_most("p99 of health while agents are parked, in ms", ["sync", "health, p99"], 5.0),
    at_most("a rollout to 1,000 hosts, in s", ["rollouts", "1000 hosts in batches of 50: time"], 60.0),
    at_most("a rollout to 10,000 hosts, in s", ["rollouts", "10000 hosts in batches of 50: time"], 480.0),
    at_most("memory of an agent at rest, in MiB", ["agent", "memory while nothing is to be done"], 12.0),
    at_most("processor of an agent at rest, in % of a core", ["agent", "processor while nothing is to be done"], 0.1),
];

/// What the figures were measured on.
pub(crate) fn machine() -> Result<BTreeMap<String, String>> {
    let cpus = CpuInfo::current()?;
    let memory = Meminfo::current()?.mem_total / (1024 * 1024 * 1024);
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let facts = [
        ("processor", cpus.model_name(0).unwrap_or("unknown").to_owned()),
        ("cores", cpus.num_cores().to_string()),
        ("memory", format!("{memory} GiB")),
        ("system", system.unwrap_or("unknown").trim_matches('"').to_owned()),
    ];
    Ok(facts.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Writes the page and its picture.
pub(crate) fn write(checkout: &Path, figures: &Figures) -> Result<()> {
    let lines: Vec<Line<'_>> = [decide::LOAD, decide::DECIDE]
        .into_iter()
        .filter_map(|name| {
            let points = figures.curves.get(name)?;
            Some(Line { name, points })
        })
        .collect();
    let picture = plot::draw(&lines, "hosts of the rollout", "ms");
    let docs = checkout.join("docs");
    std::fs::write(docs.join(PICTURE), picture).context("cannot write the picture")?;
    let mut text = TEXT
        .replace("{machine}", &of_machine(&figures.machine))
        .replace("{connections}", &load::CONNECTIONS.to_string())
        .replace("{pool}", &POOL_SIZE.to_string())
        .replace("{goals}\n", &goals(figures))
        .replace("{curves}\n", &curves(&lines));
    for part in PARTS {
        let all = figures.parts.get(part);
        let shown = all.map_or_else(|| "Not measured yet.\n".to_owned(), table);
        text = text.replace(&format!("{{{part}}}\n"), &shown);
    }
    std::fs::write(checkout.join(PAGE), text).with_context(|| format!("cannot write {PAGE}"))
}

fn of_machine(machine: &BTreeMap<String, String>) -> String {
    let fact = |name: &str| machine.get(name).map_or("unknown", String::as_str);
    format!(
        "{}, {} cores, {}, {}",
        fact("processor"),
        fact("cores"),
        fact("memory"),
        fact("system")
    )
}

fn goals(figures: &Figures) -> String {
    let mut text = "| what | goal | measured | met |\n|---|---|---|---|\n".to_owned();
    for goal in &GOALS {
        let find = |[part, name]: [&str; 2]| {
            let part = figures.parts.get(part)?;
            let found = part.iter().find(|(known, _)| known.ends_with(name));
            found.map(|(_, figure)| figure.value)
        };
        let value = find(goal.of);
        let (measured, is_met, bound) = if let Some(over) = goal.over {
            let ratio = value.zip(find(over)).map(|(of, over)| of / over);
            (ratio, ratio.is_some_and(|ratio| ratio >= goal.number), "at least")
        } else {
            (value, value.is_some_and(|value| value <= goal.number), "at most")
        };
        let measured = measured.map_or("not measured".to_owned(), number);
        let met = if is_met { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {} | {bound} {} | {measured} | {met} |",
            goal.text,
            number(goal.number)
        );
    }
    text
}

fn table(figures: &BTreeMap<String, Figure>) -> String {
    let mut text = "| what | measured |\n|---|---|\n".to_owned();
    for (name, figure) in figures {
        let _ = writeln!(text, "| {name} | {} {} |", number(figure.value), figure.unit);
    }
    text
}

fn curves(lines: &[Line<'_>]) -> String {
    let sizes = lines.first().map_or(&[][..], |line| line.points);
    let mut text = "| hosts |".to_owned();
    for line in lines {
        let _ = write!(text, " {}, ms |", line.name);
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(lines.len()));
    for (row, (size, _)) in sizes.iter().enumerate() {
        let _ = write!(text, "| {} |", number(f64::from(*size)));
        for line in lines {
            let value = line.points.get(row).map_or(f64::NAN, |(_, value)| *value);
            let _ = write!(text, " {} |", number(value));
        }
        text.push('\n');
    }
    text
}

/// Three digits that count, with a comma between thousands.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let places = if value.abs() < 1.0 {
            3
        } else if value.abs() < 10.0 {
            2
        } else {
            1
        };
        let text = format!("{value:.places$}");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
