//! People and tokens.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::{EnvironmentRoles, Role, TokenLimits};
use slipway_wire::access::{
    CreatePrincipal, CreateToken, LoginRequest, Principal, Token, TokenCreated, TokenSecret,
};
use slipway_wire::problem::Problem;
use slipway_wire::route;

use super::actions::{Action, action};
use crate::api::{Answer, escape, invalid};
use crate::form::{Fields, Sent, parse_each, words};
use crate::layout;
use crate::query::Query;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

pub(super) async fn show(ui: Ui) -> Reply {
    page(&ui, None).await
}

async fn page(ui: &Ui, refused: Option<&Problem>) -> Reply {
    let people = match ui.api.list::<Principal>(&Query::of(route::PRINCIPALS)).await {
        Ok(people) => people,
        Err(refused) if refused.status == StatusCode::FORBIDDEN => Vec::new(),
        Err(refused) => return Err(refused.into()),
    };
    let lasting = Query::of(route::TOKENS).with("session", false).with("good", true);
    let tokens: Vec<Token> = ui.api.list(&lasting).await?;
    let content = html! {
        (layout::alert(refused))
        h1 { "Access" }
        @if !people.is_empty() { section #people aria-labelledby="people-title" {
            h2 #people-title { "People and machines" }
            (principals(ui, &people))
            @if ui.role() == Role::Admin { (new_principal(ui)) }
        } }
        section #tokens aria-labelledby="tokens-title" {
            h2 #tokens-title { "Tokens" }
            (token_table(ui, &tokens))
            (new_token(ui, &people))
        }
        p { a href="/sessions" { "Sessions of browsers" } }
    };
    Ok(layout::with_status(ui.page("Access", &content), refused))
}

fn principals(ui: &Ui, people: &[Principal]) -> Markup {
    html! { div.scroll { table {
        thead { tr { th { "Name" } th { "Role" } th { "In single environments" } th { "Made" } th { } } }
        tbody { @for person in people { tr {
            th scope="row" { (person.name) @if person.disabled_at.is_some() { " " (view::badge(Tone::Idle, "disabled")) } }
            td { (person.role) }
            td { @for (environment, role) in &person.environment_roles.0 { (environment) ": " (role) " " } }
            td { (view::ago(ui.now, person.created_at)) }
            td { @if ui.role() == Role::Admin && person.disabled_at.is_none() && person.name.as_str() != ui.name() {
                (action(ui, &Action { to: &format!("/access/people/{}", person.name), name: "Disable", what: "disable",
                    meaning: "All its tokens stop working at once. It cannot be undone.", danger: true }, &html! {}))
            } }
        } } }
    } } }
}

fn new_principal(ui: &Ui) -> Markup {
    action(
        ui,
        &Action {
            to: "/access/people",
            name: "New principal",
            what: "create",
            meaning: "A person or a machine. It can do nothing before it has a token.",
            danger: false,
        },
        &html! {
            label { "Name" input name="name" required; }
            label { "Role" select name="role" { @for role in [Role::Viewer, Role::Deployer, Role::Approver, Role::Admin] { option { (role) } } } }
            label { "Other roles in single environments" input name="roles" placeholder="staging=deployer prod=viewer"; }
        },
    )
}

fn token_table(ui: &Ui, tokens: &[Token]) -> Markup {
    html! { @if tokens.is_empty() { p.empty { "None." } } @else { div.scroll { table {
        thead { tr { th { "For" } th { "Whose" } th { "Limits" } th { "Made" } th { "Used" } th { "Ends" } th { } } }
        tbody { @for token in tokens { tr {
            th scope="row" { (view::words(&token.label)) }
            td { @if let Some(name) = &token.principal { (name) } @if let Some(host) = &token.host { a href={ "/hosts/" (host) } { (host) } } }
            td { (token.limits.words()) }
            td { (view::ago(ui.now, token.created_at)) }
            td { (view::ago_opt(ui.now, token.last_used_at)) }
            td { @match (token.revoked_at, token.expires_at) {
                (Some(at), _) => { "revoked " (view::ago(ui.now, at)) }
                (None, Some(at)) => (view::ago(ui.now, at)),
                (None, None) => { span.faint { "never" } }
            } }
            td { @if token.revoked_at.is_none() {
                (action(ui, &Action { to: &format!("/access/tokens/{}", token.id), name: "Revoke", what: "revoke",
                    meaning: "It and all that were made with it stop working at once.", danger: true }, &html! {}))
            } }
        } } }
    } } } }
}

