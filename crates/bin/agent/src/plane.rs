//! The control plane, by a client whose token may be replaced while the agent runs.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use slipway_client::{Client, ClientBuilder};
use slipway_domain::agent::ManifestRef;
use slipway_domain::{Instruction, Observation, TraceParent};
use slipway_host::{HostConfig, manifests};
use slipway_release::SignedManifest;
use slipway_settings::{AgentSettings, ExposeSecret, Origin, SettingsSource};
use slipway_telemetry::error_chain;
use slipway_wire::output::{OutputKnown, OutputPiece};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::printed::{OutputSink, SendError};
use crate::sync::{InstructionSource, SyncError};

/// Asks the control plane. Reads the token again from its place when the control plane refuses it.
pub(crate) struct PlaneClient {
    connection: Mutex<PlaneConnection>,
    /// Cancelled when only a new start of the process brings a new token.
    outdated: CancellationToken,
    /// A host that asks for manifests.
    asks: Option<HostConfig>,
}

struct PlaneConnection {
    client: Client,
    settings: AgentSettings,
    /// systemd copies credentials when it starts a service, and never again.
    fixed: bool,
    /// Whether this process has seen the token accepted, or waited since it was not.
    may_end: bool,
}

impl PlaneClient {
    pub(crate) fn new(
        source: &SettingsSource,
        settings: AgentSettings,
        host: &HostConfig,
    ) -> anyhow::Result<Self> {
        let builder = builder(&settings)?;
        if builder.is_readable_on_the_way() {
            warn!(url = %builder.url(), "the token travels unencrypted; use https");
        }
        Ok(Self {
            connection: Mutex::new(PlaneConnection {
                client: builder.build()?,
                settings,
                fixed: is_credential(source.origin("AGENT_TOKEN").as_ref()),
                may_end: false,
            }),
            outdated: CancellationToken::new(),
            asks: host.trust.is_some().then(|| host.clone()),
        })
    }

    /// Cancelled when the process must restart to get the host's token.
    pub(crate) fn outdated(&self) -> CancellationToken {
        self.outdated.clone()
    }

    fn connection(&self) -> MutexGuard<'_, PlaneConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> Client {
        self.connection().client.clone()
    }

    /// The client with another token, if there is another one now.
    fn renewed(&self) -> Option<Client> {
        let fresh =
            SettingsSource::load(Path::new(".")).and_then(|source| AgentSettings::from_source(&source));
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => {
                warn!(%error, "the host's token cannot be read anew");
                return None;
            }
        };
        let mut connection = self.connection();
        let (old, new) = (&connection.settings.plane.token, &fresh.plane.token);
        if old.expose_secret() == new.expose_secret() {
            if connection.fixed && std::mem::replace(&mut connection.may_end, true) {
                info!("ends, to be started with the credential as it is now");
                self.outdated.cancel();
            }
            return None;
        }
        // Everything else stays as it was when the process began.
        let mut settings = connection.settings.clone();
        settings.plane.token = new.clone();
        let client = match builder(&settings).and_then(|builder| Ok(builder.build()?)) {
            Ok(client) => client,
            Err(error) => {
                warn!(
                    error = error_chain(error.as_ref()),
                    "no client with the new token"
                );
                return None;
            }
        };
        info!("the host's token was replaced");
        connection.settings = settings;
        connection.client = client.clone();
        Some(client)
    }
}

impl InstructionSource for PlaneClient {
    async fn sync(
        &self,
        observation: &Observation,
        wait: Duration,
        parent: Option<TraceParent>,
    ) -> Result<Instruction, SyncError> {
        let mut answer = InstructionSource::sync(&self.client(), observation, wait, parent.clone()).await;
        if matches!(answer, Err(SyncError::Denied(_)))
            && let Some(client) = self.renewed()
        {
            answer = InstructionSource::sync(&client, observation, wait, parent).await;
        }
        if answer.is_ok() {
            self.connection().may_end = true;
        }
        if let (
            Some(host),
            Ok(Instruction::Stage {
                manifest: Some(manifest),
                ..
            }),
        ) = (&self.asks, &answer)
        {
            fetch_manifest(&self.client(), host, manifest).await?;
        }
        answer
    }
}

impl OutputSink for PlaneClient {
    async fn send(&self, piece: &OutputPiece) -> Result<OutputKnown, SendError> {
        self.client().send(piece).await
    }
}

/// Fetches a manifest once. `Err` where another try may bring it. If there is none to be had, the instruction goes on
/// without, and the door refuses it with its reasons.
async fn fetch_manifest(client: &Client, host: &HostConfig, wanted: &ManifestRef) -> Result<(), SyncError> {
    if manifests::is_kept(host, &wanted.digest) {
        return Ok(());
    }
    let answer = match client.agent_manifest(wanted.release).await {
        Ok(answer) => answer,
        Err(error) => {
            let status = error.problem().map(|problem| problem.status);
            let error = SyncError::from(error);
            if !matches!(status, Some(400..=428 | 430..=499)) || matches!(error, SyncError::Denied(_)) {
                return Err(error);
            }
            warn!(release = %wanted.release, ?error, "the control plane does not hand out the manifest");
            return Ok(());
        }
    };
    let signed = SignedManifest {
        manifest: answer.manifest,
        signatures: answer.signatures,
    };
    // Whether it counts is for the door, which names what is wrong with it.
    if !signed.is_within_bounds() {
        warn!(release = %wanted.release, "the control plane hands out a manifest that is too large to be one");
        return Ok(());
    }
    manifests::keep(&host.state_dir, &wanted.digest, &signed).map_err(|error| SyncError::Failed {
        message: format!(
            "the manifest of release {} cannot be kept: {error}",
            wanted.release
        ),
        retry_after: None,
    })
}

fn is_credential(origin: Option<&Origin>) -> bool {
    match origin {
        Some(Origin::Credential) => true,
        Some(Origin::File(path)) => {
            std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| path.starts_with(folder))
        }
        _ => false,
    }
}

fn builder(settings: &AgentSettings) -> anyhow::Result<ClientBuilder> {
    let plane = &settings.plane;
    let mut builder = slipway_client::builder(plane.api_url.as_str())?
        .token(plane.token.clone())
        .user_agent(concat!("slipway-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &plane.ca_file {
        let pem =
            std::fs::read(path).with_context(|| format!("cannot read AGENT_CA_FILE={}", path.display()))?;
        builder = builder.extra_ca_pem(format_args!("AGENT_CA_FILE={}", path.display()), pem)?;
    }
    Ok(builder)
}
