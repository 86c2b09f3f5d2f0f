//! The routes of destinations of messages.

use reqwest::Method;
use slipway_domain::{DeliveryId, DestinationName};
use slipway_wire::message::{
    CreateDestination, Delivery, DeliveryQuery, Destination, DestinationCreated, Replayed, UpdateDestination,
};
use slipway_wire::page::Page;
use slipway_wire::route::{self, fill};

use crate::{Client, ClientError};

impl Client {
    /// All destinations of messages.
    pub async fn destinations(&self) -> Result<Vec<Destination>, ClientError> {
        let page: Page<Destination> = self.get(route::DESTINATIONS).await?;
        Ok(page.items)
    }

    /// A new destination, with the secret that a webhook verifies signatures with.
    pub async fn create_destination(
        &self,
        new: &CreateDestination,
    ) -> Result<DestinationCreated, ClientError> {
        self.make(route::DESTINATIONS, route::DESTINATIONS, new).await
    }

    /// One destination.
    pub async fn destination(&self, name: &DestinationName) -> Result<Destination, ClientError> {
        self.get(&fill(route::DESTINATION, name)).await
    }

    /// Changes a destination.
    pub async fn update_destination(
        &self,
        name: &DestinationName,
        change: &UpdateDestination,
    ) -> Result<Destination, ClientError> {
        self.change(Method::PATCH, &fill(route::DESTINATION, name), change)
            .await
    }

    /// Deletes a destination with its deliveries.
    pub async fn delete_destination(&self, name: &DestinationName) -> Result<(), ClientError> {
        self.delete(&fill(route::DESTINATION, name)).await
    }

    /// Sends a test to a destination. The answer comes before it is sent.
    pub async fn test_destination(&self, name: &DestinationName) -> Result<Delivery, ClientError> {
        let path = fill(route::DESTINATION_TEST, name);
        self.make(route::DESTINATION_TEST, &path, &serde_json::json!({}))
            .await
    }

    /// Deliveries to a destination, the newest first.
    pub async fn deliveries(
        &self,
        name: &DestinationName,
        query: &DeliveryQuery,
    ) -> Result<Page<Delivery>, ClientError> {
        self.get_with(&fill(route::DELIVERIES, name), query, None).await
    }

    /// One delivery.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Delivery, ClientError> {
        self.get(&fill(route::DELIVERY, id)).await
    }

    /// Sends all that is dead of a destination again.
    pub async fn replay_destination(&self, name: &DestinationName) -> Result<Replayed, ClientError> {
        self.post(&fill(route::DESTINATION_REPLAY, name), &serde_json::json!({}))
            .await
    }

    /// Sends a dead delivery again.
    pub async fn replay_delivery(&self, id: DeliveryId) -> Result<Delivery, ClientError> {
        self.post(&fill(route::DELIVERY_REPLAY, id), &serde_json::json!({}))
            .await
    }
}
