//! Logging in and out.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use slipway_client::ClientBuilder;
use slipway_domain::PrincipalName;
use slipway_text::plain;
use slipway_wire::access::{CreateToken, LoginRequest, TOKEN_PREFIX, TokenCreated, TokenSecret, Whoami};
use slipway_wire::problem::kind;

use crate::args::Login;
use crate::config::{self, SavedLogin};
use crate::context::{Context, refuse_readable, trust};
use crate::text::{clean, instant};
use crate::{CliFailure, Exit, stop};

#[derive(Serialize)]
struct LoggedIn<'a> {
    url: &'a str,
    whoami: &'a Whoami,
    config_file: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

pub(super) async fn login(context: &Context, login: Login) -> Result<(), CliFailure> {
    let (builder, ca_file) = context.anonymous()?;
    refuse_readable(&builder, "your password or token")?;
    let path = context.config_path()?;
    // The questions first: a signal that comes while they wait leaves nothing behind.
    let secret = if login.token_stdin {
        Secret::Token(token_from_stdin()?)
    } else {
        Secret::Password(password(
            &login.name,
            login.password_stdin,
            builder.url().as_str(),
        )?)
    };
    stop::or_stop(log_in(context, login, builder, ca_file, &path, secret)).await
}

enum Secret {
    Password(SecretString),
    Token(SecretString),
}

async fn log_in(
    context: &Context,
    login: Login,
    builder: ClientBuilder,
    ca_file: Option<PathBuf>,
    path: &Path,
    secret: Secret,
) -> Result<(), CliFailure> {
    let url = builder.url().to_string();
    let pending = config::prepare(path)?;
    let mut expires_at = None;
    let (token, token_id) = match secret {
        Secret::Token(token) => (token, None),
        Secret::Password(password) => {
            let request = LoginRequest {
                name: login.name,
                password: password.expose_secret().to_owned(),
                label: Some(login.label.map_or_else(machine_label, |label| plain(&label))),
                token: None,
            };
            let TokenCreated {
                id,
                token,
                expires_at: until,
            } = builder.clone().build()?.login(&request).await.map_err(explain)?;
            expires_at = until;
            (SecretString::from(token.expose()), Some(id))
        }
    };
    let whoami = builder.token(token.clone()).build()?.whoami().await?;
    pending.save(&SavedLogin {
        url: url.clone(),
        ca_file,
        token: TokenSecret::new(token.expose_secret().to_owned()),
        token_id,
    })?;

    let shown = LoggedIn {
        url: &url,
        whoami: &whoami,
        config_file: path,
        expires_at,
    };
    context.output.show(&shown, || {
        let until = expires_at.map(|at| format!(", until {}", instant(at)));
        format!(
            "logged in to {url} as {}{}\nthe token is in {}\n",
            who(&whoami),
            until.unwrap_or_default(),
            path.display()
        )
    })
}

/// A token that is made with the admin's password.
pub(super) async fn token(
    context: &Context,
    create: CreateToken,
    password: SecretString,
) -> Result<TokenCreated, CliFailure> {
    let (builder, _) = context.anonymous()?;
    let request = LoginRequest {
        name: admin()?,
        password: password.expose_secret().to_owned(),
        label: None,
        token: Some(create),
    };
    builder.build()?.login(&request).await.map_err(explain)
}

/// Asks for the admin's password.
pub(super) fn admin_password(context: &Context, from_stdin: bool) -> Result<SecretString, CliFailure> {
    let (builder, _) = context.anonymous()?;
    refuse_readable(&builder, "the password")?;
    password(&admin()?, from_stdin, builder.url().as_str())
}

fn admin() -> Result<PrincipalName, CliFailure> {
    "admin"
        .parse()
        .map_err(|error| CliFailure::internal(format!("{error}")))
}

