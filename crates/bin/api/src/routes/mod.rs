//! The handlers, one file a resource.

mod agent;
mod attachments;
mod deliveries;
mod destination_checks;
mod destinations;
mod drafts;
mod environments;
mod events;
mod fleet;
mod freezes;
mod hosts;
mod kept;
mod login;
pub(crate) mod monitoring;
mod oidc;
mod output;
mod plans;
mod preflight;
mod principals;
mod releases;
mod rollouts;
pub(crate) mod tokens;

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use http::StatusCode;
use slipway_domain::strategy::StrategyProblems;
use slipway_domain::{EnvironmentId, EnvironmentName};
use slipway_store::Stored;
use slipway_wire::access::{Token, TokenCreated, TokenSecret};
use slipway_wire::page::Page;
use slipway_wire::problem::FieldProblem;

use crate::endpoint::Endpoint;
use crate::error::{ApiError, Result};
use crate::extract::page_limit;
use crate::state::App;

/// What is shown: the answer of most routes.
type Answer<T> = Result<Json<T>>;
/// What was made, with 201.
pub(crate) type Created<T> = Result<(StatusCode, Json<T>)>;

/// Every route there is.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    let all = [
        login::endpoints(),
        oidc::endpoints(),
        principals::endpoints(),
        tokens::endpoints(),
        environments::endpoints(),
        freezes::endpoints(),
        fleet::endpoints(),
        hosts::endpoints(),
        releases::endpoints(),
        attachments::endpoints(),
        kept::endpoints(),
        drafts::endpoints(),
        rollouts::endpoints(),
        plans::endpoints(),
        preflight::endpoints(),
        output::endpoints(),
        events::endpoints(),
        destinations::endpoints(),
        deliveries::endpoints(),
        agent::endpoints(),
        monitoring::endpoints(),
    ];
    all.into_iter().flatten().collect()
}

/// Everything that is wrong with a strategy, each with its field.
fn strategy_problems(problems: StrategyProblems) -> ApiError {
    let detail = problems.to_string();
    let fields = problems.0.into_iter().map(|problem| FieldProblem {
        field: format!("strategy.{}", problem.field),
        detail: problem.detail,
    });
    ApiError::Invalid(detail, fields.collect())
}

/// How many entries were asked for, and after which: the last of the page before, as `next` gave it.
fn requested_page<T>(limit: Option<u32>, after: Option<&str>) -> Result<(u32, Option<T>)>
where
    T: FromStr,
    T::Err: Display,
{
    let read = |text: &str| {
        text.parse().map_err(|error: T::Err| {
            let field = FieldProblem {
                field: "after".to_owned(),
                detail: error.to_string(),
            };
            ApiError::Malformed(
                format!("after: {error}; give `next` of the page before"),
                vec![field],
            )
        })
    };
    Ok((page_limit(limit)?, after.map(read).transpose()?))
}

/// The environment that a list is asked for, if one is.
async fn find_environment(app: &App, name: Option<&EnvironmentName>) -> Result<Option<EnvironmentId>> {
    Ok(match name {
        Some(name) => Some(app.store.get_environment_by_name(name).await?.id),
        None => None,
    })
}

/// A list that is never long, in one page.
fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next: None })
}

/// A page out of one entry more than it holds, which tells whether there is a next one.
fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> String) -> Page<T> {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(id) } else { None };
    Page { items, next }
}

/// 201 with what was made: every `POST` that makes something is answered this way.
pub(crate) fn created<T>(made: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(made))
}

/// What was made without its id, which people do not see.
fn value<Id, T>((status, Json(made)): (StatusCode, Json<Stored<Id, T>>)) -> (StatusCode, Json<T>) {
    (status, Json(made.value))
}

/// A new token as it is shown, once.
fn token_created(made: &Token, token: TokenSecret) -> TokenCreated {
    TokenCreated {
        id: made.id,
        token,
        expires_at: made.expires_at,
    }
}
