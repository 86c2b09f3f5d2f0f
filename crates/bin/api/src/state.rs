//! What every handler shares.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use slipway_domain::StoreDir;
use slipway_settings::{ApiSettings, Networks, TrustedProxies};
use slipway_store::{AuditKey, Store};
use slipway_wake::Wake;
use tokio_util::sync::CancellationToken;

use crate::attachment::Documents;
use crate::checks::Checks;
use crate::drift::DriftNotes;
use crate::error::BoxError;
use crate::failures::AuthenticationFailures;
use crate::feed::Feed;
use crate::health::HealthCache;
use crate::oidc::Oidc;
use crate::parking::{Parking, most_parked};
use crate::phase::ServerPhase;
use crate::printed::OutputFeed;
use crate::room::Turns;

/// What every handler shares.
pub type App = Arc<Shared>;

/// The parts behind [`App`].
#[derive(Debug)]
pub struct Shared {
    /// The truth.
    pub store: Store,
    /// Wake-ups.
    pub wake: Wake,
    /// Agents that wait.
    pub parking: Parking,
    /// Answering hosts' syncs takes at most two fifths of the connections. Noting what drifts takes one more, and what scripts
    /// print up to four. All requests together take two to look up their tokens, and more only after a lookup failed.
    ///
    /// Thousands of agents come at once when a process starts. People are answered meanwhile, and only agents whose turn it
    /// is take memory for their work.
    pub(crate) agent_turns: Turns,
    pub(crate) drift_notes: DriftNotes,
    /// News of events.
    pub feed: Feed,
    /// News of what rollouts print.
    pub printed: OutputFeed,
    /// Room for documents of releases.
    pub(crate) documents: Documents,
    /// How far the process is.
    pub phase: ServerPhase,
    pub(crate) failures: AuthenticationFailures,
    pub(crate) health: HealthCache,
    pub(crate) audit_key: AuditKey,
    pub(crate) admin_password: SecretString,
    pub(crate) store_dir: StoreDir,
    pub(crate) request_timeout: Duration,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Networks that are not public to which messages may go.
    pub(crate) message_networks: Networks,
    /// Whether e-mail has a server.
    pub(crate) sends_mail: bool,
    pub(crate) checks: Checks,
    /// The provider through which people sign in.
    pub(crate) oidc: Option<Oidc>,
}

impl Shared {
    /// The state of a process with these settings; drains when the token is cancelled. Connects to nothing yet.
    pub fn new(
        settings: &ApiSettings,
        store: Store,
        wake: Wake,
        draining: CancellationToken,
    ) -> Result<App, BoxError> {
        let store_dir = settings.app.store_dir.to_string_lossy().parse::<StoreDir>();
        let store_dir = store_dir.map_err(|error| format!("STORE_DIR cannot be used: {error}"))?;
        Ok(Arc::new(Self {
            parking: Parking::new(most_parked()),
            agent_turns: Turns::new(store.most_connections() * 2 / 5),
            drift_notes: DriftNotes::default(),
            feed: Feed::default(),
            printed: OutputFeed::default(),
            documents: Documents::default(),
            phase: ServerPhase::new(draining),
            failures: AuthenticationFailures::new(wake.clone()),
            health: HealthCache::default(),
            audit_key: AuditKey::new(&settings.app.secret_key, &settings.app.earlier_keys),
            admin_password: settings.admin.password.clone(),
            store_dir,
            request_timeout: settings.api.request_timeout,
            trusted_proxies: settings.api.trusted_proxies.clone(),
            message_networks: settings.messages.networks.clone(),
            sends_mail: settings.mail.host.is_some(),
            checks: Checks::default(),
            oidc: Oidc::new(settings)?,
            store,
            wake,
        }))
    }
}
