//! `DATABASE_URL`, taken apart. What is not understood is refused, never ignored.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::lists::bare_host;
use super::{Fields, SslMode, percent_decode};
use crate::error::InvalidValue;

const CURE: &str = "give postgres://user:password@host:port/name, with special characters in the password \
                    percent-encoded (@ is %40, / is %2F)";

/// Where Postgres listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum DatabaseHost {
    /// A name or an address.
    Tcp(String),
    /// The folder of the server's socket, such as `/run/postgresql`.
    Socket(PathBuf),
}

impl From<String> for DatabaseHost {
    /// An absolute path is a socket folder, anything else a name or an address.
    fn from(text: String) -> Self {
        if text.starts_with('/') {
            Self::Socket(PathBuf::from(text))
        } else {
            Self::Tcp(text)
        }
    }
}

/// What the URL says, by the names of the section's fields.
pub(crate) fn parse(text: &str) -> Result<Fields, InvalidValue> {
    let wrong = |problem: &str| InvalidValue::new(problem, CURE);
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong("does not begin with postgres://"));
    }
    if url.fragment().is_some() {
        return Err(wrong("contains an unencoded #"));
    }
    let decode = |part: &str| percent_decode(part).ok_or_else(|| wrong("is badly percent-encoded"));
    let mut fields = Fields::from([
        ("host", decode(url.host_str().unwrap_or_default())?),
        ("port", url.port().unwrap_or(5432).to_string()),
        ("name", decode(url.path().trim_start_matches('/'))?),
        ("user", decode(url.username())?),
    ]);
    match decode(url.password().unwrap_or_default())? {
        password if password.is_empty() => {}
        password => drop(fields.insert("password", password)),
    }
    if url.path().contains('@') || url.path().trim_start_matches('/').contains('/') {
        return Err(wrong("contains an unencoded / or @"));
    }
    for (key, value) in url.query_pairs() {
        let field = match &*key {
            "host" | "user" | "port" => ["host", "user", "port"].into_iter().find(|field| *field == key),
            "dbname" => Some("name"),
            "sslmode" => Some("ssl_mode"),
            "sslrootcert" => Some("ssl_root_cert"),
            _ => None,
        };
        let Some(field) = field else {
            return Err(InvalidValue::new(
                "has a parameter that Slipway does not know",
                "keep only host, port, dbname, user, sslmode and sslrootcert after the question mark",
            ));
        };
        if field == "port" && value.parse::<u16>().is_err() {
            return Err(wrong("has a port that is no number"));
        }
        if field == "ssl_mode" && value.parse::<SslMode>().is_err() {
            return Err(wrong("has an unknown sslmode"));
        }
        fields.insert(field, value.into_owned());
    }
    check(&mut fields).map_err(wrong)?;
    Ok(fields)
}

fn check(fields: &mut Fields) -> Result<(), &'static str> {
    if !fields["host"].starts_with('/') {
        let host = bare_host(&fields["host"]).ok_or("names no host")?.to_owned();
        fields.insert("host", host);
    }
    // A slash or an @ in these is far more often a password that was not encoded.
    if fields["name"].is_empty() || fields["name"].contains(['/', '@']) {
        return Err("names no database");
    }
    if fields
        .get("ssl_root_cert")
        .is_some_and(|path| !path.starts_with('/'))
    {
        return Err("has an sslrootcert that is no absolute path");
    }
    if fields["user"].is_empty() {
        return Err("names no user");
    }
    if fields["port"].parse() == Ok(0_u16) {
        return Err("has port 0");
    }
    Ok(())
}
