//! The checks of the flake that this machine can run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::nix::Nix;
use crate::programs;
use crate::run::Run;
use crate::say::say;
use crate::spec::Spec;
use crate::test::sources;

const QUICK: Duration = Duration::from_mins(2);
/// Fetching the smallest input takes a second or two; without a network it must not hold anybody up.
const PROBE: Duration = Duration::from_secs(15);
/// All outputs are evaluated and all inputs fetched, nixpkgs among them; nothing is built.
const FLAKE: Duration = Duration::from_mins(20);

/// Where Nix keeps what it fetches. Without it Nix would make one at the root of the machine.
const STORE: &str = "/nix/store";

/// Every .nix file parses, the pure functions keep their tests, and shellcheck finds nothing in scripts. The whole flake
/// evaluates where its inputs can be fetched.
pub async fn check(run: &Run, checkout: &Path) -> Result<()> {
    let files = sources::files(checkout, &["nix"])?;
    // A store of its own: this part needs none, but Nix would create one.
    let nix = Nix::create(run).await?;
    let instantiate = programs::find("nix-instantiate")?;
    let parse = Spec::new("nix-parse", instantiate.clone())
        .args(["--parse"])
        .args(files);
    run.supervisor.output(nix.with_build_env(parse), QUICK).await?;
    let tests = Spec::new("nix-lib-tests", instantiate)
        .args(["--eval", "--strict", "--json"])
        .args([checkout.join("nix/lib/tests")]);
    let output = run.supervisor.output(nix.with_build_env(tests), QUICK).await?;
    passed(&output)?;
    check_scripts(run, checkout).await?;
    match reachable(run, checkout).await {
        Ok(()) => check_flake(run, checkout).await,
        Err(reason) => {
            say(&format!("    `nix flake check` is left out: {reason:#}"));
            Ok(())
        }
    }
}

/// As the flake's check `shell-scripts`, which only a machine that reaches its inputs can build.
async fn check_scripts(run: &Run, checkout: &Path) -> Result<()> {
    let others = checkout.join("tests/workspaces");
    let named = sources::files(checkout, &["sh"])?;
    let scripts = named
        .into_iter()
        .filter(|file| !file.starts_with(&others))
        .chain(unnamed(checkout)?)
        .collect::<Vec<_>>();
    if scripts.is_empty() {
        return Ok(());
    }
    let check = Spec::new("shellcheck", programs::find("shellcheck")?)
        .args(["--severity=warning"])
        .args(scripts);
    run.supervisor.run(check, QUICK).await
}

/// The shell scripts of a checkout whose names do not say what they are.
fn unnamed(checkout: &Path) -> Result<Vec<PathBuf>> {
    let mut scripts: Vec<_> = ["dev", ".ci/run"].map(|file| checkout.join(file)).into();
    scripts.retain(|file| file.is_file());
    let folder = checkout.join(".github/scripts");
    if folder.is_dir() {
        for entry in folder.read_dir()? {
            scripts.push(entry?.path());
        }
    }
    Ok(scripts)
}

/// Fails with what nix/lib/tests found wrong.
fn passed(output: &str) -> Result<()> {
    let wrong: Vec<String> =
        serde_json::from_str(output).context("nix/lib/tests gave something else than a list of sentences")?;
    if !wrong.is_empty() {
        bail!("nix/lib/tests found:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

/// Whether the flake's inputs can be fetched: tries the smallest one.
async fn reachable(run: &Run, checkout: &Path) -> Result<()> {
    if !Path::new(STORE).is_dir() {
        bail!("this machine has no {STORE}");
    }
    if !checkout.join(".git").exists() {
        bail!("the checkout is no git repository");
    }
    let lock = std::fs::read_to_string(checkout.join("flake.lock")).context("cannot read flake.lock")?;
    let name = "nix-fetch";
    let fetch = machine_nix(name)?.args(["flake", "prefetch", &smallest(&lock)?]);
    let fetched = run.supervisor.run(fetch, PROBE).await;
    if fetched.is_err() {
        run.supervisor.kill(name).await.ok();
    }
    // Nix says why in its last line; the log has the rest.
    fetched.map_err(|error| {
        let text = format!("{error:#}");
        let last = text.lines().last().unwrap_or_default().trim().to_owned();
        anyhow::anyhow!("its inputs cannot be fetched here: {last}")
    })
}

/// The address of the input with the fewest bytes, at the revision in flake.lock.
fn smallest(lock: &str) -> Result<String> {
    let lock: serde_json::Value = serde_json::from_str(lock).context("cannot read flake.lock")?;
    let locked = &lock["nodes"]["systems"]["locked"];
    let part = |name: &str| {
        let value = locked[name].as_str();
        value.with_context(|| format!("flake.lock has no {name} of the input `systems`"))
    };
    Ok(format!(
        "github:{}/{}/{}",
        part("owner")?,
        part("repo")?,
        part("rev")?
    ))
}

/// Evaluates all outputs for this system. The builds are a job of their own in CI: they compile everything once more.
async fn check_flake(run: &Run, checkout: &Path) -> Result<()> {
    // With `--no-build` Nix writes nothing to its store, and a suite imports what it writes there while it evaluates.
    let suites = format!(".#checks.{}-linux.eval.drvPath", std::env::consts::ARCH);
    let write = machine_nix("nix-eval")?
        .args(["eval", "--raw", "--no-update-lock-file", &suites])
        .directory(checkout);
    run.supervisor.run(write, FLAKE).await?;
    let check = machine_nix("nix-flake-check")?
        .args(["flake", "check", "--no-build", "--no-update-lock-file"])
        .directory(checkout);
    run.supervisor.run(check, FLAKE).await
}

/// The machine's own Nix, with its store and what that has fetched before.
fn machine_nix(name: &str) -> Result<Spec> {
    Ok(Spec::new(name, programs::find("nix")?)
        .args(["--extra-experimental-features", "nix-command flakes"])
        .args(["--option", "connect-timeout", "5"])
        .args(["--option", "download-attempts", "1"])
        .inherit_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_list_passes() {
        passed("[]").unwrap();
        let error = passed(r#"["flake.lock does not fit flake.nix: x", "y"]"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nix/lib/tests found:\n  flake.lock does not fit flake.nix: x\n  y"
        );
        assert!(passed("null").is_err());
        assert!(passed("").is_err());
    }

    #[test]
    fn the_smallest_input_is_asked_for_at_its_locked_revision() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../flake.lock");
        let address = smallest(&std::fs::read_to_string(lock).unwrap()).unwrap();
        assert!(
            address.starts_with("github:nix-systems/default/") && address.len() > 60,
            "{address}"
        );
        let error = smallest("{}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "flake.lock has no owner of the input `systems`"
        );
    }
}
