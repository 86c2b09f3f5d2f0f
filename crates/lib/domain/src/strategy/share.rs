//! Numbers and shares of a fleet, as people write them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::HostName;

/// A number of hosts, or a percentage of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many hosts.
    Number(u32),
    /// So many of every hundred, rounded down, but at least one.
    Percent(u32),
}

impl Share {
    /// The number of hosts this is in a fleet of `hosts`; at least one.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Number(n) => (n as usize).max(1),
            Self::Percent(p) => (hosts.saturating_mul(p as usize) / 100).max(1),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(n) => serializer.serialize_u32(*n),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShareVisitor;

        impl Visitor<'_> for ShareVisitor {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of hosts such as 2, or a percentage such as \"25%\"")
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Share, E> {
                u32::try_from(n)
                    .map(Share::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Share, E> {
                u32::try_from(n)
                    .map(Share::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(n), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Share, E> {
                text.strip_suffix('%')
                    .map_or_else(
                        || text.parse().map(Share::Number),
                        |p| p.parse().map(Share::Percent),
                    )
                    .map_err(|_| {
                        E::custom(format_args!(
                            "`{text}` is neither a number of hosts nor a percentage such as 25%"
                        ))
                    })
            }
        }

        deserializer.deserialize_any(ShareVisitor)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Share {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        OneOfBuilder::new()
            .description(Some(
                "A number of hosts, or a percentage of the fleet, rounded down but at least one host.",
            ))
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .minimum(Some(1))
                    .maximum(Some(u32::MAX as usize))
                    .examples([2]),
            )
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some("^[0-9]{1,3}%$"))
                    .examples(["25%"]),
            )
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Share {}

/// The hosts that go first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Canary {
    /// The first so many hosts by name.
    Number(u32),
    /// These hosts.
    Hosts(Vec<HostName>),
}

impl Canary {
    /// How many hosts go first.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Number(n) => *n as usize,
            Self::Hosts(hosts) => hosts.len(),
        }
    }

    /// Whether there is no canary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'de> Deserialize<'de> for Canary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CanaryVisitor;

        impl<'de> Visitor<'de> for CanaryVisitor {
            type Value = Canary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of hosts such as 1, or a list of host names such as [\"web-1\"]")
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Canary, E> {
                u32::try_from(n)
                    .map(Canary::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Canary, E> {
                u32::try_from(n)
                    .map(Canary::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(n), &self))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Canary, A::Error> {
                let mut hosts = Vec::new();
                while let Some(host) = seq.next_element()? {
                    hosts.push(host);
                }
                Ok(Canary::Hosts(hosts))
            }
        }

        deserializer.deserialize_any(CanaryVisitor)
    }
}
