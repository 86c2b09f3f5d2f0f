//! Settings that take one of a few words.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

macro_rules! words {
    ($($(#[$outer:meta])* enum $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            pub(crate) const WORDS: &[&str] = &[$($word),*];

            /// The word in the environment.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    )*};
}

words! {
    /// Where the process runs, from `APP_ENV`.
    enum AppEnv {
        /// A person's machine; example secrets are accepted.
        #[default]
        Development = "development",
        /// Automated tests; example secrets are accepted.
        Test = "test",
        /// Real users: empty, example and weak secrets are refused.
        Production = "production",
    }

    /// How the connection to Postgres is protected, with libpq's names.
    enum SslMode {
        /// Never TLS.
        Disable = "disable",
        /// TLS only if the server insists.
        Allow = "allow",
        /// TLS if the server offers it; protects from nobody who can interfere.
        #[default]
        Prefer = "prefer",
        /// TLS always, with any certificate.
        Require = "require",
        /// TLS, and the certificate must come from a trusted authority.
        VerifyCa = "verify-ca",
        /// TLS, and the certificate must come from a trusted authority and carry the host's name.
        VerifyFull = "verify-full",
    }

    /// How e-mail gets to its server.
    enum SmtpTls {
        /// Encrypted once the server has said so; not at all if it does not.
        #[default]
        Starttls = "starttls",
        /// Encrypted from the first byte.
        Tls = "tls",
        /// Not encrypted.
        None = "none",
    }

    /// The form of a log line.
    enum LogFormat {
        /// One JSON object a line, for machines.
        #[default]
        Json = "json",
        /// For people; coloured on a terminal.
        Pretty = "pretty",
    }

    /// What boots an agent's host.
    enum AgentBootLoader {
        /// Nothing that an agent can tell to boot a release once.
        #[default]
        None = "none",
        /// systemd-boot.
        SystemdBoot = "systemd-boot",
        /// GRUB, with the menu that NixOS writes.
        Grub = "grub",
    }

    /// How an agent starts what must outlive it.
    enum AgentRunner {
        /// systemd where it runs and the agent is root, else processes.
        #[default]
        Auto = "auto",
        /// Transient units and timers.
        Systemd = "systemd",
        /// Detached processes, for demos and tests.
        Process = "process",
    }
}

impl AppEnv {
    /// True where empty, example and weak secrets are refused.
    #[must_use]
    pub fn is_production(self) -> bool {
        self == Self::Production
    }
}

impl fmt::Display for AppEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SslMode {
    /// True when the server's certificate is checked.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}
