//! Asking Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

const ANSWER: Duration = Duration::from_secs(10);

/// Prometheus' HTTP API.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// Its address, for people too.
    pub url: String,
    client: reqwest::Client,
}

/// One sample of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Sample {
    /// A label's value, or nothing.
    #[must_use]
    pub fn label(&self, name: &str) -> String {
        self.metric.get(name).cloned().unwrap_or_default()
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> f64 {
        self.value.1.parse().unwrap_or(f64::NAN)
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    result: Vec<Sample>,
}

impl Prometheus {
    /// The one on this port of 127.0.0.1.
    pub fn at(port: u16) -> Result<Self> {
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            client: plain_client()?,
        })
    }

    /// Whether it answers queries.
    pub async fn is_ready(&self) -> bool {
        answers(&format!("{}/-/ready", self.url)).await
    }

    /// The samples that an expression gives now.
    pub async fn vector(&self, expression: &str) -> Result<Vec<Sample>> {
        let url = format!("{}/api/v1/query", self.url);
        let request = self.client.get(url).query(&[("query", expression)]);
        let answer: Answer = request.send().await?.json().await?;
        match (answer.data, answer.error) {
            (Some(data), _) => Ok(data.result),
            (None, error) => bail!("Prometheus refuses `{expression}`: {}", error.unwrap_or_default()),
        }
    }
}

/// Whether a request gets an answer that says yes.
pub(super) async fn answers(url: &str) -> bool {
    let Ok(client) = plain_client() else {
        return false;
    };
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

/// Speaks plain HTTP on this machine alone.
fn plain_client() -> Result<reqwest::Client> {
    slipway_client::install_crypto_provider();
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    builder.timeout(ANSWER).build().context("cannot make a client")
}
