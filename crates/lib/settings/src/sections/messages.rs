//! `MESSAGES_*` and `SMTP_*`: messages to people.

use secrecy::SecretString;

use crate::value_kind::ValueKind;
use crate::values::{Networks, SmtpTls};
use crate::variable::{PLANE, WORKER, section};

section! {
    /// Where messages may go, and when people are reminded.
    pub struct MessageSettings("Messages", Some("MESSAGES_"), PLANE) {
        /// Networks that are not public to which messages may be sent all the same, also over plain HTTP. Without them, a
        /// destination's address must be public and encrypted.
        networks: Networks = MESSAGES_NETWORKS: ValueKind::PrivateNetworks, {
            default: Some("none"),
            example: Some("10.0.0.0/24")
        };
        /// After so many minutes an agent counts as silent, and people are told. 0: nobody is told.
        silent_minutes: u32 = MESSAGES_SILENT_MINUTES: ValueKind::Number(0, 1440, "minutes"), { default: Some("5") };
        /// How often people are reminded of a rollout that waits for approval. 0: never.
        approval_minutes: u32 = MESSAGES_APPROVAL_MINUTES: ValueKind::Number(0, 10_080, "minutes"), {
            default: Some("60")
        };
    }
}

section! {
    /// The server that takes e-mail, and who sends it. The api reads it to refuse e-mail that nobody would send.
    pub struct MailSettings("E-mail", Some("SMTP_"), PLANE) {
        /// The server that takes e-mail. Unset: no e-mail is sent.
        host: Option<String> = SMTP_HOST: ValueKind::Name, { example: Some("smtp.example.org") };
        /// Its port: 587 for `starttls`, 465 for `tls`, 25 for a relay on this machine.
        port: u16 = SMTP_PORT: ValueKind::Port, { default: Some("587") };
        /// `starttls` and `tls` are encrypted, and check the server's certificate. `none` is for a server on this machine.
        tls: SmtpTls = SMTP_TLS: ValueKind::OneOf(SmtpTls::WORDS), { default: Some("starttls") };
        /// The account at the server. Unset: without one.
        user: Option<String> = SMTP_USER: ValueKind::Text, { example: Some("slipway") };
        /// Who sends it.
        from: Option<String> = SMTP_FROM: ValueKind::Mailbox, { example: Some("Slipway <slipway@example.org>") };
    }
}

section! {
    /// The password of the account; only the worker reads it.
    pub struct MailPassword("E-mail", None, WORKER) {
        /// The password of `SMTP_USER`.
        password: Option<SecretString> = SMTP_PASSWORD: ValueKind::Text, {
            secret: true,
            example: Some("slipway-development-mail")
        };
    }
}
