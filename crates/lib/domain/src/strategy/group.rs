//! Groups of hosts that go one after the other.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Canary, Share};
use crate::labels::Selector;

/// Hosts that go together, and how. As JSON it is the text that names the hosts, or an object with more fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which hosts: those with these labels that no earlier group has.
    pub hosts: Selector,
    /// Its canary; the strategy's when left out.
    pub canary: Option<Canary>,
    /// Hosts a wave; the strategy's when left out. A share is one of the group.
    pub batch: Option<Share>,
    /// Hosts of the group that may be out at once. The strategy's bound for the environment holds as well.
    pub max_unavailable: Option<Share>,
}

impl Group {
    /// The hosts with these labels, and nothing else said.
    #[must_use]
    pub const fn of(hosts: Selector) -> Self {
        Self {
            hosts,
            canary: None,
            batch: None,
            max_unavailable: None,
        }
    }
}

/// The object form. A field that is missing is one that was left out.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Group")]
struct LooseGroup {
    hosts: Selector,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_unavailable: Option<Share>,
}

/// The object form from people: an unknown field is a typing error.
#[derive(Deserialize)]
#[serde(remote = "Group", deny_unknown_fields)]
struct StrictGroup {
    hosts: Selector,
    #[serde(default)]
    canary: Option<Canary>,
    #[serde(default)]
    batch: Option<Share>,
    #[serde(default)]
    max_unavailable: Option<Share>,
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::of(self.hosts.clone()) {
            self.hosts.serialize(serializer)
        } else {
            LooseGroup::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GroupVisitor::<false>)
    }
}

/// A group that a person wrote.
struct WrittenGroup(Group);

impl<'de> Deserialize<'de> for WrittenGroup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GroupVisitor::<true>).map(Self)
    }
}

/// Groups that a person wrote.
pub(super) fn deserialize_strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Group>, D::Error> {
    let groups = Vec::<WrittenGroup>::deserialize(deserializer)?;
    Ok(groups.into_iter().map(|WrittenGroup(group)| group).collect())
}

struct GroupVisitor<const STRICT: bool>;

impl<'de, const STRICT: bool> Visitor<'de> for GroupVisitor<STRICT> {
    type Value = Group;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels such as \"role=db\", or an object such as {\"hosts\": \"role=db\", \"max_unavailable\": 1}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Group, E> {
        text.parse().map(Group::of).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Group, A::Error> {
        let fields = MapAccessDeserializer::new(map);
        if STRICT {
            StrictGroup::deserialize(fields)
        } else {
            LooseGroup::deserialize(fields)
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SelectorVisitor;

        impl Visitor<'_> for SelectorVisitor {
            type Value = Selector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels such as \"role=db\" or \"role=db,zone=a\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Selector, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(SelectorVisitor)
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
    use utoipa::openapi::{Ref, RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::Group;
    use crate::labels::MAX_SELECTOR;
    use crate::strategy::{Canary, Share};

    fn selector() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(MAX_SELECTOR))
            .description(Some("Labels that a host must have, all of them."))
            .examples(["role=db", "role=db,zone=a"])
    }

    impl PartialSchema for Group {
        fn schema() -> RefOr<Schema> {
            let fields = ObjectBuilder::new()
                .property("hosts", selector())
                .property("canary", Ref::from_schema_name(Canary::name()))
                .property("batch", Ref::from_schema_name(Share::name()))
                .property("max_unavailable", Ref::from_schema_name(Share::name()))
                .required("hosts");
            OneOfBuilder::new()
                .description(Some(
                    "Hosts that go together: the labels that name them, or an object with what else is to hold for them.",
                ))
                .item(selector())
                .item(fields)
                .into()
        }
    }

    impl ToSchema for Group {
        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((Canary::name().into_owned(), Canary::schema()));
            schemas.push((Share::name().into_owned(), Share::schema()));
            Canary::schemas(schemas);
        }
    }
}
