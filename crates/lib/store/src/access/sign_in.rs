//! The sign-in of somebody whom an identity provider knows.

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{EnvironmentRoles, PrincipalId, PrincipalName, Role, TokenId, TokenLimits};
use slipway_wire::access::Token;
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;

use super::revoke::revoke;
use super::tokens::{insert_token, token_event};
use super::{NewToken, TokenHash, TokenOwner};
use crate::audit::{append, digests, gate, kind};
use crate::error::OnConstraint;
use crate::{AuditKey, EventAuthor, Store, StoreError};

/// Somebody whom an identity provider knows, and what they may do from now on.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Follows from the provider and its own name for the person: nobody else ever has it.
    pub id: PrincipalId,
    /// What somebody new is called: the first of these names that is free.
    pub names: Vec<PrincipalName>,
    /// What they may do.
    pub role: Role,
    /// What they may do in single environments, in place of that.
    pub environment_roles: EnvironmentRoles,
    /// Who it is and why they have these roles, for the audit log.
    pub about: String,
    /// The id of the session's token. It follows from the sign-in, so that none counts twice.
    pub token: TokenId,
    /// The hash of that token.
    pub hash: TokenHash,
    /// What the token is for, for people.
    pub label: String,
    /// The most that the session lasts.
    pub expires_in_seconds: u32,
    /// How long it lasts without a request.
    pub idle_seconds: u32,
}

/// The row of somebody who signs in.
struct Known {
    name: PrincipalName,
    role: Role,
    environment_roles: EnvironmentRoles,
    is_disabled: bool,
}

impl Store {
    /// Begins a session of a person, who is made if there is none of this id, and gets these roles in place of others.
    ///
    /// Fails with [`StoreError::ActorDisabled`] if an admin took the person out of use, and with [`StoreError::SignInUsed`]
    /// if there is a token of this id.
    #[instrument(name = "db.principal.sign_in", level = "debug", skip_all)]
    pub async fn sign_in(
        &self,
        person: &SignIn,
        key: &AuditKey,
    ) -> Result<(PrincipalName, Token), StoreError> {
        self.transaction(async |tx| {
            let (known, is_new) = find_or_insert(tx, person).await?;
            if !is_new {
                gate::role(tx, key, person.id).await?;
            }
            let name = known.name;
            if known.is_disabled {
                return Err(StoreError::ActorDisabled { name });
            }
            let is_same = known.role == person.role && known.environment_roles == person.environment_roles;
            let mut events = Vec::new();
            if is_new || !is_same {
                let roles = (person.role, &person.environment_roles);
                events.push(give_roles(tx, key, person.id, roles, &person.about).await?);
            }
            let by = EventAuthor::new(Actor::Principal(name.clone()), key);
            let by = by.making(Some(person.token.as_uuid()));
            let new = NewToken {
                owner: TokenOwner::Principal(person.id),
                label: person.label.clone(),
                hash: person.hash,
                expires_in_seconds: Some(person.expires_in_seconds),
                parent: None,
                limits: TokenLimits::default(),
                idle_seconds: Some(person.idle_seconds),
            };
            let token = insert_token(tx, &new, &by)
                .await
                .on_constraint("tokens_pkey", || StoreError::SignInUsed)?;
            events.push(token_event(tx, &by, &token, new.owner).await?);
            append(tx, key, &events).await?;
            Ok((name, token))
        })
        .await
    }

    /// Takes the roles from somebody who has none any more: sessions end, and other tokens may only look. Roles that come
    /// back with a later sign-in count for these tokens again. Gives the name of the person, if there was something to take.
    #[instrument(name = "db.principal.take_roles", level = "debug", skip_all)]
    pub async fn take_roles(
        &self,
        id: PrincipalId,
        about: &str,
        key: &AuditKey,
    ) -> Result<Option<PrincipalName>, StoreError> {
        self.transaction(async |tx| {
            let Some(known) = find(tx, id).await? else {
                return Ok(None);
            };
            if known.is_disabled {
                return Ok(None);
            }
            gate::role(tx, key, id).await?;
            let none = EnvironmentRoles::default();
            let mut events = Vec::new();
            if known.role != Role::Viewer || known.environment_roles != none {
                events.push(give_roles(tx, key, id, (Role::Viewer, &none), about).await?);
            }
            let sessions = sqlx::query_scalar!(
                "SELECT id FROM tokens WHERE principal_id = $1 AND idle_seconds IS NOT NULL AND revoked_at IS NULL",
                id.as_uuid()
            )
            .fetch_all(&mut *tx)
            .await?;
            let by = EventAuthor::new(Actor::Rules, key);
            events.extend(revoke(tx, &sessions, &by).await?);
            if events.is_empty() {
                return Ok(None);
            }
            append(tx, key, &events).await?;
            Ok(Some(known.name))
        })
        .await
    }
}

/// Gives a person these roles in place of others, and the event that says so.
async fn give_roles(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: PrincipalId,
    (role, environment_roles): (Role, &EnvironmentRoles),
    about: &str,
) -> Result<NewEvent, StoreError> {
    sqlx::query!(
        "UPDATE principals SET role = $2, environment_roles = $3 WHERE id = $1",
        id.as_uuid(),
        role.as_str(),
        Json(environment_roles) as _
    )
    .execute(&mut *tx)
    .await?;
    let now = digests::principals(tx, Some(id)).await?.pop();
    let now = now
        .ok_or_else(|| StoreError::not_found("principal", &id))?
        .decided();
    let cause = format!("{}{}: {about}", now.cause, environment_roles.words());
    let by = EventAuthor::new(Actor::Rules, key);
    Ok(by.event(kind::PRINCIPAL_CREATED, cause).deciding(&now.digest))
}

/// The row of somebody who was here before, locked.
async fn find(tx: &mut PgConnection, id: PrincipalId) -> Result<Option<Known>, StoreError> {
    Ok(sqlx::query_as!(
        Known,
        r#"SELECT name AS "name: _", role AS "role: _", environment_roles AS "environment_roles: EnvironmentRoles",
                      disabled_at IS NOT NULL AS "is_disabled!"
               FROM principals WHERE id = $1 FOR NO KEY UPDATE"#,
        id.as_uuid()
    )
    .fetch_optional(tx)
    .await?)
}

/// The person's row, locked, and whether it was made just now.
async fn find_or_insert(tx: &mut PgConnection, person: &SignIn) -> Result<(Known, bool), StoreError> {
    let mut names = person.names.iter();
    let mut is_new = false;
    loop {
        if let Some(known) = find(tx, person.id).await? {
            return Ok((known, is_new));
        }
        let taken = || StoreError::NameTaken {
            what: "principal",
            name: person
                .names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let name = names.next().ok_or_else(taken)?;
        // Nothing is made if somebody has the name, or if the person signs in elsewhere at this moment.
        let made = sqlx::query!(
            "INSERT INTO principals (id, name, role, environment_roles) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            person.id.as_uuid(),
            name.as_str(),
            person.role.as_str(),
            Json(&person.environment_roles) as _
        )
        .execute(&mut *tx)
        .await?;
        is_new = made.rows_affected() == 1;
    }
}
