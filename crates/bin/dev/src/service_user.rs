//! The unprivileged account that Postgres, Redis and nginx run under when the run was started by root.

use anyhow::{Context as _, Result};

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// Login name, for messages.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric primary group id.
    pub gid: u32,
}

impl ServiceUser {
    /// `postgres`, else `nobody`, when this process is root; nothing otherwise: Postgres refuses root only.
    pub fn when_root() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        Self::pick(&passwd)
            .map(Some)
            .context("neither a user `postgres` nor `nobody` exists here, and Postgres does not run as root")
    }

    fn pick(passwd: &str) -> Option<Self> {
        ["postgres", "nobody"].iter().find_map(|name| {
            passwd.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let [login, _, uid, gid, ..] = fields[..] else {
                    return None;
                };
                (login == *name).then_some(())?;
                Some(Self {
                    name: login.to_owned(),
                    uid: uid.parse().ok()?,
                    gid: gid.parse().ok()?,
                })
            })
        })
    }
}

/// The login name of the account that this process runs under.
pub fn own_name() -> Result<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let uid = rustix::process::geteuid().as_raw().to_string();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    found.with_context(|| format!("the user {uid} is not in /etc/passwd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n";

    #[test]
    fn postgres_is_preferred_to_nobody() {
        let both = format!("{NOBODY}postgres:x:101:104:p:/var/lib/postgresql:/bin/bash\n");
        assert_eq!(ServiceUser::pick(&both).unwrap().uid, 101);
        assert_eq!(ServiceUser::pick(NOBODY).unwrap().gid, 65533);
        assert_eq!(ServiceUser::pick("root:x:0:0:::\n"), None);
    }
}
