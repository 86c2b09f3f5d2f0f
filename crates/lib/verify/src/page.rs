//! A page that a process of a host shows: its metrics, or the status of backups.

use std::time::Duration;

use slipway_client::{Client, ClientBuilder, ClientError, RawResponse};

/// The URL of a page.
#[derive(Debug, Clone)]
pub struct PageUrl {
    text: String,
    site: String,
    path: String,
}

impl PageUrl {
    /// Reads a URL, which may have a query.
    pub fn parse(url: &str) -> Result<Self, ClientError> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut site = slipway_client::builder(address)?.url().clone();
        let mut path = site.path().to_owned();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        site.set_path("");
        Ok(Self {
            text: url.to_owned(),
            site: site.into(),
            path,
        })
    }

    /// The address without the path, for a client.
    #[must_use]
    pub fn site(&self) -> &str {
        &self.site
    }
}

/// A page, with the client that fetches it.
#[derive(Debug, Clone)]
pub struct StatusPage {
    pub(crate) url: String,
    client: Client,
    path: String,
}

impl StatusPage {
    /// The page at `url`; `builder` is for its [site](PageUrl::site).
    pub fn new(url: PageUrl, builder: ClientBuilder, limit: Duration) -> Result<Self, ClientError> {
        Ok(Self {
            url: url.text,
            client: bounded(builder, limit)?,
            path: url.path,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_before_its_path() {
        let at = |url| match PageUrl::parse(url) {
            Ok(url) => Ok((url.site, url.path)),
            Err(error) => Err(error.summary()),
        };
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(
            at("http://127.0.0.1:9103/status"),
            pair("http://127.0.0.1:9103/", "/status")
        );
        assert_eq!(at("http://a:1/s?stack=x"), pair("http://a:1/", "/s?stack=x"));
        assert!(at("a/status").unwrap_err().contains("no scheme"));
    }
}
