//! The flow: authorization code with PKCE. The browser goes to the provider, and comes back with a code for one token.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    StandardTokenResponse, SubjectIdentifier, UserInfoClaims, UserInfoError,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::http::{BadCa, Http, Limits, NoAnswer, is_private};
use crate::known::{Known, Metadata};
use crate::person::{self, MoreClaims, Person};
use crate::{OidcError, said};

/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::seconds(60);

/// Who provides sign-in, and what this control plane is there.
#[derive(Debug, Clone)]
pub struct Config {
    /// The provider's name for itself, which every token must have. With or without a slash at its end it is another one.
    pub issuer: IssuerUrl,
    /// This control plane's name at the provider.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: SecretString,
    /// Where the provider sends the browser back to.
    pub redirect: Url,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that has the groups.
    pub groups_claim: String,
    /// Certificates that are trusted besides the machine's own.
    pub ca_pem: Option<Vec<u8>>,
    /// How long and how large the provider's answers may be.
    pub limits: Limits,
}

/// What binds one sign-in to one browser. Each part is secret and random.
#[derive(Clone)]
pub struct Attempt {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the token.
    pub nonce: String,
    /// Whoever has the code needs it too (PKCE).
    pub verifier: String,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(redacted)")
    }
}

type Fields = IdTokenFields<
    MoreClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Claims = IdTokenClaims<MoreClaims, CoreGenderClaim>;
type OidcClient = Client<
    MoreClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Signatures that are believed: those with a private key, which only the provider has.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// One provider.
#[derive(Debug)]
pub struct Provider {
    config: Config,
    http: Http,
    known: Known,
}

impl Provider {
    /// Connects to nothing yet.
    pub fn new(config: Config) -> Result<Self, BadCa> {
        let http = Http::new(config.issuer.url(), config.ca_pem.as_deref(), config.limits)?;
        let known = Known::new(config.issuer.clone());
        Ok(Self { config, http, known })
    }

