//! The stages, cheapest first; the test runner last, so that the output ends with its totals.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::postgres::DevPostgres;
use crate::run::Run;
use crate::say::say;
use crate::spec::Spec;
use crate::sqlx;
use crate::test::servers::Servers;
use crate::test::{
    arrows, last_release, layout, manifests, monitoring, nix, pages, sentences, shown, sources,
};

/// No stage may run for ever; a first build on two cores is the longest.
const BOUND: Duration = Duration::from_hours(1);
const QUICK: Duration = Duration::from_mins(2);

/// One part of `test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// cargo fmt
    Fmt,
    /// Who depends on whom, manifests, lengths of files and sentences, links of pages, the index of decisions
    Arrows,
    /// The flake: files parse, nix/lib keeps its tests, scripts pass shellcheck, outputs evaluate where inputs can be fetched
    Nix,
    /// The alerts: promtool reads them, and each fires on its fault and not on a healthy fleet
    Monitoring,
    /// cargo clippy, warnings denied
    Clippy,
    /// The committed .sqlx fits the queries and migrations
    Sqlx,
    /// The workspace of templates/default: format, lints and tests
    Template,
    /// The documentation: no link leads nowhere, examples compile and run
    Doc,
    /// The programs of the last release run on the new schema, with rows that the new programs wrote
    LastRelease,
    /// All tests
    Nextest,
}

impl Stage {
    /// All of them, in the order they run in.
    pub const ALL: [Self; 10] = [
        Self::Fmt,
        Self::Arrows,
        Self::Nix,
        Self::Monitoring,
        Self::Clippy,
        Self::Sqlx,
        Self::Template,
        Self::Doc,
        Self::LastRelease,
        Self::Nextest,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Arrows => "arrows",
            Self::Nix => "nix",
            Self::Monitoring => "monitoring",
            Self::Clippy => "clippy",
            Self::Sqlx => "sqlx",
            Self::Template => "template",
            Self::Doc => "doc",
            Self::LastRelease => "last-release",
            Self::Nextest => "nextest",
        }
    }
}

/// What to test.
#[derive(Debug)]
pub struct StagePlan {
    /// The checkout.
    pub checkout: PathBuf,
    /// Where cargo builds it.
    pub target: PathBuf,
    /// Only these stages; all if empty.
    pub only: Vec<Stage>,
    /// Handed on to the test runner.
    pub nextest: Vec<String>,
}

/// Runs the stages in `run`.
pub async fn run(run: &Run, plan: &StagePlan) -> Result<()> {
    let wanted = |stage: &Stage| plan.only.is_empty() || plan.only.contains(stage);
    let mut servers = Servers::default();
    for stage in Stage::ALL.into_iter().filter(wanted) {
        say(&format!("==> {}", stage.name()));
        let start = Instant::now();
        let done = perform(run, plan, stage, &mut servers).await;
        done.with_context(|| {
            format!(
                "`./dev test` stopped at {}; again: ./dev test --only {0}",
                stage.name()
            )
        })?;
        if stage != Stage::Nextest {
            say(&format!(
                "    {} is fine ({:.1} s)",
                stage.name(),
                start.elapsed().as_secs_f64()
            ));
        }
    }
    servers.stop().await
}

