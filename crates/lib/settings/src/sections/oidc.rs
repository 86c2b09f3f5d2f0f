//! `OIDC_*`: sign-in through a provider of `OpenID` Connect.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::seconds;
use crate::value_kind::ValueKind;
use crate::values::{OidcDomains, OidcRoles};
use crate::variable::{API, section};

section! {
    /// Who provides sign-in, and what its groups may do. Without an issuer nobody signs in this way.
    pub struct OidcSettings("Sign-in by OpenID Connect", Some("OIDC_"), API) {
        /// The provider's address, exactly as it calls itself in `/.well-known/openid-configuration`. It takes
        /// `PUBLIC_URL` too: the provider sends browsers back to `${PUBLIC_URL}/sign-in/oidc`. Unset: people sign in with
        /// tokens.
        issuer: Option<String> = OIDC_ISSUER: ValueKind::Url, { example: Some("https://login.example.org/realms/ops") };
        /// The name of this control plane at the provider.
        client_id: Option<String> = OIDC_CLIENT_ID: ValueKind::Text, { example: Some("slipway") };
        /// Its secret at the provider.
        client_secret: Option<SecretString> = OIDC_CLIENT_SECRET: ValueKind::Text, {
            secret: true,
            example: Some("slipway-development-oidc")
        };
        /// What the provider is asked for besides `openid`, separated by blanks. Some providers tell groups only when they
        /// are asked for a scope such as `groups`.
        scopes: String = OIDC_SCOPES: ValueKind::Words, { default: Some("profile email") };
        /// The claim that has a person's groups.
        groups_claim: String = OIDC_GROUPS_CLAIM: ValueKind::Text, { default: Some("groups") };
        /// What groups may do: `role=group` everywhere, `role@environment=group` in one environment. Entries are separated
        /// by `;`. Everybody with an entry may look at everything. Nobody without one can sign in.
        roles: Option<OidcRoles> = OIDC_ROLES: ValueKind::OidcRoles, {
            example: Some("admin=platform; deployer=developers; approver@prod=on-call")
        };
        /// Only people with a verified e-mail address in one of these domains can sign in. Unset: all of the provider's.
        domains: Option<OidcDomains> = OIDC_DOMAINS: ValueKind::OidcDomains, { example: Some("example.org") };
        /// The longest that a session lasts after such a sign-in. Roles follow the groups at each sign-in, and stay between.
        #[serde(deserialize_with = "seconds")]
        session: Duration = OIDC_SESSION_SECONDS: ValueKind::Number(300, 43_200, "seconds"), { default: Some("28800") };
        /// PEM certificates that are trusted for the provider besides the machine's own.
        ca_file: Option<PathBuf> = OIDC_CA_FILE: ValueKind::Path, { example: Some("/etc/ssl/login-ca.pem") };
    }
}
