//! What values a variable takes: checked here, described here, so that the reference page cannot drift.

use std::net::IpAddr;

use url::Url;

use crate::error::InvalidValue;
use crate::values::{
    Fields, Networks, Nodes, OidcDomains, OidcRoles, OtlpHeaders, SecretKey, TrustedProxies, is_label,
    is_mailbox, is_name, is_plain_path, parse_database_url, parse_redis_url,
};

/// What values a variable takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueKind {
    /// Any text without control characters.
    Text,
    OneOf(&'static [&'static str]),
    /// A whole number from the first to the second, and what is counted.
    Number(u32, u32, &'static str),
    Port,
    Address,
    Host,
    /// A host, or an absolute path to a socket or its folder.
    HostOrFolder,
    Path,
    /// A name, or an address.
    Name,
    /// A private key in PEM, which has lines.
    PrivateKey,
    Url,
    DatabaseUrl,
    RedisUrl,
    Sentinels,
    Networks,
    /// Networks that are not public.
    PrivateNetworks,
    /// Who sends e-mail.
    Mailbox,
    LogLevels,
    SentryDsn,
    Headers,
    /// Words separated by blanks.
    Words,
    OidcRoles,
    OidcDomains,
    HexKey,
    HexKeys,
    Token,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl ValueKind {
    /// The values in words, for the reference page and for cures.
    pub(crate) fn describe(self) -> String {
        let words = match self {
            Self::OneOf(words) => return words.join(", "),
            Self::Number(min, max, unit) => return format!("{min} to {max} {unit}"),
            Self::Text => "text",
            Self::Port => "1 to 65535",
            Self::Address => "an IP address",
            Self::Host => "1 to 63 lower-case letters, digits and `-`",
            Self::HostOrFolder => "a name, an IP address or an absolute path",
            Self::Path => "an absolute path without `..`",
            Self::Name => "a name or an IP address",
            Self::PrivateKey => "a PEM private key",
            Self::Url => "an http:// or https:// address without credentials",
            Self::DatabaseUrl => "postgres://user:password@host:port/name",
            Self::RedisUrl => "redis:// or rediss://user:password@host:port/db, or unix:///path?db=0",
            Self::Sentinels => "host:port, separated by commas",
            Self::Networks | Self::PrivateNetworks => "IP networks, separated by commas, or `none`",
            Self::Mailbox => "an e-mail address, or `Name <address>`",
            Self::LogLevels => "info, or info,target=level",
            Self::SentryDsn => "https://key@host/project",
            Self::Headers => "name=value, separated by commas",
            Self::Words => "words of letters, digits and signs, separated by blanks",
            Self::OidcRoles => "role=group or role@environment=group, separated by `;`",
            Self::OidcDomains => "domains, separated by commas",
            Self::HexKey => "64 hex digits or more, an even number",
            Self::HexKeys => "keys of 64 hex digits or more, separated by commas",
            Self::Token => "slw_ and 64 hex digits",
        };
        words.to_owned()
    }

    /// What a value that is not empty says, by the names of the section's fields, as the struct's types read it.
    pub(crate) fn read(self, field: &'static str, value: &str) -> Result<Fields, InvalidValue> {
        let is_wrong = |letter: char| letter.is_control() && !(self.has_lines() && "\r\n".contains(letter));
        if value.chars().any(is_wrong) {
            return Err(InvalidValue::new(
                "contains a control character",
                "remove line breaks, tabs and the like",
            ));
        }
        let own = |value: &str| Fields::from([(field, value.to_owned())]);
        match self {
            Self::DatabaseUrl => parse_database_url(value),
            Self::RedisUrl => parse_redis_url(value),
            Self::HexKeys => {
                let keys: Vec<&str> = value.split(',').map(str::trim).collect();
                keys.iter().try_for_each(|key| SecretKey::parse(key).map(drop))?;
                Ok(own(&keys.join(",")))
            }
            _ => self.check(value).map(|()| own(value)),
        }
    }

    /// Whether one value says what several other variables say too.
    pub(crate) fn is_connection(self) -> bool {
        matches!(self, Self::DatabaseUrl | Self::RedisUrl)
    }

    const fn has_lines(self) -> bool {
        matches!(self, Self::PrivateKey)
    }

    fn check(self, value: &str) -> Result<(), InvalidValue> {
        match self {
            Self::OneOf(words) if !words.contains(&value) => {
                Err(self.wrong("is not one of the words that it takes", "set it to one of"))
            }
            Self::Number(min, max, _) => match value.parse::<u64>() {
                Ok(number) if (min.into()..=max.into()).contains(&number) => Ok(()),
                Ok(_) => Err(self.wrong("is out of range", "give")),
                Err(_) => Err(self.wrong("is not a whole number", "give")),
            },
            Self::Port => check_port(value),
            Self::Address => value.parse::<IpAddr>().map(drop).map_err(|_| {
                InvalidValue::new(
                    "is not an IP address",
                    "give 127.0.0.1 for this machine only, 0.0.0.0 or :: for every interface",
                )
            }),
            Self::Host if is_label(value) => Ok(()),
            Self::PrivateKey => check_private_key(value),
            Self::Name | Self::HostOrFolder if is_name(value) || value.parse::<IpAddr>().is_ok() => Ok(()),
            Self::HostOrFolder | Self::Path if is_plain_path(value) => Ok(()),
            Self::Host | Self::Name | Self::HostOrFolder | Self::Path => {
                Err(self.wrong("has the wrong form", "give"))
            }
            Self::Url => check_url(value),
            Self::Sentinels => Nodes::parse(value).map(drop),
            Self::Networks => TrustedProxies::parse(value).map(drop),
            Self::PrivateNetworks => Networks::parse(value).map(drop),
            Self::Mailbox if is_mailbox(value) => Ok(()),
            Self::Mailbox => Err(self.wrong("is no address of e-mail", "give")),
            Self::LogLevels => check_levels(value),
            Self::SentryDsn => check_dsn(value),
            Self::Headers => OtlpHeaders::parse(value).map(drop),
            Self::Words
                if value.split_ascii_whitespace().all(|word| {
                    word.bytes()
                        .all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
                }) =>
            {
                Ok(())
            }
            Self::Words => Err(self.wrong("is not made of words", "give")),
            Self::OidcRoles => OidcRoles::parse(value).map(drop),
            Self::OidcDomains => OidcDomains::parse(value).map(drop),
            Self::HexKey => SecretKey::parse(value).map(drop),
            Self::Token => check_token(value),
            Self::Text | Self::OneOf(_) | Self::DatabaseUrl | Self::RedisUrl | Self::HexKeys => Ok(()),
        }
    }

    fn wrong(self, problem: &str, verb: &str) -> InvalidValue {
        InvalidValue::new(problem, format!("{verb} {}", self.describe()))
    }
}

fn check_port(value: &str) -> Result<(), InvalidValue> {
    // Kubernetes sets <SERVICE>_PORT=tcp://10.0.0.1:8000 for a service named api, redis or database.
    if value.starts_with("tcp://") || value.starts_with("udp://") {
        return Err(InvalidValue::new(
            "is a Kubernetes service link, not a port",
            "set `enableServiceLinks: false` in the pod, or set the variable yourself",
        ));
    }
    match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(()),
        _ => Err(ValueKind::Port.wrong("is not a port", "give a number from")),
    }
}

