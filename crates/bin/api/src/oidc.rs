//! Sign-in through a provider of `OpenID` Connect: what binds one sign-in to one browser, and what groups may do.
//!
//! Nothing of a sign-in that is under way is kept. What it needs follows from a random text that the browser keeps and from
//! the server's key, so each replica can finish what another began.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use slipway_domain::digest::{Digester, id_of};
use slipway_domain::{
    EnvironmentName, EnvironmentRoles, PrincipalId, PrincipalName, Role, Timestamp, TokenId,
};
use slipway_oidc::{Attempt, Config, IssuerUrl, Limits, OidcError, Person, Provider, said};
use slipway_settings::{ApiSettings, OidcDomains, OidcSettings};
use slipway_store::AuditKey;
use slipway_text::number::{count, listed};
use slipway_wire::oidc::{ATTEMPT_MINUTES, ATTEMPT_SECONDS};
use subtle::ConstantTimeEq;

use crate::auth;
use crate::error::{ApiError, BoxError, Result};

/// Where the provider sends browsers back to.
const CALLBACK: &str = "sign-in/oidc";
/// Groups that are told of in a refusal.
const TOLD_GROUPS: usize = 8;

/// The provider, and what its groups may do.
#[derive(Debug)]
pub(crate) struct Oidc {
    pub(crate) provider: Provider,
    roles: Vec<GroupRole>,
    domains: Option<OidcDomains>,
    /// The longest that a session lasts.
    pub(crate) session_seconds: u32,
}

/// What a group may do.
#[derive(Debug)]
struct GroupRole {
    group: String,
    role: Role,
    environment: Option<EnvironmentName>,
}

/// What somebody may do, by these groups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) role: Role,
    pub(crate) environment_roles: EnvironmentRoles,
    pub(crate) groups: Vec<String>,
}

impl Oidc {
    /// By the settings; `None` if they name no provider. Connects to nothing yet.
    pub(crate) fn new(settings: &ApiSettings) -> Result<Option<Self>, BoxError> {
        let oidc = &settings.oidc;
        let (Some(issuer), Some(client_id), Some(client_secret), Some(roles), Some(public)) = (
            &oidc.issuer,
            &oidc.client_id,
            &oidc.client_secret,
            &oidc.roles,
            &settings.app.public_url,
        ) else {
            return Ok(None);
        };
        let mut redirect = public.clone();
        let path = format!("{}/{CALLBACK}", public.path().trim_end_matches('/'));
        redirect.set_path(&path);
        let config = Config {
            issuer: IssuerUrl::new(issuer.clone())?,
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            redirect,
            scopes: oidc.scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            groups_claim: oidc.groups_claim.clone(),
            ca_pem: ca_file(oidc)?,
            limits: Limits::default(),
        };
        let roles = roles.0.iter().map(|one| {
            Ok(GroupRole {
                group: one.group.clone(),
                role: one.role.parse()?,
                environment: one.environment.as_deref().map(str::parse).transpose()?,
            })
        });
        Ok(Some(Self {
            provider: Provider::new(config).map_err(|error| {
                format!(
                    "OIDC_CA_FILE cannot be used: {}",
                    slipway_text::error_chain(&error)
                )
            })?,
            roles: roles.collect::<Result<_, BoxError>>()?,
            domains: oidc.domains.clone(),
            session_seconds: u32::try_from(oidc.session.as_secs())?,
        }))
    }

    /// Environments that roles are for, each once.
    pub(crate) fn environments(&self) -> BTreeSet<&EnvironmentName> {
        self.roles
            .iter()
            .filter_map(|one| one.environment.as_ref())
            .collect()
    }

    /// Whether a refusal says something about the person. It does not if only the address is missing, and the provider
    /// could not be asked for it.
    pub(crate) fn is_sure_of(&self, person: &Person) -> bool {
        self.domains.is_none() || person.email.is_some() || person.is_whole
    }

    /// What a person may do: the strongest role of their groups, everywhere and in each environment of `known`. Or why they
    /// may do nothing.
    pub(crate) fn grant(&self, person: &Person, known: &[EnvironmentName]) -> Result<Granted, String> {
        if let Some(domains) = &self.domains {
            let who = person.email.as_deref();
            if !who.is_some_and(|email| domains.contains(email)) {
                let who = who.map_or_else(
                    || "the provider tells no verified e-mail address of yours".to_owned(),
                    |email| format!("{email} is in another domain"),
                );
                return Err(format!(
                    "only people of {} can sign in, and {who}",
                    domains.words()
                ));
            }
        }
        let theirs = person.groups.as_ref().map_err(Clone::clone)?;
        let mut everywhere = None;
        let mut environments = BTreeMap::new();
        let mut groups = Vec::new();
        for one in self.roles.iter().filter(|one| theirs.contains(&one.group)) {
            groups.push(one.group.clone());
            match &one.environment {
                None => everywhere = everywhere.max(Some(one.role)),
                Some(name) => {
                    let role = environments.entry(name.clone()).or_insert(one.role);
                    *role = one.role.max(*role);
                }
            }
        }
        if groups.is_empty() {
            return Err(none_of(theirs));
        }
        groups.sort_unstable();
        groups.dedup();
        let role = everywhere.unwrap_or(Role::Viewer);
        environments.retain(|name, own| *own > role && known.contains(name));
        Ok(Granted {
            role,
            environment_roles: EnvironmentRoles(environments),
            groups,
        })
    }
}

