//! What groups of a provider may do, and whose people are let in.

use super::{is_label, is_name};
use crate::error::InvalidValue;

/// The roles that there are.
const ROLES: [&str; 4] = ["viewer", "deployer", "approver", "admin"];
/// The most entries.
const MOST: usize = 200;

/// What one group may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcRole {
    /// `viewer`, `deployer`, `approver` or `admin`.
    pub role: String,
    /// Where; everywhere, if it is not said.
    pub environment: Option<String>,
    /// Whose.
    pub group: String,
}

/// What groups may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcRoles(pub Vec<OidcRole>);

impl OidcRoles {
    /// `role=group` or `role@environment=group`, separated by `;`. A group may have every other character, as names of
    /// directories have: `CN=ops,OU=groups`.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        let mut roles = Vec::new();
        for (place, entry) in (1..).zip(text.split(';')) {
            let wrong = |problem: &str, cure: &str| {
                InvalidValue::new(format!("has an entry (number {place}) {problem}"), cure)
            };
            let form = "give role=group or role@environment=group, separated by `;`";
            let Some((what, group)) = entry.split_once('=') else {
                return Err(wrong("without a =", form));
            };
            let group = group.trim();
            if group.is_empty() {
                return Err(wrong("without a group", form));
            }
            let (role, environment) = match what.trim().split_once('@') {
                Some((role, environment)) => (role.trim(), Some(environment.trim())),
                None => (what.trim(), None),
            };
            if !ROLES.contains(&role) {
                let problem = format!("with the role `{role}`, which there is not");
                return Err(wrong(&problem, "give viewer, deployer, approver or admin"));
            }
            if let Some(environment) = environment.filter(|name| !is_label(name)) {
                let problem = format!("with the environment `{environment}`, which is no name");
                return Err(wrong(&problem, "give 1 to 63 lower-case letters, digits and `-`"));
            }
            if let Some(next) = group.split(',').skip(1).find(|part| is_entry(part)) {
                let problem =
                    format!("whose group goes on with `,{next}`, which reads as an entry of its own");
                return Err(wrong(&problem, "separate entries by `;`"));
            }
            roles.push(OidcRole {
                role: role.to_owned(),
                environment: environment.map(str::to_owned),
                group: group.to_owned(),
            });
        }
        if roles.len() > MOST {
            return Err(InvalidValue::new(
                format!("has {} entries", roles.len()),
                format!("give at most {MOST}"),
            ));
        }
        Ok(Self(roles))
    }
}

/// Whether it begins as an entry does. No part of a directory's name has such a key.
fn is_entry(text: &str) -> bool {
    let key = text.split_once('=').map(|(key, _)| key.trim());
    key.is_some_and(|key| ROLES.contains(&key.split('@').next().unwrap_or(key)))
}

/// Domains of e-mail addresses, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcDomains(Vec<String>);

impl OidcDomains {
    /// Whether an address is in one of them. A domain below is another one.
    #[must_use]
    pub fn contains(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        domain.is_some_and(|domain| self.0.iter().any(|one| one.eq_ignore_ascii_case(domain)))
    }

    /// They for people.
    #[must_use]
    pub fn words(&self) -> String {
        self.0.join(", ")
    }

    /// Domains separated by commas.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        let domains = text.split(',').map(|domain| {
            let domain = domain.trim().to_ascii_lowercase();
            if is_name(&domain) && domain.contains('.') {
                return Ok(domain);
            }
            Err(InvalidValue::new(
                format!("has `{domain}`, which is no domain"),
                "give what follows the @, such as example.org; separate several by commas",
            ))
        });
        domains.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(role: &str, environment: Option<&str>, group: &str) -> OidcRole {
        OidcRole {
            role: role.to_owned(),
            environment: environment.map(str::to_owned),
            group: group.to_owned(),
        }
    }

    #[test]
    fn groups_may_have_names_of_every_kind() {
        let text = "admin=/platform/admins; deployer = dev ops;approver@prod=CN=on-call,OU=groups,DC=example";
        assert_eq!(
            OidcRoles::parse(text).unwrap().0,
            [
                entry("admin", None, "/platform/admins"),
                entry("deployer", None, "dev ops"),
                entry("approver", Some("prod"), "CN=on-call,OU=groups,DC=example"),
            ]
        );
    }

    #[test]
    fn what_gives_no_role_is_told_with_its_place() {
        for (text, problem, cure) in [
            ("admin", "(number 1) without a =", "role=group"),
            ("admin=a;", "(number 2) without a =", "separated by `;`"),
            ("admin=a; deployer= ", "(number 2) without a group", "role=group"),
            ("root=a", "the role `root`", "viewer, deployer, approver or admin"),
            (
                "admin=a,deployer=b",
                "goes on with `,deployer=b`",
                "separate entries by `;`",
            ),
            (
                "admin=a, viewer@prod = b",
                "goes on with `, viewer@prod = b`",
                "by `;`",
            ),
            ("deployer@Prod=a", "the environment `Prod`", "lower-case"),
        ] {
            let wrong = OidcRoles::parse(text).unwrap_err();
            assert!(
                wrong.problem.contains(problem) && wrong.cure.contains(cure),
                "{text}: {wrong:?}"
            );
        }
        assert!(OidcRoles::parse(&vec!["admin=a"; MOST + 1].join(";")).is_err());
    }

    #[test]
    fn a_domain_holds_its_own_addresses_alone() {
        let domains = OidcDomains::parse("Example.org, example.net").unwrap();
        for (email, held) in [
            ("anna@example.org", true),
            ("anna@EXAMPLE.NET", true),
            ("anna@evil.example.org", false),
            ("anna@example.org.evil.test", false),
            ("anna@example.org@evil.test", false),
            ("example.org", false),
        ] {
            assert_eq!(domains.contains(email), held, "{email}");
        }
        for wrong in ["", "example", "@example.org", "a b.org", "example.org,"] {
            assert!(OidcDomains::parse(wrong).is_err(), "{wrong}");
        }
    }
}
