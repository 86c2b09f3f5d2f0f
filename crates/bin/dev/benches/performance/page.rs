//! docs/performance.md, made from the figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use procfs::{CpuInfo, Current as _, Meminfo};

use crate::figures::{Figure, Figures};
use crate::plot::{self, Line};
use crate::{decide, load};

const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "pictures/performance-decide.svg";
/// The page's text, with places for the numbers.
const TEXT: &str = include_str!("page.md");

/// A goal: the name of its ratio or figure, what is measured, and by how much it is to be met.
struct Goal {
    text: &'static str,
    /// The two figures of a ratio, the better one first; the second may be left out.
    of: (&'static str, &'static str),
    over: Option<(&'static str, &'static str)>,
    /// The number that the goal names: at least for a ratio, at most for a figure.
    number: f64,
}

const GOALS: [Goal; 9] = [
    Goal {
        text: "requests a second, times FastAPI's",
        of: ("requests", "Slipway: health"),
        over: Some(("requests", "FastAPI: health")),
        number: 12.0,
    },
    Goal {
        text: "p99 of FastAPI, times Slipway's",
        of: ("requests", "FastAPI: health: p99"),
        over: Some(("requests", "Slipway: health: p99")),
        number: 25.0,
    },
    Goal {
        text: "memory of FastAPI, times Slipway's",
        of: ("requests", "FastAPI: memory after load"),
        over: Some(("requests", "Slipway: memory after load")),
        number: 20.0,
    },
    Goal {
        text: "p99 of `whoami` with a token, in ms",
        of: ("requests", "Slipway: whoami: p99"),
        over: None,
        number: 10.0,
    },
    Goal {
        text: "memory for each parked agent, in KiB",
        of: ("sync", "parked agents: memory of the process for each"),
        over: None,
        number: 20.0,
    },
    Goal {
        text: "p99 of health while agents are parked, in ms",
        of: ("sync", "parked agents: health, p99"),
        over: None,
        number: 5.0,
    },
    Goal {
        text: "a rollout to 1,000 hosts, in s",
        of: ("rollouts", "1000 hosts in batches of 50: time"),
        over: None,
        number: 60.0,
    },
    Goal {
        text: "memory of an agent at rest, in MiB",
        of: ("agent", "memory while nothing is to be done"),
        over: None,
        number: 12.0,
    },
    Goal {
        text: "processor of an agent at rest, in % of a core",
        of: ("agent", "processor while nothing is to be done"),
        over: None,
        number: 0.1,
    },
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
        .replace("{goals}\n", &goals(figures))
        .replace("{curves}\n", &curves(&lines));
    for (part, all) in &figures.parts {
        text = text.replace(&format!("{{{part}}}\n"), &table(all));
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
        let find = |(part, name): (&str, &str)| {
            let part = figures.parts.get(part)?;
            let found = part
                .iter()
                .find(|(known, _)| known.as_str() == name || known.ends_with(name));
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
