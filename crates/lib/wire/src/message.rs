//! Destinations of messages, the messages themselves, and their deliveries.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::{
    DeliveryId, DeliveryState, DestinationKind, DestinationName, EnvironmentName, HostName, MessageKind,
    ReleaseId, RolloutId,
};

use crate::release::ReleaseLabel;

/// The most hosts that a message names.
pub const MAX_HOSTS: usize = 20;
/// The most recipients of an e-mail.
pub const MAX_RECIPIENTS: usize = 20;
/// The most characters of a recipient.
pub const MAX_RECIPIENT_CHARS: usize = 254;
/// The most characters of a room.
pub const MAX_ROOM_CHARS: usize = 255;
/// The most destinations that there may be.
pub const MAX_DESTINATIONS: i64 = 100;

/// A text that is shown once or never, and never in a Debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(transparent)]
pub struct Confidential(String);

impl Confidential {
    /// Wraps a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(redacted)")
    }
}

/// `POST /destinations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDestination {
    /// Its name.
    pub name: DestinationName,
    /// How it takes messages.
    pub kind: DestinationKind,
    /// Where: the webhook's address, or that of the Matrix server. It is stored encrypted, and only its beginning is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Confidential>,
    /// The room of Matrix, such as `!abc:example.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The access token of the account of Matrix that writes. It is stored encrypted and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Confidential>,
    /// Who gets the e-mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Only messages about these environments; about all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentName>,
    /// Only messages of these kinds; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageKind>,
}

/// `PATCH /destinations/{name}`: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateDestination {
    /// Whether it gets messages. What waits for a disabled one is dead, and can be replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who gets the e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Vec<String>>,
    /// Only messages about these environments; about all when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<EnvironmentName>>,
    /// Only messages of these kinds; all when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageKind>>,
}

/// A destination of messages, without what gives access to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Destination {
    /// Its name.
    pub name: DestinationName,
    /// How it takes messages.
    pub kind: DestinationKind,
    /// The beginning of its address; of e-mail there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The room of Matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Who gets the e-mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Only messages about these environments; about all when empty.
    #[serde(default)]
    pub environments: Vec<EnvironmentName>,
    /// Only messages of these kinds; all when empty.
    #[serde(default)]
    pub messages: Vec<MessageKind>,
    /// Whether it gets messages.
    pub enabled: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_because: Option<String>,
    /// Deliveries that are to be sent, or sent again.
    pub waiting: u32,
    /// Deliveries that are sent no more, unless somebody replays them.
    pub dead: u32,
    /// When it last took a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// Why the oldest message that waits to be sent again was not taken: the destination fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// A new destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DestinationCreated {
    /// It.
    pub destination: Destination,
    /// What a webhook verifies signatures with. It is shown now and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Confidential>,
}

/// A message: the body of a webhook of kind `standard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: MessageKind,
    /// When that happened, or was found.
    pub timestamp: DateTime<Utc>,
    /// What there is to say of it.
    pub data: MessageData,
}

/// What a message says. What hosts wrote is not in it, but for their names and those of their stacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageData {
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The page of it, if the control plane knows its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// The rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// Its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// The commit of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// The hosts it is about, or those in trouble: at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<MessageHost>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub host_count: u32,
    /// The person or machine with a token who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Which reminder it is: 1 is the first after the message itself.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub reminder: u32,
    /// The rollout's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_number: Option<u64>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
}

/// A host that a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageHost {
    /// Its name.
    pub name: HostName,
    /// What is so there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A message to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Its id, the same each time that it is sent: `webhook-id`.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationName,
    /// What it says.
    pub message: Message,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it is sent next at the earliest; none once that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
    /// Why it was not taken the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was delivered, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// The earlier delivery that it waits for: messages of one rollout or one environment keep their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<EarlierDelivery>,
}

impl Delivery {
    /// What a waiting delivery waits for; nothing where it is next to be sent.
    #[must_use]
    pub fn waits_for_words(&self) -> Option<String> {
        let earlier = self.waits_for.as_ref()?;
        let of = match (earlier.rollout_number, &earlier.environment) {
            (Some(number), _) => format!(" of rollout #{number}"),
            (None, Some(environment)) => format!(" of {environment}"),
            (None, None) => String::new(),
        };
        Some(match earlier.kind {
            Some(kind) => format!("waits for {kind}{of}"),
            None => "waits for a message that a newer program wrote".to_owned(),
        })
    }
}

/// A delivery before another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EarlierDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// What its message is about; left out where a newer program wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MessageKind>,
    /// The number of its rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_number: Option<u64>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
}

/// The query of `GET /destinations/{name}/deliveries`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// `next` of the page before; none for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// 1 to 500; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// How many deliveries are to be sent again.
    pub replayed: u32,
}
