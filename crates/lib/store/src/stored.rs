//! What is stored, with the id that the API does not show.

use std::ops::Deref;

/// An entity as the API shows it, and its id in the database. People know it by its name, so the API leaves the id out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<Id, T> {
    /// Its id.
    pub id: Id,
    /// What is shown of it.
    pub value: T,
}

impl<Id, T> Deref for Stored<Id, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
