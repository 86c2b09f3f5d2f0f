//! Part `requests`: the same endpoint as `FastAPI` on Gunicorn has it, with the same Postgres and Redis behind it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use secrecy::ExposeSecret as _;
use slipway_dev::nginx::Nginx;
use slipway_dev::run::{Run, base_folder};
use slipway_dev::say::say;
use slipway_dev::spec::Spec;
use slipway_dev::stack::DevStack;
use slipway_dev::{ports, programs};
use slipway_wire::route;

use crate::figures::{Figure, Figures, median};
use crate::load::{self, Load};
use crate::pgbench::{self, Scripts};
use crate::process::Usage;
use crate::{Bench, fleet};

const PART: &str = "requests";
/// Each is measured so often, in turns, and the median counts.
const ROUNDS: usize = 3;
const FASTAPI: &str = "fastapi";
/// Hosts in the list of hosts.
const HOSTS: u32 = 20;
const START: Duration = Duration::from_mins(1);
const INSTALL: Duration = Duration::from_mins(10);

pub(crate) async fn measure(run: &Run, bench: &Bench, stack: &DevStack, figures: &mut Figures) -> Result<()> {
    let port = run.ports.reserve()?;
    start_fastapi(run, bench, stack, port).await?;
    // A second proxy with the same configuration, in a run of its own.
    let other = Run::create(&base_folder(&bench.target))?;
    let measured = side_by_side(run, bench, &other, stack, port, figures).await;
    other.close().await?;
    measured?;
    let replica = stack
        .control_plane
        .replicas
        .first()
        .context("there is no replica")?;
    let slipway_port = *stack.control_plane.ports.first().context("there is no replica")?;
    for (who, name, port, path) in [
        ("Slipway", replica.as_str(), slipway_port, route::HEALTH),
        ("FastAPI", FASTAPI, port, "/health"),
    ] {
        let pid = run
            .supervisor
            .pid(name)
            .with_context(|| format!("{name} does not run"))?;
        let memory = Usage::of(pid).memory_mib;
        figures.add(
            PART,
            &format!("{who}: memory after load"),
            Figure::cost(memory, "MiB"),
        );
        let took = first_answer(run, name, port, path).await?;
        figures.add(
            PART,
            &format!("{who}: start to first answer"),
            Figure::cost(took, "ms"),
        );
    }
    Ok(())
}

/// Installs what the requirements name, once, and starts four workers of it.
async fn start_fastapi(run: &Run, bench: &Bench, stack: &DevStack, port: u16) -> Result<()> {
    let sources = bench.checkout.join("bench/fastapi");
    let packages = bench.target.join("slipway-bench/fastapi");
    let python = programs::find("python3")?;
    let wanted = std::fs::read_to_string(sources.join("requirements.txt"))?;
    if std::fs::read_to_string(packages.join("installed.txt"))
        .ok()
        .as_ref()
        != Some(&wanted)
    {
        say("installing FastAPI, Gunicorn and what they need from Python's registry");
        let pip = Spec::new("pip", &python)
            .args(["-m", "pip", "install", "--quiet", "--no-compile", "--upgrade"])
            .args([
                "--disable-pip-version-check",
                "--root-user-action",
                "ignore",
                "--target",
            ])
            .args([packages.as_os_str(), "--requirement".as_ref()])
            .args([sources.join("requirements.txt")])
            .inherit_all();
        run.supervisor
            .run(pip, INSTALL)
            .await
            .context("cannot install FastAPI")?;
        std::fs::write(packages.join("installed.txt"), &wanted)?;
    }
    let gunicorn = Spec::new(FASTAPI, &python)
        .args([
            "-m",
            "gunicorn",
            "--worker-class",
            "uvicorn_worker.UvicornWorker",
            "--workers",
            "4",
        ])
        .args([
            "--log-level",
            "warning",
            "--bind",
            &format!("127.0.0.1:{port}"),
            "app:app",
        ])
        .env("PYTHONPATH", &packages)
        .env("DATABASE_URL", stack.postgres.url())
        .env("REDIS_URL", stack.redis.url())
        .directory(sources)
        .layer(1);
    run.supervisor.spawn(gunicorn)?;
    let answers = async || is_well(port, "/health").await;
    run.supervisor.wait_ready(FASTAPI, START, answers).await
}

