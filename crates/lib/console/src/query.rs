//! Paths with a query, for requests and for links.

use std::fmt::{self, Display, Write as _};
use std::ops::Deref;

use crate::api::escape;

/// A path with the fields of its query.
#[derive(Debug, Clone)]
pub(crate) struct Query(String);

impl Query {
    /// A path, still without a field.
    pub(crate) fn of(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The same with one field more.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        let sign = if self.0.contains('?') { '&' } else { '?' };
        let _ = write!(self.0, "{sign}{name}={}", escape(&value.to_string()));
        self
    }

    /// The same with one field more, if there is a value for it.
    pub(crate) fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl Deref for Query {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_becomes_another_field() {
        let query = Query::of("/audit")
            .with("limit", 5)
            .with_some("before", None::<i64>)
            .with("kind", "a&b=c d#e");
        assert_eq!(query.to_string(), "/audit?limit=5&kind=a%26b%3Dc%20d%23e");
        assert_eq!(&*Query::of("/audit"), "/audit");
    }
}
