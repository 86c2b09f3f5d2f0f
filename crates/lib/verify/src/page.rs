//! A page that a process of a host shows: its metrics, or the status of backups.

use std::time::Duration;

use slipway_client::{Client, ClientBuilder, ClientError, RawResponse};

/// A page, with the client that fetches it.
#[derive(Debug, Clone)]
pub struct StatusPage {
    pub(crate) url: String,
    client: Client,
    path: String,
}

impl StatusPage {
    /// The page at `url`; `builder` is for its address: see [`split`].
    pub fn new(url: &str, builder: ClientBuilder, limit: Duration) -> Result<Self, ClientError> {
        let (_, path) = split(url)?;
        Ok(Self {
            url: url.to_owned(),
            client: bounded(builder, limit)?,
            path,
        })
    }

    pub(crate) async fn fetch(&self) -> Result<RawResponse, ClientError> {
        self.client.fetch(&self.path).await
    }
}

/// A client whose requests end in time.
pub(crate) fn bounded(builder: ClientBuilder, limit: Duration) -> Result<Client, ClientError> {
    builder.connect_timeout(limit).request_timeout(limit).build()
}

/// The address of a URL, and its path with the query.
pub fn split(url: &str) -> Result<(String, String), ClientError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut address = slipway_client::builder(address)?.url().clone();
    let mut path = address.path().to_owned();
    if !query.is_empty() {
        path = format!("{path}?{query}");
    }
    address.set_path("");
    Ok((address.into(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_before_its_path() {
        let at = |url| split(url).map_err(|error| error.summary());
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(
            at("http://127.0.0.1:9103/status"),
            pair("http://127.0.0.1:9103/", "/status")
        );
        assert_eq!(at("http://a:1/s?stack=x"), pair("http://a:1/", "/s?stack=x"));
        assert!(at("a/status").unwrap_err().contains("no scheme"));
    }
}
