//! How people say which release or rollout they mean: by its number, its name or the beginning of its id. Or they say
//! where it stands in the order of its environment.
//!
//! What a text can mean follows from the text alone, so it never changes with what there is. Digits are a number. Four or
//! more hex digits are the beginning of an id. A name is refused if it could be read as one of these.

mod beginning;
mod name;

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{EnvironmentName, ReleaseId, RolloutId};

pub use beginning::{IdBeginning, MIN_BEGINNING, NoBeginning};
pub use name::{MAX_RELEASE_NAME, ReleaseName, ReleaseNameError};

/// The longest reference, in bytes: `previous@` and an environment.
pub const MAX_REFERENCE: usize = 72;

/// What has a number and an id by which it can be meant.
pub trait Referable: Copy + fmt::Display + FromStr {
    /// What it is called.
    const KIND: &'static str;
    /// Whether people can give it a name.
    const NAMED: bool;

    /// Wraps a UUID that is known to be this kind of id.
    fn from_uuid(id: Uuid) -> Self;
}

impl Referable for ReleaseId {
    const KIND: &'static str = "release";
    const NAMED: bool = true;

    fn from_uuid(id: Uuid) -> Self {
        Self::from_uuid(id)
    }
}

impl Referable for RolloutId {
    const KIND: &'static str = "rollout";
    const NAMED: bool = false;

    fn from_uuid(id: Uuid) -> Self {
        Self::from_uuid(id)
    }
}

/// Which release is meant.
pub type ReleaseRef = Reference<ReleaseId>;
/// Which rollout is meant.
pub type RolloutRef = Reference<RolloutId>;

/// Which one is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<Id> {
    /// The one with this id.
    Id(Id),
    /// The one with this number, written `12` or `#12`.
    Number(u64),
    /// The only one whose id begins so.
    Beginning(IdBeginning),
    /// The newest: of all, or of an environment, written `latest@prod`.
    Latest(Option<EnvironmentName>),
    /// The one before, written `previous` or `previous@prod`. Of releases it is the one that the environment ran before
    /// the present one, of rollouts the one before the newest.
    Previous(Option<EnvironmentName>),
    /// The release with this name.
    Name(ReleaseName),
}

impl<Id> Reference<Id> {
    /// Whether it can mean another one later.
    #[must_use]
    pub const fn moves(&self) -> bool {
        matches!(self, Self::Latest(_) | Self::Previous(_))
    }

    /// The same, of this environment where it names none.
    #[must_use]
    pub fn or_in(self, environment: &EnvironmentName) -> Self {
        match self {
            Self::Latest(None) => Self::Latest(Some(environment.clone())),
            Self::Previous(None) => Self::Previous(Some(environment.clone())),
            other => other,
        }
    }
}

impl<Id> From<Id> for Reference<Id> {
    fn from(id: Id) -> Self {
        Self::Id(id)
    }
}

impl<Id: Copy> From<&Self> for Reference<Id> {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

impl<Id: fmt::Display> fmt::Display for Reference<Id> {
    /// As it stands in a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, environment) = match self {
            Self::Id(id) => return id.fmt(f),
            Self::Number(number) => return number.fmt(f),
            Self::Beginning(beginning) => return beginning.fmt(f),
            Self::Name(name) => return name.fmt(f),
            Self::Latest(environment) => ("latest", environment),
            Self::Previous(environment) => ("previous", environment),
        };
        match environment {
            None => f.write_str(word),
            Some(environment) => write!(f, "{word}@{environment}"),
        }
    }
}

/// Text that means nothing of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` is no {kind}: give its number such as 12{}, 4 or more characters of the beginning of its id, latest or \
     previous, also of an environment as latest@prod",
    if *.named { ", its name" } else { "" }
)]
pub struct ReferenceError {
    kind: &'static str,
    named: bool,
    value: String,
}

impl<Id: Referable> FromStr for Reference<Id> {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let named = |name: ReleaseName| Id::NAMED.then_some(Self::Name(name));
        read(text)
            .or_else(|| named(text.parse().ok()?))
            .ok_or_else(|| ReferenceError {
                kind: Id::KIND,
                named: Id::NAMED,
                value: text.chars().take(80).collect(),
            })
    }
}

/// What a text means, unless it is a name.
fn read<Id: Referable>(text: &str) -> Option<Reference<Id>> {
    if let Ok(id) = text.parse() {
        return Some(Reference::Id(id));
    }
    if let Some(number) = number(text.strip_prefix('#').unwrap_or(text)) {
        return Some(Reference::Number(number));
    }
    let (word, environment) = match text.split_once('@') {
        None => (text, None),
        Some((word, environment)) => (word, Some(environment.parse().ok()?)),
    };
    match word {
        "latest" => Some(Reference::Latest(environment)),
        "previous" => Some(Reference::Previous(environment)),
        _ => text.parse().ok().map(Reference::Beginning),
    }
}

/// Digits that the database has a number for. No number begins with 0, and many ids do.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.starts_with('0') && digits.bytes().all(|c| c.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    i64::try_from(number).is_ok().then_some(number)
}

impl<Id: fmt::Display> Serialize for Reference<Id> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, Id: Referable> Deserialize<'de> for Reference<Id> {
    /// Text, or a number as such.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<Id>(PhantomData<Id>);

        impl<Id: Referable> Visitor<'_> for Read<Id> {
            type Value = Reference<Id>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "the number, the id or another name of a {}", Id::KIND)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Read(PhantomData))
    }
}

#[cfg(test)]
mod tests;
