//! The handlers, one file a resource.

pub(crate) mod agent;
pub(crate) mod drafts;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod hosts;
pub(crate) mod login;
pub(crate) mod monitoring;
pub(crate) mod principals;
pub(crate) mod releases;
pub(crate) mod rollouts;
pub(crate) mod tokens;

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use http::StatusCode;
use slipway_domain::strategy::StrategyProblems;
use slipway_wire::access::{TokenCreated, TokenSecret};
use slipway_wire::page::Page;
use slipway_wire::problem::FieldProblem;

use crate::error::{ApiError, Result};

/// Everything that is wrong with a strategy, each with its field.
fn strategy_problems(problems: StrategyProblems) -> ApiError {
    let detail = problems.to_string();
    let fields = problems.0.into_iter().map(|problem| FieldProblem {
        field: format!("strategy.{}", problem.field),
        detail: problem.detail,
    });
    ApiError::Invalid(detail, fields.collect())
}

/// The last entry of the page before, as `next` gave it.
fn cursor<T>(after: Option<&str>) -> Result<Option<T>>
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
    after.map(read).transpose()
}

/// A page out of one entry more than it holds, which tells whether there is a next one.
fn page<T, W>(mut found: Vec<T>, limit: u32, id: impl Fn(&T) -> String, shown: impl Fn(T) -> W) -> Page<W> {
    let limit = limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(id) } else { None };
    Page {
        items: found.into_iter().map(shown).collect(),
        next,
    }
}

/// 201 with what was made: every `POST` that makes something is answered this way.
fn created<T>(made: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(made))
}

/// A new token as it is shown, once.
fn token_created(made: &slipway_store::Token, token: TokenSecret) -> TokenCreated {
    TokenCreated {
        id: made.id,
        token,
        expires_at: made.expires_at,
    }
}