fn ca_file(oidc: &OidcSettings) -> Result<Option<Vec<u8>>, BoxError> {
    let Some(path) = &oidc.ca_file else {
        return Ok(None);
    };
    let read = std::fs::read(path);
    let read = read.map_err(|error| format!("OIDC_CA_FILE {} cannot be read: {error}", path.display()))?;
    Ok(Some(read))
}

/// The refusal of somebody without a role.
fn none_of(groups: &[String]) -> String {
    let shown: Vec<String> = groups.iter().map(|group| format!("`{}`", said(group))).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let found = if groups.is_empty() {
        "the provider says that you are in no group".to_owned()
    } else {
        let (all, some) = (count(groups.len(), "group"), listed(&shown, TOLD_GROUPS));
        format!("you are in {all} at the provider ({some}), and none of them has a role here")
    };
    format!("{found}; an administrator gives a group a role in OIDC_ROLES")
}

/// A sign-in that somebody begins, good until then.
pub(crate) fn begin(now: Timestamp) -> Result<String> {
    let until = now.timestamp() + i64::from(ATTEMPT_SECONDS);
    Ok(format!("{}.{until}", hex::encode(auth::random_bytes()?)))
}

/// What the provider gets and sends back. Nobody without the server's key can tell it from what the browser keeps.
pub(crate) fn secrets(key: &AuditKey, attempt: &str) -> Attempt {
    let [state, nonce, verifier] =
        ["oidc state", "oidc nonce", "oidc verifier"].map(|purpose| derive(key, purpose, attempt));
    Attempt {
        state: hex::encode(state),
        nonce: hex::encode(nonce),
        verifier: hex::encode(verifier),
    }
}

/// The id of the session that a sign-in makes: the database takes it once.
pub(crate) fn token_id(key: &AuditKey, attempt: &str) -> TokenId {
    TokenId::from_uuid(id_of(&derive(key, "oidc token", attempt)))
}

fn derive(key: &AuditKey, purpose: &str, attempt: &str) -> [u8; 32] {
    let mut digester = Digester::new("sign-in");
    digester.field("attempt", attempt);
    key.derive(purpose, &digester.finish())
}

/// What the sign-in of a browser needs, if it began it and still may finish it.
pub(crate) fn resume(key: &AuditKey, attempt: &str, state: &str, now: Timestamp) -> Result<Attempt> {
    let secrets = secrets(key, attempt);
    // The state covers the whole text with its time: nobody but us made it.
    let is_ours: bool = secrets.state.as_bytes().ct_eq(state.as_bytes()).into();
    if !is_ours {
        return Err(ApiError::SignInFailed(
            "this sign-in was not begun in this browser; begin it here".to_owned(),
        ));
    }
    let until = attempt.rsplit_once('.').and_then(|(_, until)| until.parse().ok());
    let until = until.and_then(|until| DateTime::from_timestamp(until, 0));
    if until.is_none_or(|until| until < now) {
        return Err(ApiError::SignInFailed(format!(
            "this sign-in took longer than {ATTEMPT_MINUTES} minutes; begin it again"
        )));
    }
    Ok(secrets)
}

/// The id of a person: it follows from the provider and its own name for them, which names nobody else ever.
pub(crate) fn person_id(person: &Person) -> PrincipalId {
    let mut digester = Digester::new("oidc person");
    digester
        .field("issuer", &person.issuer)
        .field("subject", &person.subject);
    PrincipalId::from_uuid(digester.finish().id())
}

/// What a new person is called: the verified address, if nobody else is called so, or else with a part of the id. Other
/// names always have that part, since people can often choose them.
pub(crate) fn names(person: &Person, id: PrincipalId) -> Vec<PrincipalName> {
    let id = id.as_uuid().simple().to_string();
    let own = match (&person.email, &person.username) {
        (Some(email), _) => slug(email),
        (None, Some(name)) => slug(name),
        (None, None) => String::new(),
    };
    let own = if own.is_empty() { "person".to_owned() } else { own };
    let mut names = Vec::new();
    if person.email.is_some() {
        names.extend(own.parse());
    }
    names.extend(format!("{own}-{}", &id[..8]).parse());
    names.extend(format!("person-{id}").parse());
    names
}

/// Lower-case letters, digits and `-`, short enough for a part of an id to follow.
fn slug(text: &str) -> String {
    const MOST: usize = 54;
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if slug.len() == MOST {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// Who somebody is, for the audit log.
fn who(person: &Person) -> String {
    let who = person.email.as_ref().or(person.username.as_ref());
    let who = who.map_or_else(String::new, |name| format!("{} of ", said(name)));
    format!("{who}{}, subject {}", said(&person.issuer), said(&person.subject))
}

/// Who may not sign in and why, for the audit log.
pub(crate) fn about_refused(person: &Person, why: &str) -> String {
    format!("{}, who has no role any more: {why}", who(person))
}

/// Who somebody is and why they have their roles, for the audit log.
pub(crate) fn about(person: &Person, granted: &Granted) -> String {
    let groups: Vec<&str> = granted.groups.iter().map(String::as_str).collect();
    format!(
        "{}, by {} {}",
        who(person),
        if groups.len() == 1 {
            "the group"
        } else {
            "the groups"
        },
        listed(&groups, TOLD_GROUPS)
    )
}

impl From<OidcError> for ApiError {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Away(_) => Self::ProviderAway(Box::new(error)),
            OidcError::Refused(words) | OidcError::Untrusted(words) => Self::SignInFailed(words),
        }
    }
}

#[cfg(test)]
mod tests;
