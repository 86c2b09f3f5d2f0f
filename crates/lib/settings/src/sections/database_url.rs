//! `DATABASE_URL`, taken apart. What is not understood is refused, never ignored.

use std::net::IpAddr;

use url::Url;

use super::database::{DatabaseHost, SslMode};
use crate::kind::{Wrong, is_name};
use crate::percent;

const CURE: &str = "give postgres://user:password@host:port/name, with special characters in the password \
                    percent-encoded (@ is %40, / is %2F)";

/// The parts of a Postgres URL.
pub(crate) struct DatabaseUrl {
    pub(crate) host: DatabaseHost,
    pub(crate) port: u16,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) ssl_mode: Option<SslMode>,
    pub(crate) ssl_root_cert: Option<String>,
}

impl DatabaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |problem: &str| Wrong::new(problem, CURE);
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("does not begin with postgres://"));
        }
        if url.fragment().is_some() {
            return Err(wrong("contains an unencoded #"));
        }
        let decode = |part: &str| percent::decode(part).ok_or_else(|| wrong("is badly percent-encoded"));
        let mut parts = Self {
            host: DatabaseHost::parse(&decode(url.host_str().unwrap_or_default())?),
            port: url.port().unwrap_or(5432),
            name: decode(url.path().trim_start_matches('/'))?,
            user: decode(url.username())?,
            password: url
                .password()
                .map(decode)
                .transpose()?
                .filter(|password| !password.is_empty()),
            ssl_mode: None,
            ssl_root_cert: None,
        };
        if url.path().contains('@') || url.path().trim_start_matches('/').contains('/') {
            return Err(wrong("contains an unencoded / or @"));
        }
        for (key, value) in url.query_pairs() {
            match &*key {
                "host" => parts.host = DatabaseHost::parse(&value),
                "port" => parts.port = value.parse().map_err(|_| wrong("has a port that is no number"))?,
                "dbname" => parts.name = value.into_owned(),
                "user" => parts.user = value.into_owned(),
                "sslmode" => {
                    let mode = SslMode::parse(&value).ok_or_else(|| wrong("has an unknown sslmode"))?;
                    parts.ssl_mode = Some(mode);
                }
                "sslrootcert" => parts.ssl_root_cert = Some(value.into_owned()),
                _ => {
                    return Err(Wrong::new(
                        "has a parameter that Slipway does not know",
                        "keep only host, port, dbname, user, sslmode and sslrootcert after the question mark",
                    ));
                }
            }
        }
        if let DatabaseHost::Tcp(host) = &mut parts.host {
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            if !is_name(bare) && bare.parse::<IpAddr>().is_err() {
                return Err(wrong("names no host"));
            }
            *host = bare.to_owned();
        }
        // A slash or an @ in these is far more often a password that was not encoded.
        if parts.name.is_empty() || parts.name.contains(['/', '@']) {
            return Err(wrong("names no database"));
        }
        if parts
            .ssl_root_cert
            .as_ref()
            .is_some_and(|path| !path.starts_with('/'))
        {
            return Err(wrong("has an sslrootcert that is no absolute path"));
        }
        match (parts.user.is_empty(), parts.port) {
            (true, _) => Err(wrong("names no user")),
            (_, 0) => Err(wrong("has port 0")),
            _ => Ok(parts),
        }
    }
}
