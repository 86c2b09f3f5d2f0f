//! What the database says, in terms of the caller.

use sqlx::error::DatabaseError;

use super::StoreError;

/// Kinds of what the database says.
enum DatabaseErrorKind {
    Unavailable,
    LoginRefused(&'static str),
    Unstorable,
    Constraint(String),
    Other,
}

/// By SQLSTATE (Postgres, appendix A).
fn kind_of(error: &dyn DatabaseError) -> DatabaseErrorKind {
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        // Serialization failure, deadlock, lock not available, statement cancelled, read-only standby.
        "40001" | "40P01" | "55P03" | "57014" | "25006" | "25P03" => DatabaseErrorKind::Unavailable,
        "28P01" => DatabaseErrorKind::LoginRefused(
            "there is no role DATABASE_USER with the password of the DATABASE_ settings; correct them, or give the role \
             that password (NixOS does that: systemctl restart STACK-database.service on the host with the database; for \
             Docker Compose see deploy/compose/README.md)",
        ),
        "28000" => DatabaseErrorKind::LoginRefused(
            "there is no such role, or it may not come in this way; make it, correct DATABASE_USER, or allow it in \
             pg_hba.conf",
        ),
        // Postgres says it of garbage, a pooler of what it does not pass on.
        "08P01" => DatabaseErrorKind::LoginRefused(
            "what is in front of the database refuses how the program begins; for PgBouncer, set \
             ignore_startup_parameters = extra_float_digits, options (see docs/database.md)",
        ),
        "3D000" => {
            DatabaseErrorKind::LoginRefused("there is no such database; make it, or correct DATABASE_NAME")
        }
        "22021" | "22P05" => DatabaseErrorKind::Unstorable,
        // Connection exception, insufficient resources, operator intervention, system error.
        code if ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            DatabaseErrorKind::Unavailable
        }
        code if code.starts_with("23") => {
            DatabaseErrorKind::Constraint(error.constraint().unwrap_or_else(|| error.message()).to_owned())
        }
        _ => DatabaseErrorKind::Other,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        if matches!(error, E::PoolTimedOut) {
            crate::pool::count_timeout();
        }
        match &error {
            E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Unavailable(error),
            E::ColumnDecode { index, source } => Self::Corrupt {
                what: "row",
                detail: format!("column {index}: {source}"),
            },
            E::Decode(source) => Self::Corrupt {
                what: "row",
                detail: source.to_string(),
            },
            E::Database(database) => match kind_of(database.as_ref()) {
                DatabaseErrorKind::Unavailable => Self::Unavailable(error),
                DatabaseErrorKind::LoginRefused(cure) => Self::LoginRefused { cure, source: error },
                DatabaseErrorKind::Unstorable => Self::Unstorable(error),
                DatabaseErrorKind::Constraint(constraint) => Self::Conflict {
                    constraint,
                    source: error,
                },
                DatabaseErrorKind::Other => Self::Query(error),
            },
            _ => Self::Query(error),
        }
    }
}

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

/// For another constraint of the same statement.
impl<T> OnConstraint<T> for Result<T, StoreError> {
    fn on_constraint(self, name: &str, meaning: impl FnOnce() -> StoreError) -> Self {
        self.map_err(|error| match error {
            StoreError::Conflict { constraint, .. } if constraint == name => meaning(),
            error => error,
        })
    }
}