async fn side_by_side(
    run: &Run,
    bench: &Bench,
    other: &Run,
    stack: &DevStack,
    fastapi: u16,
    figures: &mut Figures,
) -> Result<()> {
    let empty = other.dir.folder("cache", other.user.as_ref())?;
    let proxy = Nginx::start(other, &[fastapi], &empty).await?;
    let environment = "bench-requests";
    fleet::create(stack, environment, slipway_domain::Strategy::default(), HOSTS).await?;
    let port = stack.control_plane.ports.first().context("there is no replica")?;
    let own = format!("http://127.0.0.1:{port}");
    let token = Some(stack.admin_token.expose_secret());
    let asked: [(&str, String, Option<&str>); 6] = [
        (
            "FastAPI: health",
            format!("http://127.0.0.1:{fastapi}/health"),
            None,
        ),
        ("Slipway: health", format!("{own}{}", route::HEALTH), None),
        (
            "FastAPI: health, through nginx with TLS",
            format!("{}/health", proxy.api_url()),
            None,
        ),
        (
            "Slipway: health, through nginx with TLS",
            format!("{}{}", stack.nginx.api_url(), route::HEALTH),
            None,
        ),
        ("Slipway: whoami", format!("{own}{}", route::WHOAMI), token),
        (
            "Slipway: 20 hosts",
            format!("{own}{}?environment={environment}", route::HOSTS),
            token,
        ),
    ];
    let scripts = Scripts::new(&bench.checkout, stack.admin_token.expose_secret(), environment)?;
    let mut alone: [(&str, &str, Vec<f64>); 2] = [
        ("pgbench: statements of whoami", &scripts.whoami, Vec::new()),
        ("pgbench: statements of 20 hosts", &scripts.hosts, Vec::new()),
    ];
    let mut by_ab = [Vec::new(), Vec::new()];
    let mut loads: Vec<Vec<Load>> = vec![Vec::new(); asked.len()];
    for round in 1..=ROUNDS {
        for ((_, url, _), rates) in asked.iter().zip(&mut by_ab) {
            rates.push(load::ask_by_ab(run, url).await?);
        }
        for ((name, url, token), loads) in asked.iter().zip(&mut loads) {
            let load = load::ask(run, url, *token)
                .await
                .with_context(|| (*name).to_owned())?;
            say(&format!(
                "{name}, round {round}: {:.0} requests a second",
                load.per_second
            ));
            loads.push(load);
        }
        for (name, script, rates) in &mut alone {
            let rate = pgbench::per_second(run, stack, script).await?;
            say(&format!("{name}, round {round}: {rate:.0} a second"));
            rates.push(rate);
        }
    }
    for (name, _, rates) in alone {
        figures.add(PART, name, Figure::rate(median(rates), "a second"));
    }
    for ((name, ..), rates) in asked.iter().zip(by_ab) {
        let name = format!("{name}, by ab");
        figures.add(PART, &name, Figure::rate(median(rates), "requests/s"));
    }
    for ((name, _, _), loads) in asked.iter().zip(loads) {
        let of = |what: fn(&Load) -> f64| median(loads.iter().map(what).collect());
        let rate = Figure::rate(of(|load| load.per_second), "requests/s");
        figures.add(PART, name, rate);
        figures.add(
            PART,
            &format!("{name}: p50"),
            Figure::cost(of(|load| load.p50_ms), "ms"),
        );
        figures.add(
            PART,
            &format!("{name}: p99"),
            Figure::cost(of(|load| load.p99_ms), "ms"),
        );
    }
    Ok(())
}

/// Milliseconds from a start to the first answer, as the median of some.
async fn first_answer(run: &Run, name: &str, port: u16, path: &str) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        run.supervisor.kill(name).await?;
        // What the killed one listened on must be free again.
        while tokio::net::TcpStream::connect(ports::loopback(port))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Made before: to read the machine's authorities takes longer than the start.
        let http = client()?;
        let start = Instant::now();
        run.supervisor.start_again(name)?;
        while !answers(&http, port, path).await {
            anyhow::ensure!(start.elapsed() < START, "{name} does not answer within {START:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(took))
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

async fn is_well(port: u16, path: &str) -> bool {
    match client() {
        Ok(http) => answers(&http, port, path).await,
        Err(_) => false,
    }
}

async fn answers(http: &reqwest::Client, port: u16, path: &str) -> bool {
    let answer = http.get(format!("http://127.0.0.1:{port}{path}")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
