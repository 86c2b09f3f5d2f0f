//! Sending one message, within bounds.

mod http;
mod mail;
mod resolve;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use slipway_domain::DeliveryId;
use slipway_settings::{MailPassword, MailSettings, MessageSettings};
use slipway_store::messages::Access;
use slipway_webhook::{WebhookMessage, WebhookSecret};
use slipway_wire::message::Message;
use url::Url;

use crate::body;
use http::{HttpSender, Request};
use mail::Mailer;

/// The longest that one try may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Altogether.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
        }
    }
}

/// Why a message was not taken. It never says where a secret address leads, nor what was answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Failure {
    /// In words.
    pub problem: String,
    /// The destination says that it is gone for good.
    pub is_gone: bool,
    /// The wait that the destination asks for.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            is_gone: false,
            retry_after: None,
        }
    }
}

/// Whether messages may go to an address that is not public.
pub(crate) type Allowed = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Sends messages to destinations of every kind.
pub struct Messenger {
    http: HttpSender,
    mail: Option<Mailer>,
    public: Option<Url>,
}

impl Messenger {
    /// With these settings. Nothing is connected to yet.
    pub fn new(
        settings: &MessageSettings,
        public: Option<&Url>,
        (mail, password): (&MailSettings, &MailPassword),
        limits: Limits,
    ) -> Result<Self, Failure> {
        let networks = settings.networks.clone();
        let any_allowed = !networks.is_empty();
        let allowed: Allowed = Arc::new(move |address| networks.contains(address));
        Ok(Self {
            http: HttpSender::new(limits, &allowed, any_allowed)?,
            mail: Mailer::new(mail, password, limits)?,
            public: public.cloned(),
        })
    }

    /// Sends a message. Doing it again is no harm to a receiver that drops what it had before: the id is the same.
    pub async fn send(&self, id: DeliveryId, access: &Access, message: &Message) -> Result<(), Failure> {
        let public = self.public.as_ref();
        match access {
            Access::Standard { url, secret } => {
                let request = signed(id, secret, body::standard(message, public))?;
                self.http.send(url, request).await
            }
            Access::Slack { url } => {
                let request = Request::post(body::slack(message, public).to_string());
                self.http.send(url, request).await
            }
            Access::Matrix { url, room, token } => {
                let body = body::matrix(message, public).to_string();
                self.http.send(url, Request::matrix(id, room, token, body)).await
            }
            Access::Email { recipients } => {
                let mail = self.mail.as_ref().ok_or_else(|| {
                    Failure::new("no server sends e-mail; set SMTP_HOST and SMTP_FROM of the worker, and start it again")
                })?;
                let email = body::email(id, message, public, mail.domain());
                mail.send(recipients, &email).await
            }
        }
    }
}

/// Installs ring as the process's TLS provider. Does nothing when there is one already.
fn install_crypto_provider() {
    // The error means that another provider is installed, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The request of a webhook, signed now.
fn signed(id: DeliveryId, secret: &SecretString, body: String) -> Result<Request, Failure> {
    let secret = WebhookSecret::parse(secret).map_err(Failure::new)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let timestamp = i64::try_from(now).unwrap_or(i64::MAX);
    let id = id.to_string();
    let signature = secret.sign(&WebhookMessage {
        id: &id,
        timestamp,
        body: &body,
    });
    Ok(Request::post(body)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature))
}