/// A token that lasts is not made with the session alone: whoever finds a browser open must not leave with more.
fn new_token(ui: &Ui, people: &[Principal]) -> Markup {
    action(
        ui,
        &Action {
            to: "/access/tokens",
            name: "New token",
            what: "create",
            meaning: "A token that outlasts this session is made with your own token, or with the password of admin. It ends with the token that makes it.",
            danger: false,
        },
        &html! {
            label { "For" input name="label" required maxlength="100" placeholder="CI of the shop"; }
            @if ui.role() == Role::Admin { label { "Whose" select name="principal" {
                option value="" { (ui.name()) }
                @for person in people.iter().filter(|person| person.disabled_at.is_none() && person.name.as_str() != ui.name()) { option { (person.name) } }
            } } }
            label { "Days" input type="number" name="days" min="1" max="3650" value="90"; }
            label { "Only these environments" input name="environments" placeholder="staging prod"; }
            label { "Only these commands" input name="commands" placeholder="release start"; }
            label { "Only these hosts" input name="hosts"; }
            label { "Your token" input type="password" name="token" autocomplete="off"; }
            label { "or the password of admin" input type="password" name="password" autocomplete="off"; }
        },
    )
}

/// A secret that is shown now and never again.
pub(super) fn shown_once(token: &TokenCreated, what: &str) -> Markup {
    html! {
        div.secret {
            p { strong { "Copy it now: it is not shown again." } " " (what) }
            pre #secret tabindex="0" { (token.token.expose()) }
            button type="button" data-copy="secret" hidden { "Copy" }
            @if let Some(at) = token.expires_at { p.faint { "It works until " (view::at(at)) "." } }
        }
    }
}

pub(super) async fn create_principal(Sent { ui, fields }: Sent) -> Reply {
    let done = async {
        let new = CreatePrincipal {
            name: fields.parse("name", "The name")?,
            role: fields.parse("role", "The role")?,
            environment_roles: roles(fields.text("roles"))?,
        };
        ui.api
            .post::<Principal>(route::PRINCIPALS, &new, fields.once())
            .await
    };
    back(&ui, done.await.map(drop)).await
}

fn roles(text: &str) -> Answer<EnvironmentRoles> {
    let pairs = text.split_whitespace().map(|pair| {
        let (name, role) = pair.split_once('=').ok_or_else(|| {
            invalid(format!(
                "`{pair}` is no role in an environment: write staging=deployer"
            ))
        })?;
        let name = name
            .parse()
            .map_err(|error| invalid(format!("the environment `{name}`: {error}")))?;
        let role = role
            .parse()
            .map_err(|error| invalid(format!("the role `{role}`: {error}")))?;
        Ok((name, role))
    });
    Ok(EnvironmentRoles(pairs.collect::<Answer<_>>()?))
}

pub(super) async fn disable_principal(Path(name): Path<String>, Sent { ui, .. }: Sent) -> Reply {
    let done = ui.api.delete(&route::fill(route::PRINCIPAL, escape(&name))).await;
    back(&ui, done).await
}

pub(super) async fn revoke_token(Path(id): Path<String>, Sent { ui, .. }: Sent) -> Reply {
    let done = ui.api.delete(&route::fill(route::TOKEN, escape(&id))).await;
    back(&ui, done).await
}

async fn back(ui: &Ui, done: Answer<()>) -> Reply {
    match done {
        Ok(()) => Ok(Redirect::to("/access").into_response()),
        Err(refused) => page(ui, Some(&refused)).await,
    }
}

pub(super) async fn create_token(Sent { ui, fields }: Sent) -> Reply {
    match make(&ui, &fields).await {
        Ok(made) => {
            let content = html! { h1 { "New token" } (shown_once(&made, "It is for whoever will use it.")) p { a href="/access" { "Back to access" } } };
            Ok(ui.page("New token", &content))
        }
        Err(refused) => page(&ui, Some(&refused)).await,
    }
}

async fn make(ui: &Ui, fields: &Fields) -> Answer<TokenCreated> {
    let wish = CreateToken {
        principal: fields.parse_filled("principal", "The principal")?,
        label: fields.text("label").to_owned(),
        expires_in_days: fields.parse_filled("days", "The days")?,
        limits: TokenLimits {
            environments: names(fields.text("environments"), "the environment")?,
            commands: names(fields.text("commands"), "the command")?,
            hosts: names(fields.text("hosts"), "the host")?,
        },
        session: false,
    };
    if let Some(password) = Some(fields.verbatim("password")).filter(|text| !text.is_empty()) {
        let login = LoginRequest {
            name: "admin"
                .parse()
                .map_err(|error| invalid(format!("admin: {error}")))?,
            password: password.to_owned(),
            label: None,
            token: Some(wish),
        };
        return ui.api.post(route::LOGIN, &login, None).await;
    }
    let token = TokenSecret::new(fields.text("token").to_owned());
    ui.api
        .with_token(token)
        .post(route::TOKENS, &wish, fields.once())
        .await
}

/// The names of a limit; without any there is none.
fn names<T: FromStr<Err: Display> + Ord>(text: &str, what: &str) -> Answer<Option<BTreeSet<T>>> {
    let names: BTreeSet<T> = parse_each(words(text), what)?;
    Ok((!names.is_empty()).then_some(names))
}
