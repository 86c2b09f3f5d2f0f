//! Making something once, however often its request is sent.

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_wire::header::IDEMPOTENCY_KEY;
use slipway_wire::route;

use crate::client::RetryRule;
use crate::{Client, ClientError};

impl Client {
    /// Sends a request that makes something. Where its answer is lost, it is sent again under the same key. The server then
    /// answers with what the first one made.
    ///
    /// `route` is the path with its parameters as the server declares it.
    pub(crate) async fn make<T: DeserializeOwned>(
        &self,
        route: &str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        // Without randomness there is no key, and nothing is sent twice.
        let Some(key) = new_key() else {
            return self.change(Method::POST, path, body).await;
        };
        let request = || {
            let request = self.request(Method::POST, path, None).json(body);
            request.header(IDEMPOTENCY_KEY, &key)
        };
        match self.changed(path, request(), RetryRule::Unchanged).await {
            Err(error @ ClientError::Unsure { .. })
                if error.is_retryable() && self.takes_keys(route).await =>
            {
                self.changed(path, request(), RetryRule::Always).await
            }
            answer => answer,
        }
    }

    /// Whether the server makes things once. One of an earlier version passes over keys, and would make another thing.
    async fn takes_keys(&self, route: &str) -> bool {
        let Ok(document) = self.get::<serde_json::Value>(route::OPENAPI).await else {
            return false;
        };
        let parameters = &document["paths"][route]["post"]["parameters"];
        let is_key = |parameter: &serde_json::Value| {
            parameter["in"] == "header"
                && parameter["name"]
                    .as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY))
        };
        parameters.as_array().is_some_and(|all| all.iter().any(is_key))
    }
}

/// A key that no other request has.
fn new_key() -> Option<String> {
    let (high, low) = (getrandom::u64().ok()?, getrandom::u64().ok()?);
    Some(format!("{high:016x}{low:016x}"))
}
