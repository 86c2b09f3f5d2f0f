//! Requests as many clients send them, by wrk.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::run_dir::write_private;
use slipway_dev::spec::Spec;

/// Clients at once.
pub(crate) const CONNECTIONS: u16 = 64;
pub(crate) const SECONDS: u64 = 8;
const LIMIT: Duration = Duration::from_mins(1);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Asks an address as fast as it answers. A token goes by a file, as the command line is for all to read.
pub(crate) async fn ask(run: &Run, url: &str, token: Option<&str>) -> Result<Load> {
    let mut args = vec![
        "-t2".to_owned(),
        format!("-c{CONNECTIONS}"),
        format!("-d{SECONDS}s"),
        "--latency".to_owned(),
    ];
    if let Some(token) = token {
        let script = run.dir.path().join("wrk.lua");
        let header = format!("wrk.headers[\"authorization\"] = \"Bearer {token}\"\n");
        // The last one of this name goes: a private file is only made anew.
        let _ = std::fs::remove_file(&script);
        write_private(&script, &header, None)?;
        args.extend(["-s".to_owned(), script.display().to_string()]);
    }
    args.push(url.to_owned());
    let wrk = Spec::new("wrk", programs::find("wrk")?).args(args);
    let told = run.supervisor.output(wrk, LIMIT).await?;
    read(&told).with_context(|| format!("of {url} wrk says: {told}"))
}

/// Requests a second that `ab` counts: ten clients, each with a new connection for every request.
pub(crate) async fn ask_by_ab(run: &Run, url: &str) -> Result<f64> {
    let ab = Spec::new("ab", programs::find("ab")?).args(["-q", "-n", "1000", "-c", "10", url]);
    let told = run.supervisor.output(ab, LIMIT).await?;
    let after = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        value.with_context(|| format!("of {url} ab says: {told}"))
    };
    ensure!(
        after("Failed requests:")? == "0",
        "not every request succeeded: {told}"
    );
    after("Requests per second:")?.parse().context("ab names no rate")
}

fn read(told: &str) -> Result<Load> {
    let mut bad = String::new();
    for line in told.lines().map(str::trim) {
        if line.starts_with("Non-2xx") || line.starts_with("Socket errors") {
            let _ = writeln!(bad, "{line}");
        }
    }
    ensure!(bad.is_empty(), "not every request succeeded: {bad}");
    let after = |name: &str| {
        let mut lines = told.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(name));
        value
            .map(str::trim)
            .with_context(|| format!("there is no {name}"))
    };
    Ok(Load {
        per_second: after("Requests/sec:")?.parse()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Result<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..) {
        Some("us") => 0.001,
        Some("ms") => 1.0,
        Some("s") => 1000.0,
        Some("m") => 60_000.0,
        _ => anyhow::bail!("`{text}` is no duration"),
    };
    Ok(digits.parse::<f64>()? * factor)
}
