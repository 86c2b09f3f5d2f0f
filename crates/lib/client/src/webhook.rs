//! Signed messages to others' servers.

use reqwest::Method;
use slipway_webhook::{WebhookMessage, WebhookSecret};

use crate::client::RetryRule;
use crate::{Client, ClientError};

impl Client {
    /// Posts a message to this client's address, and sends it again while nobody answers. Any status from 200 to 299
    /// accepts it.
    pub async fn deliver(
        &self,
        message: &WebhookMessage<'_>,
        secret: &WebhookSecret,
    ) -> Result<(), ClientError> {
        let signature = secret.sign(message);
        let request = self
            .request(Method::POST, "", None)
            .header("content-type", "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp.to_string())
            .header("webhook-signature", signature)
            .body(message.body.to_owned());
        let answer = self.send(request, RetryRule::Always).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(ClientError::BadAnswer {
            url: self.url().to_string(),
            status: answer.status.as_u16(),
            detail: "the receiver did not take the message".to_owned(),
        })
    }
}