pub(super) async fn logout(context: &Context, local: bool) -> Result<(), CliFailure> {
    let path = context.config_path()?;
    let Some(stored) = context.stored()? else {
        return context
            .output
            .show(&serde_json::json!({"logged_out": false}), || {
                "you were not logged in\n".to_owned()
            });
    };
    let mut revoked = false;
    if let Some(id) = stored.token_id.filter(|_| !local) {
        let mut builder = slipway_client::builder(&stored.url)?.token(stored.token.expose().into());
        if let Some(ca) = &stored.ca_file {
            builder = trust(builder, ca)?;
        }
        match builder.build()?.revoke_token(id).await {
            Ok(()) => revoked = true,
            // Revoked or expired already: nothing is left to do.
            Err(error) if error.is(kind::UNAUTHENTICATED) || error.is(kind::NOT_FOUND) => {}
            Err(error) => {
                let failure = CliFailure::from(error);
                return Err(if failure.exit() == Exit::Unavailable {
                    failure.help("try again later, or forget the token here without revoking it: slipway logout --local")
                } else {
                    failure
                });
            }
        }
    }
    config::forget(&path)?;
    let shown = serde_json::json!({"logged_out": true, "url": stored.url, "token_revoked": revoked});
    context.output.show(&shown, || {
        let token = if revoked { "; the token is revoked" } else { "" };
        format!("logged out of {}{token}\n", clean(&stored.url))
    })
}

pub(super) async fn whoami(context: &Context) -> Result<(), CliFailure> {
    let client = context.client()?;
    let whoami = client.whoami().await?;
    context
        .output
        .show(&whoami, || format!("{} at {}\n", who(&whoami), client.url()))
}

fn who(whoami: &Whoami) -> String {
    match whoami {
        Whoami::Principal {
            name,
            role,
            environment_roles,
            limits,
            ..
        } => {
            let mut text = format!("{name}, role {role}");
            for (environment, role) in &environment_roles.0 {
                let _ = write!(text, ", {role} in {environment}");
            }
            if !limits.is_none() {
                let _ = write!(text, "; the token is limited to the {}", limits.words());
            }
            text
        }
        Whoami::Host { name } => format!("the host {name}, which may only sync"),
    }
}

fn password(name: &PrincipalName, from_stdin: bool, url: &str) -> Result<SecretString, CliFailure> {
    let password = if from_stdin {
        let mut line = String::new();
        io::stdin()
            .lock()
            .take(64 * 1024)
            .read_line(&mut line)
            .map_err(|error| CliFailure::io("cannot read the password from stdin", &error))?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {name} at {url}: "))
            .map_err(|error| CliFailure::io("cannot read the password", &error))?
    } else {
        return Err(
            CliFailure::usage("there is no terminal to ask for the password on")
                .help("give it on stdin with --password-stdin, or use SLIPWAY_TOKEN_FILE"),
        );
    };
    if password.is_empty() {
        return Err(CliFailure::usage("the password is empty"));
    }
    Ok(password.into())
}

fn token_from_stdin() -> Result<SecretString, CliFailure> {
    let token = if io::stdin().is_terminal() {
        rpassword::prompt_password("Token: ")
            .map_err(|error| CliFailure::io("cannot read the token", &error))?
    } else {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(64 * 1024)
            .read_to_string(&mut text)
            .map_err(|error| CliFailure::io("cannot read the token from stdin", &error))?;
        text
    };
    let token = token.trim();
    if token.starts_with(TOKEN_PREFIX) {
        Ok(token.into())
    } else {
        Err(CliFailure::usage("what stdin gave is no token").help(format!(
            "a token begins with {TOKEN_PREFIX}; `slipway token create` makes one"
        )))
    }
}

fn explain(error: slipway_client::ClientError) -> CliFailure {
    let wrong = error.is(kind::UNAUTHENTICATED);
    let failure = CliFailure::from(error);
    if wrong {
        failure.help(
            "the admin's password is what the API has as ADMIN_PASSWORD; others log in with --token-stdin",
        )
    } else {
        failure
    }
}

/// What the token is for when nobody said: this machine.
fn machine_label() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    format!(
        "slipway login on {}",
        if name.is_empty() { "some machine" } else { name }
    )
}