async fn perform(run: &Run, plan: &StagePlan, stage: Stage, servers: &mut Servers) -> Result<()> {
    let cargo = |args: &[&str]| {
        let spec = Spec::new(format!("cargo-{}", stage.name()), "cargo").args(args);
        spec.foreground().directory(&plan.checkout)
    };
    match stage {
        Stage::Fmt => {
            run.supervisor
                .run(cargo(&["fmt", "--all", "--check"]), QUICK)
                .await
        }
        Stage::Arrows => check_arrows(run, &plan.checkout).await,
        Stage::Nix => nix::check(run, &plan.checkout).await,
        Stage::Monitoring => monitoring::check(run, &plan.checkout).await,
        Stage::Clippy => {
            let spec = cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
            run.supervisor.run(spec.env("SQLX_OFFLINE", "true"), BOUND).await
        }
        Stage::Sqlx => {
            let (postgres, _) = servers.start(run).await?;
            sqlx::run(run, postgres, &plan.checkout, sqlx::Action::Check).await
        }
        Stage::Template => {
            let (postgres, _) = servers.start(run).await?;
            check_template(run, postgres, plan).await
        }
        Stage::Doc => {
            let pages = cargo(&["doc", "--workspace", "--no-deps", "--keep-going", "--quiet"])
                .env("SQLX_OFFLINE", "true")
                .env("RUSTDOCFLAGS", "--deny warnings");
            run.supervisor.run(pages, BOUND).await?;
            let examples = cargo(&["test", "--doc", "--workspace", "--quiet"]);
            run.supervisor
                .run(examples.env("SQLX_OFFLINE", "true"), BOUND)
                .await
        }
        Stage::LastRelease => {
            let (postgres, _) = servers.start(run).await?;
            let build = cargo(&["programs", "--bins"]).env("SQLX_OFFLINE", "true");
            run.supervisor.run(build, BOUND).await?;
            last_release::check(run, postgres, &plan.checkout, &plan.target).await
        }
        Stage::Nextest => {
            let (postgres, redis) = servers.start(run).await?;
            sqlx::migrate_template(postgres, &plan.checkout).await?;
            // The whole-system tests start each other's programs, which cargo builds only for their own tests.
            let build = cargo(&["programs", "--bins"]).env("SQLX_OFFLINE", "true");
            run.supervisor.run(build, BOUND).await?;
            let mut args = vec!["nextest", "run", "--workspace", "--no-fail-fast"];
            args.extend(plan.nextest.iter().map(String::as_str));
            let tests = cargo(&args)
                .env("NEXTEST_TEST_THREADS", threads())
                .env("SQLX_OFFLINE", "true")
                .env("DATABASE_URL", postgres.admin_url())
                .env("REDIS_URL", redis.url());
            run.supervisor.run(tests, BOUND).await
        }
    }
}

/// Most tests wait most of the time: for processes to start, for the database, for time limits. `--test-threads` wins.
fn threads() -> String {
    const FOR_EACH_CORE: usize = 3;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    #[expect(clippy::disallowed_methods, reason = "what nextest itself would read")]
    let given = std::env::var("NEXTEST_TEST_THREADS");
    given.unwrap_or_else(|_| (cores * FOR_EACH_CORE).to_string())
}

async fn check_arrows(run: &Run, checkout: &Path) -> Result<()> {
    let spec = Spec::new("cargo-metadata", "cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .inherit_all()
        .directory(checkout);
    let metadata = arrows::parse(&run.supervisor.output(spec, QUICK).await?)?;
    let mut found = arrows::violations(&metadata);
    for package in &metadata.packages {
        let text = std::fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("cannot read {}", package.manifest_path))?;
        let name = Path::new(&package.manifest_path);
        let name = name.strip_prefix(checkout).unwrap_or(name).display().to_string();
        found.extend(manifests::violations(&name, &text));
    }
    found.extend(sources::too_long(checkout)?);
    found.extend(sources::unmerged(checkout)?);
    found.extend(pages::violations(checkout)?);
    found.extend(shown::violations(checkout)?);
    found.extend(layout::violations(checkout, &metadata)?);
    found.extend(sentences::violations(checkout)?);
    if found.is_empty() {
        return Ok(());
    }
    let list = found.iter().fold(String::new(), |mut list, violation| {
        let _ = write!(list, "\n  {violation}");
        list
    });
    bail!("{} rules of the workspace are broken:{list}", found.len())
}

/// The template must build and pass as our own crates do. Two thirds of its crates of others have our features; without
/// debug information, as ours are built, cargo takes those that are there.
async fn check_template(run: &Run, postgres: &DevPostgres, plan: &StagePlan) -> Result<()> {
    let template = plan.checkout.join("templates/default");
    for args in [
        &["fmt", "--all", "--check"][..],
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &["test", "--locked", "--workspace", "--quiet"],
    ] {
        let spec = Spec::new(format!("template-{}", args[0]), "cargo")
            .args(args)
            .foreground()
            .directory(&template)
            .env("CARGO_TARGET_DIR", &plan.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("DATABASE_URL", postgres.admin_url());
        run.supervisor.run(spec, BOUND).await?;
    }
    Ok(())
}
