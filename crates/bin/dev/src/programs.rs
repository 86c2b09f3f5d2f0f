//! Finds programs of the distribution.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The oldest and newest major versions of Postgres that the store supports.
const POSTGRES: std::ops::RangeInclusive<u32> = 15..=17;

/// Folders that Debian keeps server programs in and that a user's PATH often lacks.
const SBIN: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Finds `name` in PATH or in the system's folders for servers.
pub fn find(name: &str) -> Result<PathBuf> {
    slipway_process::find_in(name, SBIN.map(Path::new))
        .with_context(|| format!("the program `{name}` is not installed; ./dev installs what is missing"))
}

/// The folder of Postgres' own programs: a supported version in PATH, or Debian's newest supported one.
pub fn postgres_bin() -> Result<PathBuf> {
    if let Ok(program) = find("postgres") {
        let program = program.canonicalize().unwrap_or(program);
        if let Some(folder) = program.parent()
            && slipway_process::find(folder.join("initdb")).is_some()
            && major_version(&program).is_some_and(|major| POSTGRES.contains(&major))
        {
            return Ok(folder.to_owned());
        }
    }
    for major in POSTGRES.rev() {
        let folder = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
        if slipway_process::find(folder.join("initdb")).is_some() {
            return Ok(folder);
        }
    }
    bail!(
        "no Postgres {} to {} in PATH or /usr/lib/postgresql; ./dev installs what is missing",
        POSTGRES.start(),
        POSTGRES.end()
    )
}

fn major_version(postgres: &Path) -> Option<u32> {
    let output = std::process::Command::new(postgres)
        .arg("--version")
        .output()
        .ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_prints() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(parse_major("nonsense"), None);
    }

    #[test]
    fn a_missing_program_is_named_with_its_cure() {
        let message = find("no-such-program-here").unwrap_err().to_string();
        assert!(
            message.contains("`no-such-program-here`") && message.contains("./dev"),
            "{message}"
        );
    }
}
