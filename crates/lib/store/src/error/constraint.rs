//! What a broken constraint means.

use sqlx::error::DatabaseError;

use super::StoreError;

/// Translates a violated constraint.
pub(crate) trait OnConstraint<T> {
    /// `meaning` when the constraint of this name was broken.
    fn on_constraint(self, name: &str, meaning: impl FnOnce() -> StoreError) -> Result<T, StoreError>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, meaning: impl FnOnce() -> StoreError) -> Result<T, StoreError> {
        self.map_err(|error| {
            let broken = error.as_database_error().and_then(DatabaseError::constraint);
            if broken == Some(name) {
                meaning()
            } else {
                error.into()
            }
        })
    }
}
