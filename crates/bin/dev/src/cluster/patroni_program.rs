//! Which Patroni runs: one that keeps two leaders apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::programs;
use crate::service_user::ServiceUser;
use crate::spec::Spec;

/// The folder where `./dev` has put Patroni's Python package, if the distribution's is too old.
const FOLDER: &str = "SLIPWAY_DEV_PATRONI";
/// Debian's, for which Debian has packed what Patroni needs.
const PYTHON: &str = "/usr/bin/python3";
/// Before it, a leader that came back from a cut took the leader's key from its successor, and both wrote.
const OLDEST: [u32; 3] = [3, 0, 3];

/// A program, or a package for Python.
#[derive(Debug)]
pub(super) struct PatroniProgram {
    program: PathBuf,
    package: Option<PathBuf>,
}

impl PatroniProgram {
    /// Finds it, and copies a package to where the members' account can read it.
    pub(super) fn find(folder: &Path, user: Option<&ServiceUser>) -> Result<Self> {
        let found = match std::env::var_os(FOLDER) {
            Some(package) => {
                let copy = folder.join("python");
                copy_tree(Path::new(&package), &copy, user)
                    .with_context(|| format!("cannot copy {}", Path::new(&package).display()))?;
                Self {
                    program: PYTHON.into(),
                    package: Some(copy),
                }
            }
            None => Self {
                program: programs::find("patroni")?,
                package: None,
            },
        };
        let version = found.version()?;
        ensure!(
            parse(&version).is_some_and(|version| version >= OLDEST),
            "{} is `{version}`, and Patroni before 3.0.3 can have two leaders: ./dev installs a newer one",
            found.program.display()
        );
        Ok(found)
    }

    /// How it is started; the configuration comes after it.
    pub(super) fn spec(&self, name: String) -> Spec {
        let spec = Spec::new(name, &self.program);
        match &self.package {
            None => spec,
            Some(package) => spec.args(["-B", "-m", "patroni"]).env("PYTHONPATH", package),
        }
    }

    fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.program);
        if let Some(package) = &self.package {
            command.args(["-B", "-m", "patroni"]).env("PYTHONPATH", package);
        }
        let output = command.arg("--version").output();
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn parse(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version
        .rsplit(' ')
        .next()?
        .split('.')
        .map_while(|part| part.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)])
}

fn copy_tree(from: &Path, to: &Path, user: Option<&ServiceUser>) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = {
            let entry = entry?;
            let target = to.join(entry.file_name());
            (entry, target)
        };
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, user)?;
        } else {
            fs::copy(entry.path(), &target)?;
            own(&target, user)?;
        }
    }
    own(to, user)
}

fn own(path: &Path, user: Option<&ServiceUser>) -> Result<()> {
    if let Some(user) = user {
        std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_patroni_prints_them() {
        assert_eq!(parse("patroni 3.0.2"), Some([3, 0, 2]));
        assert!(parse("patroni 3.0.2").unwrap() < OLDEST);
        assert!(parse("patroni 4.1.0").unwrap() > OLDEST);
        assert_eq!(parse("patroni 4.1"), Some([4, 1, 0]));
        assert_eq!(parse(""), None);
    }
}
