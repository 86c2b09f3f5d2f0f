//! From a commit to programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::plane::Programs;
use crate::run::Run;
use crate::run_dir::remove_tree;
use crate::spec::Spec;

/// Our crates once more, on two cores.
const BUILD: Duration = Duration::from_hours(1);
const QUICK: Duration = Duration::from_mins(2);
/// What plays along. Their crates of others are built as those of this checkout, see .cargo/config.toml.
const PROGRAMS: [&str; 2] = [super::plane::API, super::plane::WORKER];
/// Names the commit of the last release.
const FILE: &str = "crates/bin/dev/last-release";

/// The commit that the file names.
pub(super) fn commit(checkout: &Path) -> Result<String> {
    let text = fs::read_to_string(checkout.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let commit = text.trim().to_owned();
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("{FILE} holds `{commit}`, which is no commit; write the 40 hex digits of the last release's");
    }
    Ok(commit)
}

/// The programs of the last release. They are kept below `target`, so only the first call builds.
pub(super) async fn programs(run: &Run, checkout: &Path, target: &Path) -> Result<Programs> {
    let commit = commit(checkout)?;
    let base = target.join("last-release");
    let kept = base.join(&commit);
    if kept.is_dir() {
        return Ok(Programs::in_folder(&kept));
    }
    look_for(run, checkout, &commit).await?;
    remove_tree(&base)?;
    let (source, built) = (base.join("source"), base.join("target"));
    for folder in [&source, &built.join("debug")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    unpack(run, checkout, &commit, &source).await?;
    share_dependencies(run, target, &built).await?;
    let cargo = Spec::new("last-release", "cargo")
        .args(["build", "--locked", "--workspace", "--examples"])
        .args(PROGRAMS.iter().flat_map(|program| ["--bin", program]))
        .foreground()
        .directory(&source)
        .env("CARGO_TARGET_DIR", &built)
        .env("SQLX_OFFLINE", "true");
    run.supervisor
        .run(cargo, BUILD)
        .await
        .context("the last release does not build")?;
    keep(&built.join("debug"), &kept)?;
    for folder in [&source, &built] {
        remove_tree(folder)?;
    }
    Ok(Programs::in_folder(&kept))
}

/// A tarball has no history, and a shallow clone not enough of it: the remote may still give the one commit.
async fn look_for(run: &Run, checkout: &Path, commit: &str) -> Result<()> {
    let git = |args: &[&str]| {
        let spec = Spec::new("last-release-git", "git").args(args);
        run.supervisor.run(spec.inherit_all().directory(checkout), QUICK)
    };
    let object = format!("{commit}^{{commit}}");
    if git(&["cat-file", "-e", &object]).await.is_ok() {
        return Ok(());
    }
    git(&["fetch", "--quiet", "origin", commit]).await.with_context(|| {
        format!(
            "the last release, {commit}, is not in this checkout: in a shallow clone run `git fetch --unshallow` (in CI give \
             actions/checkout `fetch-depth: 0`), and instead of a tarball take a clone"
        )
    })
}

async fn unpack(run: &Run, checkout: &Path, commit: &str, source: &Path) -> Result<()> {
    let archive = source.with_extension("tar");
    let git = Spec::new("last-release-archive", "git")
        .args(["archive", "--format=tar", "--output"])
        .args([archive.as_os_str(), commit.as_ref()])
        .inherit_all()
        .directory(checkout);
    run.supervisor.run(git, QUICK).await?;
    let tar = Spec::new("last-release-tar", "tar")
        .args(["--extract", "--file"])
        .args([archive.as_os_str(), "--directory".as_ref(), source.as_os_str()]);
    run.supervisor.run(tar, QUICK).await
}

/// Crates of others are the same for cargo wherever the workspace lies; as links they take no time and no room.
async fn share_dependencies(run: &Run, target: &Path, built: &Path) -> Result<()> {
    let parts: Vec<PathBuf> = ["deps", "build", ".fingerprint"]
        .iter()
        .map(|part| target.join("debug").join(part))
        .filter(|part| part.is_dir())
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    let cp = Spec::new("last-release-share", "cp")
        .args(["--archive", "--link", "--target-directory"])
        .args([built.join("debug")])
        .args(parts);
    run.supervisor.run(cp, QUICK).await
}

/// Under the commit's name only once all are there.
fn keep(folder: &Path, kept: &Path) -> Result<()> {
    let draft = kept.with_extension("draft");
    fs::create_dir_all(&draft).with_context(|| format!("cannot create {}", draft.display()))?;
    for program in PROGRAMS {
        fs::copy(folder.join(program), draft.join(program))
            .with_context(|| format!("cannot keep {program} of the last release"))?;
    }
    fs::rename(&draft, kept).with_context(|| format!("cannot create {}", kept.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_a_commit() {
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        assert_eq!(commit(checkout).unwrap().len(), 40);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "main\n").unwrap();
        let error = commit(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`main`, which is no commit"), "{error}");
    }

    #[tokio::test]
    async fn a_clone_without_the_history_says_how_to_get_it() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        let clone = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        let file = clone.path().join(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "0123456789012345678901234567890123456789\n").unwrap();
        for git in [false, true] {
            if git {
                let status = std::process::Command::new("git")
                    .args(["init", "--quiet"])
                    .current_dir(clone.path())
                    .status();
                assert!(status.unwrap().success());
            }
            let error = programs(&run, clone.path(), target.path()).await.unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.contains("git fetch --unshallow") && error.contains("instead of a tarball"),
                "{error}"
            );
        }
        run.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_shallow_clone_gets_the_release_from_its_remote() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        let clone = base.path().join("clone");
        let script = "git init --quiet origin; cd origin; git config user.name a; git config user.email a@example.com
            git commit --quiet --allow-empty -m one; git rev-parse HEAD; git commit --quiet --allow-empty -m two
            git clone --quiet --depth 1 file://$PWD ../clone";
        let made = std::process::Command::new("sh")
            .args(["-ec", script])
            .current_dir(base.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let commit = String::from_utf8(made.stdout).unwrap();
        look_for(&run, &clone, commit.trim()).await.unwrap();
        run.close().await.unwrap();
    }
}