fn check_url(value: &str) -> Result<(), InvalidValue> {
    let problem = match Url::parse(value) {
        Err(error) => format!("is not a URL ({error})"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "is neither http nor https".to_owned(),
        Ok(_) if value.contains('@') => "carries credentials, which would be shown and logged".to_owned(),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "has a query or a fragment".to_owned()
        }
        Ok(_) => return Ok(()),
    };
    Err(InvalidValue::new(
        problem,
        "give an address such as https://slipway.example.org",
    ))
}

fn check_levels(value: &str) -> Result<(), InvalidValue> {
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    let is_target = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b))
    };
    let is_fine = |part: &str| match part.split_once('=') {
        Some((name, word)) => is_target(name) && is_level(word),
        None => is_level(part),
    };
    if value.split(',').map(str::trim).all(is_fine) {
        return Ok(());
    }
    Err(InvalidValue::new(
        "is not a list of levels",
        format!("give one of {}, or `info,target=debug`", LEVELS.join(", ")),
    ))
}

fn check_dsn(value: &str) -> Result<(), InvalidValue> {
    let wrong = |problem| {
        InvalidValue::new(
            problem,
            "copy it from the project's settings: https://key@host/project",
        )
    };
    let url = Url::parse(value).map_err(|_| wrong("is not a URL"))?;
    let has_project = url
        .path()
        .rsplit('/')
        .next()
        .is_some_and(|project| !project.is_empty());
    if !matches!(url.scheme(), "http" | "https") || url.username().is_empty() || !has_project {
        return Err(wrong("is not a Sentry DSN"));
    }
    Ok(())
}

fn check_private_key(value: &str) -> Result<(), InvalidValue> {
    let has = |line: &str| {
        value
            .lines()
            .any(|one| one.starts_with("-----") && one.contains(line))
    };
    let wrong = |problem, cure| Err(InvalidValue::new(problem, cure));
    if has("BEGIN ENCRYPTED PRIVATE KEY") {
        return wrong(
            "is encrypted with a passphrase",
            "decrypt it: openssl pkey -in KEY -out PLAIN, and let only the process read it",
        );
    }
    let forms = [
        "BEGIN PRIVATE KEY",
        "BEGIN RSA PRIVATE KEY",
        "BEGIN EC PRIVATE KEY",
    ];
    if forms.into_iter().any(has) {
        return Ok(());
    }
    wrong(
        "is no private key in PEM",
        "name its file, which has a line -----BEGIN PRIVATE KEY-----, in REDIS_TLS_KEY_FILE",
    )
}

fn check_token(value: &str) -> Result<(), InvalidValue> {
    match value.strip_prefix("slw_") {
        Some(digits) if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(()),
        _ => Err(InvalidValue::new(
            "is not a Slipway token",
            "a token is slw_ and 64 hex digits, as printed once by `slipway host create`",
        )),
    }
}
