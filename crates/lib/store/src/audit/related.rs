//! Which principals are related, according to the events. Somebody could empty columns for a moment.

use std::collections::HashSet;

use slipway_domain::{PrincipalId, PrincipalName};
use sqlx::PgConnection;

use super::{AuditKey, gate, sealed};
use crate::StoreError;

/// Whether one of two principals created the other or one of its tokens, directly or through others. Then one person
/// may control both.
pub(crate) async fn are_related(
    tx: &mut PgConnection,
    key: &AuditKey,
    one: PrincipalId,
    other: PrincipalId,
) -> Result<bool, StoreError> {
    Ok(makers(tx, key, one).await?.contains(&other) || makers(tx, key, other).await?.contains(&one))
}

/// Those of these who could approve what a principal starts, up to `enough`, and those who could not although they have the
/// role. One whom the audit log does not know so approves nothing.
pub(crate) async fn part_related(
    tx: &mut PgConnection,
    key: &AuditKey,
    of: PrincipalId,
    candidates: Vec<(PrincipalId, PrincipalName)>,
    enough: u64,
) -> Result<(u64, Vec<PrincipalName>), StoreError> {
    let own = match makers(tx, key, of).await {
        Err(StoreError::Tampered(_)) => return Ok((0, Vec::new())),
        own => own?,
    };
    let (mut unrelated, mut related) = (0, Vec::new());
    for (candidate, name) in candidates {
        if unrelated >= enough {
            break;
        }
        match makers(tx, key, candidate).await {
            Ok(makers) if own.contains(&candidate) || makers.contains(&of) => related.push(name),
            Ok(_) => unrelated += 1,
            Err(StoreError::Tampered(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((unrelated, related))
}

/// Everybody who has a hand in a principal.
async fn makers(
    tx: &mut PgConnection,
    key: &AuditKey,
    of: PrincipalId,
) -> Result<HashSet<PrincipalId>, StoreError> {
    let mut found = HashSet::new();
    let mut open = vec![of];
    while let Some(id) = open.pop() {
        for maker in direct_makers(tx, key, id).await? {
            if found.insert(maker) {
                open.push(maker);
            }
        }
    }
    Ok(found)
}

/// Who made a principal, and who made tokens of it. What a release before digests wrote names nobody.
async fn direct_makers(
    tx: &mut PgConnection,
    key: &AuditKey,
    of: PrincipalId,
) -> Result<Vec<PrincipalId>, StoreError> {
    // The digest of a principal's event covers who made it.
    let principal = gate::role(tx, key, of).await?;
    let tokens = sealed::of_tokens_made_for(tx, key, &principal.name).await?;
    let by: Vec<&str> = tokens
        .iter()
        .filter(|made| made.event.digest().is_some())
        .map(|made| made.event.actor.name())
        .collect();
    let makers = sqlx::query!(
        "SELECT id, name FROM principals WHERE id = $1 OR name = ANY($2)",
        principal.made_by,
        &by as _
    )
    .fetch_all(tx)
    .await?;
    // Nothing deletes or renames a principal.
    if let Some(gone) = by.iter().find(|name| makers.iter().all(|row| row.name != **name)) {
        return Err(StoreError::Tampered(format!(
            "principal {gone}, who made a token of {}, is not there",
            principal.name
        )));
    }
    Ok(makers
        .into_iter()
        .map(|row| PrincipalId::from_uuid(row.id))
        .collect())
}
