//! E-mail through a server that takes it.

use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;
use slipway_settings::{MailPassword, MailSettings, SmtpTls};

use super::{Failure, Limits, install_crypto_provider};
use crate::body::Email;

/// The server and the sender.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    limits: Limits,
}

impl Mailer {
    /// With these settings; nothing where they name no server.
    pub(super) fn new(
        settings: &MailSettings,
        password: &MailPassword,
        limits: Limits,
    ) -> Result<Option<Self>, Failure> {
        let (Some(host), Some(from)) = (&settings.host, &settings.from) else {
            return Ok(None);
        };
        install_crypto_provider();
        let from = from
            .parse()
            .map_err(|_| Failure::new("SMTP_FROM is no address of e-mail"))?;
        let tls = || {
            TlsParameters::new(host.clone())
                .map_err(|error| Failure::new(format!("cannot encrypt e-mail to SMTP_HOST: {error}")))
        };
        let tls = match settings.tls {
            SmtpTls::Starttls => Tls::Required(tls()?),
            SmtpTls::Tls => Tls::Wrapper(tls()?),
            SmtpTls::None => Tls::None,
        };
        let mut builder: AsyncSmtpTransportBuilder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
                .port(settings.port)
                .tls(tls)
                .timeout(Some(limits.connect));
        if let (Some(user), Some(password)) = (&settings.user, &password.password) {
            builder = builder.credentials(Credentials::new(
                user.clone(),
                password.expose_secret().to_owned(),
            ));
        }
        Ok(Some(Self {
            transport: builder.build(),
            from,
            limits,
        }))
    }

    /// The part of the sender's address after `@`.
    pub(super) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Sends one e-mail to all. If the server refuses one of them, nobody gets it.
    pub(super) async fn send(&self, recipients: &[String], email: &Email) -> Result<(), Failure> {
        let message = self.message(recipients, email)?;
        match tokio::time::timeout(self.limits.total, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(words(&error))),
            Err(_) => Err(Failure::new(format!(
                "the server of SMTP_HOST did not take it within {} s",
                self.limits.total.as_secs()
            ))),
        }
    }

    fn message(&self, recipients: &[String], email: &Email) -> Result<Message, Failure> {
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .subject(&email.subject)
            .message_id(Some(email.id.clone()))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(thread) = &email.thread {
            builder = builder.references(thread.clone()).in_reply_to(thread.clone());
        }
        for recipient in recipients {
            let address: Address = recipient
                .parse()
                .map_err(|_| Failure::new(format!("`{recipient}` is no address of e-mail")))?;
            builder = builder.to(Mailbox::new(None, address));
        }
        builder
            .header(ContentType::TEXT_PLAIN)
            .header(header::ContentTransferEncoding::QuotedPrintable)
            .body(email.text.clone())
            .map_err(|error| Failure::new(format!("it makes no e-mail: {error}")))
    }
}

/// What went wrong. The answer of a server may quote the e-mail and nothing else that we sent.
fn words(error: &lettre::transport::smtp::Error) -> String {
    let code = error.status().map(|code| format!(" with {code}"));
    if error.is_timeout() {
        return "the server of SMTP_HOST did not answer in time".to_owned();
    }
    match code {
        Some(code) => format!("the server of SMTP_HOST refused it{code}"),
        None if error.is_tls() => {
            "the server of SMTP_HOST cannot be reached encrypted; look at SMTP_TLS".to_owned()
        }
        None => "the server of SMTP_HOST cannot be reached".to_owned(),
    }
}
