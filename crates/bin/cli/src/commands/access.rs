//! Tokens and principals.

use std::collections::BTreeSet;

use slipway_domain::{EnvironmentRoles, TokenLimits};
use slipway_text::plain;
use slipway_wire::access::{CreatePrincipal, CreateToken};

use super::secret::Sink;
use super::{List, login};
use crate::CliFailure;
use crate::args::{PrincipalCommand, TokenCommand};
use crate::context::Context;
use crate::stop;
use crate::table::{Cell, Table, Tone};
use crate::text::{ago, instant, maybe_instant};

pub(super) async fn token(context: &Context, command: TokenCommand) -> Result<(), CliFailure> {
    let output = context.output;
    match command {
        TokenCommand::Create {
            label,
            principal,
            expires_in_days,
            environments,
            commands,
            hosts,
            with_password,
            password_stdin,
            token_out,
        } => {
            // The question first: a signal that comes while it waits leaves nothing behind.
            let password = with_password
                .then(|| login::admin_password(context, password_stdin))
                .transpose()?;
            let sink = Sink::prepare(token_out.as_deref())?;
            let create = CreateToken {
                principal,
                label: plain(&label),
                expires_in_days,
                limits: TokenLimits {
                    environments: named(environments),
                    commands: named(commands),
                    hosts: named(hosts),
                },
                session: false,
            };
            let made = stop::or_stop(async {
                let made = match password {
                    Some(password) => login::token(context, create, password).await?,
                    None => context.client()?.create_token(&create).await?,
                };
                sink.take(made)
            })
            .await?;
            output.show(&made, || made.text())
        }
        TokenCommand::List => {
            let tokens = context.client()?.all_tokens().await?;
            output.show(&List { items: &tokens }, || {
                let now = (output.now)();
                let limited = tokens.iter().any(|token| !token.limits.is_none());
                let mut heads = vec!["TOKEN", "WHOSE", "LABEL", "STATE", "USED", "EXPIRES"];
                if limited {
                    heads.push("LIMITED TO");
                }
                let mut table = Table::new(&heads);
                for token in &tokens {
                    let whose = match (&token.principal, &token.host) {
                        (Some(name), _) => name.to_string(),
                        (None, Some(host)) => format!("host {host}"),
                        (None, None) => "-".to_owned(),
                    };
                    let state = match (token.revoked_at, token.expires_at) {
                        (Some(_), _) => Cell::new("revoked", Tone::Bad),
                        (None, Some(at)) if at <= now => Cell::new("expired", Tone::Bad),
                        _ => Cell::new("valid", Tone::Good),
                    };
                    let mut row: Vec<Cell> = vec![
                        token.id.to_string().into(),
                        whose.into(),
                        token.label.as_str().into(),
                        state,
                        ago(now, token.last_used_at).into(),
                        maybe_instant(token.expires_at).into(),
                    ];
                    if limited {
                        let words = token.limits.words();
                        row.push(Cell::maybe((!words.is_empty()).then_some(words)));
                    }
                    table.row(row);
                }
                table.render(output.colour, "no tokens")
            })
        }
        TokenCommand::Revoke { id } => {
            context.client()?.revoke_token(id).await?;
            output.show(&serde_json::json!({"revoked": id}), || {
                format!("revoked the token {id}\n")
            })
        }
    }
}

fn named<T: Ord>(all: Vec<T>) -> Option<BTreeSet<T>> {
    (!all.is_empty()).then(|| all.into_iter().collect())
}

pub(super) async fn principal(context: &Context, command: PrincipalCommand) -> Result<(), CliFailure> {
    let output = context.output;
    match command {
        PrincipalCommand::Create {
            name,
            role,
            environment_roles,
        } => {
            let create = CreatePrincipal {
                name,
                role,
                environment_roles: EnvironmentRoles(environment_roles.into_iter().collect()),
            };
            let made = context.client()?.create_principal(&create).await?;
            output.show(&made, || {
                format!(
                    "made the principal {name}, {}{elsewhere}\nnext: slipway token create --principal {name} --label TEXT\n",
                    made.role,
                    elsewhere = made.environment_roles.words(),
                    name = made.name
                )
            })
        }
        PrincipalCommand::List => {
            let principals = context.client()?.principals().await?;
            output.show(&List { items: &principals }, || {
                let mut table = Table::new(&["NAME", "ROLE", "STATE", "MADE"]);
                for principal in &principals {
                    let state = match principal.disabled_at {
                        Some(_) => Cell::new("disabled", Tone::Bad),
                        None => Cell::new("enabled", Tone::Good),
                    };
                    table.row([
                        principal.name.as_str().into(),
                        format!("{}{}", principal.role, principal.environment_roles.words()).into(),
                        state,
                        instant(principal.created_at).into(),
                    ]);
                }
                table.render(output.colour, "no principals")
            })
        }
        PrincipalCommand::Disable { name } => {
            context.client()?.disable_principal(&name).await?;
            output.show(&serde_json::json!({"disabled": name}), || {
                format!("disabled the principal {name} and all its tokens\n")
            })
        }
    }
}
