//! What the provider says of itself: its addresses and its keys. Asked for when somebody signs in, and kept for an hour.
//!
//! So a provider that is away does not keep the API from starting, and one that comes back is found by the next sign-in.

use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, IssuerUrl, ProviderMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::{Http, NoAnswer};
use crate::{OidcError, said};

/// How long it is believed.
const KEPT: Duration = Duration::from_hours(1);
/// How long a failure is believed, so that a crowd does not wait one after the other.
const FAILED: Duration = Duration::from_secs(3);
/// How long a sign-in waits for others that ask.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the library's own type lacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MoreMetadata {
    /// Whether the provider names itself when it sends the browser back (RFC 9207).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

pub(crate) type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The last answer.
#[derive(Debug)]
struct Last {
    at: Instant,
    found: Result<Metadata, OidcError>,
}

/// Asks for it, and keeps it.
#[derive(Debug)]
pub(crate) struct Known {
    issuer: IssuerUrl,
    last: Mutex<Option<Last>>,
}

impl Known {
    pub(crate) fn new(issuer: IssuerUrl) -> Self {
        Self {
            issuer,
            last: Mutex::new(None),
        }
    }

    pub(crate) async fn get(&self, http: &Http) -> Result<Metadata, OidcError> {
        let mut last = self.lock().await?;
        if let Some(Last { at, found }) = &*last {
            let kept = if found.is_ok() { KEPT } else { FAILED };
            if at.elapsed() < kept {
                return found.clone();
            }
        }
        let found = Metadata::discover_async(self.issuer.clone(), http).await;
        let found = found.map_err(|error| away(&error));
        *last = Some(Last {
            at: Instant::now(),
            found: found.clone(),
        });
        found
    }

    /// The same with the keys that the provider has now: it signed with one that was not known.
    pub(crate) async fn with_new_keys(&self, http: &Http) -> Result<Metadata, OidcError> {
        let metadata = self.get(http).await?;
        let mut last = self.lock().await?;
        let keys = CoreJsonWebKeySet::fetch_async(metadata.jwks_uri(), http).await;
        let metadata = metadata.set_jwks(keys.map_err(|error| away(&error))?);
        if let Some(Last { found: Ok(found), .. }) = &mut *last {
            found.clone_from(&metadata);
        }
        Ok(metadata)
    }

    async fn lock(&self) -> Result<tokio::sync::MutexGuard<'_, Option<Last>>, OidcError> {
        tokio::time::timeout(PATIENCE, self.last.lock())
            .await
            .map_err(|_| OidcError::Away("the provider did not answer others in time".to_owned()))
    }
}

/// The words of a failed request for what the provider says of itself.
fn away(error: &DiscoveryError<NoAnswer>) -> OidcError {
    let why = match error {
        DiscoveryError::Request(NoAnswer(why)) => said(why),
        DiscoveryError::Response(status, ..) => {
            format!("it answered {status} where its description or its keys should be")
        }
        DiscoveryError::Validation(why) => format!("its description does not fit: {}", said(why)),
        DiscoveryError::Parse(error) => {
            format!("its description cannot be read: {}", said(&error.to_string()))
        }
        other => said(&other.to_string()),
    };
    OidcError::Away(why)
}