    /// The provider's name for itself.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerUrl {
        &self.config.issuer
    }

    /// Where the provider sends the browser back to.
    #[must_use]
    pub const fn redirect(&self) -> &Url {
        &self.config.redirect
    }

    /// Where the browser goes to sign in.
    pub async fn address(&self, attempt: &Attempt) -> Result<Url, OidcError> {
        let client = self.client(self.known.get(&self.http).await?);
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let (address, ..) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new))
            .url();
        if !is_private(&address) {
            return Err(OidcError::Away(
                "its page for signing in has no https:// address".to_owned(),
            ));
        }
        Ok(address)
    }

    /// Who came back with this code. `issuer` is what the provider called itself then, if it did.
    pub async fn person(
        &self,
        code: &str,
        issuer: Option<&str>,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<Person, OidcError> {
        let metadata = self.known.get(&self.http).await?;
        check_issuer(&metadata, issuer)?;
        let client = self.client(metadata);
        let tokens = self.exchange(&client, code, attempt).await?;
        let claims = match self.claims(&client, &tokens, attempt, now) {
            Err(Unverified::Key(_)) => {
                let client = self.client(self.known.with_new_keys(&self.http).await?);
                self.claims(&client, &tokens, attempt, now)
            }
            claims => claims,
        };
        let claims = claims.map_err(|(Unverified::Key(error) | Unverified::Other(error))| error)?;
        self.read(&client, claims, tokens.access_token()).await
    }

    fn client(&self, metadata: Metadata) -> OidcClient {
        let methods = metadata.token_endpoint_auth_methods_supported();
        // The specification's default is the header, and some providers only take the form.
        let only_form = methods.is_some_and(|methods| {
            !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let auth = if only_form {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        let secret = ClientSecret::new(self.config.client_secret.expose_secret().to_owned());
        OidcClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            Some(secret),
        )
        .set_redirect_uri(RedirectUrl::from_url(self.config.redirect.clone()))
        .set_auth_type(auth)
    }

    /// The code for tokens. A provider takes a code once.
    async fn exchange(
        &self,
        client: &OidcClient,
        code: &str,
        attempt: &Attempt,
    ) -> Result<Tokens, OidcError> {
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| OidcError::Away("it names no address for tokens".to_owned()))?;
        let tokens = request
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&self.http)
            .await;
        tokens.map_err(|error| match error {
            RequestTokenError::ServerResponse(refused) => self.refused(&refused),
            RequestTokenError::Request(NoAnswer(why)) => OidcError::Away(said(&why)),
            // What it answered may have tokens.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OidcError::Away("its answer to the code cannot be read".to_owned())
            }
        })
    }

    fn refused(&self, refused: &StandardErrorResponse<CoreErrorResponseType>) -> OidcError {
        let why = match refused.error_description() {
            Some(words) => format!("{}: {}", refused.error().as_ref(), words),
            None => refused.error().as_ref().to_owned(),
        };
        let cure = match refused.error() {
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                "an administrator must correct OIDC_CLIENT_ID or OIDC_CLIENT_SECRET"
            }
            _ => "sign in again",
        };
        tracing::warn!(
            issuer = self.config.issuer.as_str(),
            error = said(&why),
            "the provider took no code"
        );
        OidcError::Refused(format!(
            "the provider refused the sign-in ({}); {cure}",
            said(&why)
        ))
    }

    /// What the token says, if all of it fits: signature, issuer, audience, times, nonce, and the hash of the other token.
    fn claims(
        &self,
        client: &OidcClient,
        tokens: &Tokens,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<Claims, Unverified> {
        let other =
            |why: &str| Unverified::Other(OidcError::Untrusted(format!("the provider's token {why}")));
        let token = tokens.extra_fields().id_token().ok_or_else(|| {
            Unverified::Other(OidcError::Away(
                "it gave no token that says who somebody is".to_owned(),
            ))
        })?;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now - SKEW)
            .set_issue_time_verifier_fn(move |issued| {
                if issued > now + SKEW {
                    return Err("it was made in the future; look at the clocks of both".to_owned());
                }
                Ok(())
            });
        let nonce = Nonce::new(attempt.nonce.clone());
        let claims = token.claims(&verifier, &nonce).map_err(|error| {
            let why = said(&words(&error));
            tracing::warn!(
                issuer = self.config.issuer.as_str(),
                error = why,
                "a token of the provider is not believed"
            );
            let told = OidcError::Untrusted(format!("the provider's token is not believed: {why}"));
            match error {
                ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
                ) => Unverified::Key(told),
                _ => Unverified::Other(told),
            }
        })?;
        // The library leaves this one to its users.
        let party = claims.authorized_party().map(|party| party.as_str());
        if party.is_some_and(|party| party != self.config.client_id) {
            return Err(other("was made for another client (the authorized party, azp)"));
        }
        // Everybody without a name would be one person.
        if claims.subject().as_str().is_empty() {
            return Err(other("names nobody: its subject (sub) is empty"));
        }
        let before = claims.additional_claims().all.get("nbf");
        let before = before.and_then(serde_json::Value::as_i64);
        if before.is_some_and(|before| before > (now + SKEW).timestamp()) {
            return Err(other("is not good yet; look at the clocks of both"));
        }
        if let Some(expected) = claims.access_token_hash() {
            let unreadable = |_| other("has a signature of another kind than its hash");
            let key = token.signing_key(&verifier).map_err(unreadable)?;
            let algorithm = token.signing_alg().map_err(unreadable)?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
            if actual.ok().as_ref() != Some(expected) {
                return Err(other("does not belong to the other token that came with it"));
            }
        }
        Ok(claims.clone())
    }

    /// The person of these claims. Some providers tell groups and names only when they are asked for them.
    async fn read(
        &self,
        client: &OidcClient,
        claims: Claims,
        token: &AccessToken,
    ) -> Result<Person, OidcError> {
        let claim = &self.config.groups_claim;
        let subject = claims.subject().as_str().to_owned();
        let verified =
            |email: Option<&str>, is: Option<bool>| email.filter(|_| is == Some(true)).map(str::to_owned);
        let mut person = Person {
            issuer: claims.issuer().as_str().to_owned(),
            email: verified(
                claims.email().map(|email| email.as_str()),
                claims.email_verified(),
            ),
            username: claims.preferred_username().map(|name| name.as_str().to_owned()),
            subject,
            groups: Ok(Vec::new()),
            is_whole: true,
        };
        let mut groups = person::groups(&claims.additional_claims().all, claim);
        // Many providers keep names, and some keep groups, out of the token.
        if groups.is_none() || claims.email().is_none() {
            let more = match self.user_info(client, token, claims.subject().clone()).await {
                // Without it the person has a role all the same, and a name without a meaning.
                Err(OidcError::Away(why)) if groups.is_some() => {
                    tracing::warn!(
                        issuer = self.config.issuer.as_str(),
                        error = why,
                        "the provider tells no names"
                    );
                    person.is_whole = false;
                    None
                }
                more => more?,
            };
            if let Some(more) = more {
                if groups.is_none() {
                    groups = person::groups(&more.additional_claims().all, claim);
                }
                let email = verified(more.email().map(|email| email.as_str()), more.email_verified());
                person.email = person.email.or(email);
                let username = more.preferred_username().map(|name| name.as_str().to_owned());
                person.username = person.username.or(username);
            }
        }
        person.email = person::name(person.email.as_deref());
        person.username = person::name(person.username.as_deref());
        person.groups = groups.unwrap_or_else(|| {
            Err(format!(
                "the provider tells no groups: its token has no claim `{claim}`; have it send one, or name another in \
                 OIDC_GROUPS_CLAIM"
            ))
        });
        Ok(person)
    }

    async fn user_info(
        &self,
        client: &OidcClient,
        token: &AccessToken,
        subject: SubjectIdentifier,
    ) -> Result<Option<UserInfoClaims<MoreClaims, CoreGenderClaim>>, OidcError> {
        let Ok(request) = client.user_info(token.clone(), Some(subject)) else {
            return Ok(None);
        };
        let answer = request.request_async(&self.http).await;
        answer.map(Some).map_err(|error| match error {
            UserInfoError::Request(NoAnswer(why)) => OidcError::Away(said(&why)),
            UserInfoError::ClaimsVerification(error) => OidcError::Untrusted(format!(
                "what the provider says of the person is not believed: {}",
                said(&words(&error))
            )),
            _ => OidcError::Away("what it says of the person cannot be read".to_owned()),
        })
    }
}

/// With several providers, one could send a browser back with the code of another (RFC 9207).
fn check_issuer(metadata: &Metadata, named: Option<&str>) -> Result<(), OidcError> {
    let says = metadata
        .additional_metadata()
        .authorization_response_iss_parameter_supported;
    match named {
        Some(named) if named != metadata.issuer().as_str() => Err(OidcError::Untrusted(format!(
            "the answer is of the provider {}, and not of {}",
            said(named),
            metadata.issuer().as_str()
        ))),
        None if says => Err(OidcError::Untrusted(
            "the answer does not say of which provider it is".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Why a token is not believed.
enum Unverified {
    /// Perhaps only because the provider has another key by now.
    Key(OidcError),
    Other(OidcError),
}

/// The library's words, with the cause that it leaves out.
fn words(error: &ClaimsVerificationError) -> String {
    slipway_text::error_chain(error)
}
