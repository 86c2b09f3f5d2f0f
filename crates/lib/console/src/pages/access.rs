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
use slipway_wire::route;

use super::actions::{Action, action, nothing};
use crate::api::{Answer, escape, invalid};
use crate::form::{self, Fields, Sent};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// What may stand in the field for roles in single environments.
const ROLES_EXAMPLE: &str = "staging=deployer prod=viewer";

pub(super) async fn show(ui: Ui) -> Reply {
    page(&ui).await
}

async fn page(ui: &Ui) -> Reply {
    let people = match ui.api.list::<Principal>(&Query::of(route::PRINCIPALS)).await {
        Ok(people) => people,
        Err(refused) if refused.status == StatusCode::FORBIDDEN => Vec::new(),
        Err(refused) => return Err(refused.into()),
    };
    let lasting = Query::of(route::TOKENS).with("session", false).with("good", true);
    let tokens: Vec<Token> = ui.api.list(&lasting).await?;
    let content = html! {
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
    Ok(ui.page("Access", &content))
}

fn principals(ui: &Ui, people: &[Principal]) -> Markup {
    let may_disable = |person: &Principal| {
        ui.role() == Role::Admin && person.disabled_at.is_none() && person.name.as_str() != ui.name()
    };
    let rows = people.iter().map(|person| [
        html! { (person.name) @if person.disabled_at.is_some() { " " (view::badge(Tone::Idle, "disabled")) } },
        html! { (person.role) },
        html! { @for (environment, role) in &person.environment_roles.0 { (environment) ": " (role) " " } },
        view::ago(ui.now, person.created_at),
        html! { @if may_disable(person) {
            (action(ui, &Action { to: &format!("/access/people/{}", person.name), name: "Disable", what: "disable",
                meaning: "All its tokens stop working at once. It cannot be undone.", danger: true }, nothing))
        } },
    ]);
    table::of(["Name", "Role", "In single environments", "Made", "Do"], rows)
}

fn new_principal(ui: &Ui) -> Markup {
    let roles = [Role::Viewer, Role::Deployer, Role::Approver, Role::Admin].map(Role::as_str);
    action(
        ui,
        &Action {
            to: "/access/people",
            name: "New principal",
            what: "create",
            meaning: "A person or a machine. It can do nothing before it has a token.",
            danger: false,
        },
        |draft| {
            html! {
                (draft.text("name", "Name").required())
                (draft.choice("role", "Role", "viewer", roles.map(|role| (role, role))))
                (draft.text("environment_roles", "Other roles in single environments").example(ROLES_EXAMPLE))
            }
        },
    )
}

fn token_table(ui: &Ui, tokens: &[Token]) -> Markup {
    if tokens.is_empty() {
        return html! { p.empty { "None." } };
    }
    let rows = tokens.iter().map(|token| [
        html! { (view::words(&token.label)) },
        html! { @if let Some(name) = &token.principal { (name) } @if let Some(host) = &token.host { a href={ "/hosts/" (host) } { (host) } } },
        html! { (token.limits.words()) },
        view::ago(ui.now, token.created_at),
        view::ago_opt(ui.now, token.last_used_at),
        html! { @match (token.revoked_at, token.expires_at) {
            (Some(at), _) => { "revoked " (view::ago(ui.now, at)) }
            (None, Some(at)) => (view::ago(ui.now, at)),
            (None, None) => { span.faint { "never" } }
        } },
        html! { @if token.revoked_at.is_none() {
            (action(ui, &Action { to: &format!("/access/tokens/{}", token.id), name: "Revoke", what: "revoke",
                meaning: "It and all that were made with it stop working at once.", danger: true }, nothing))
        } },
    ]);
    table::of(["For", "Whose", "Limits", "Made", "Used", "Ends", "Do"], rows)
}

/// A token that lasts is not made with the session alone: whoever finds a browser open must not leave with more.
fn new_token(ui: &Ui, people: &[Principal]) -> Markup {
    let others = people
        .iter()
        .filter(|person| person.disabled_at.is_none() && person.name.as_str() != ui.name());
    let whose = std::iter::once(("", ui.name())).chain(others.map(|person| {
        let name = person.name.as_str();
        (name, name)
    }));
    action(
        ui,
        &Action {
            to: "/access/tokens",
            name: "New token",
            what: "create",
            meaning: "A token that outlasts this session is made with your own token, or with the password of admin. It ends with the token that makes it.",
            danger: false,
        },
        |draft| {
            html! {
                (draft.text("label", "For").required().limit(100).example("CI of the shop"))
                @if ui.role() == Role::Admin { (draft.choice("principal", "Whose", "", whose)) }
                (draft.number("expires_in_days", "Days").hint(" (empty: as long as the token that makes it; with the password without end)").first("90"))
                (draft.text("environments", "Only these environments").or_all().example("staging prod"))
                (draft.text("commands", "Only these commands").or_all().example("release start"))
                (draft.text("hosts", "Only these hosts").or_all().example("web-1 web-2"))
                (form::account(ui.name()))
                (draft.secret("token", "Your token"))
                (draft.secret("password", "or the password of admin"))
            }
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
            environment_roles: roles(fields.text("environment_roles"))
                .map_err(|refused| refused.at("environment_roles"))?,
        };
        ui.api
            .post::<Principal>(route::PRINCIPALS, &new, fields.once())
            .await
    };
    let done = done.await.map(drop);
    back(ui, fields, done).await
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

pub(super) async fn disable_principal(Path(name): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done = ui.api.delete(&route::fill(route::PRINCIPAL, escape(&name))).await;
    back(ui, fields, done).await
}

pub(super) async fn revoke_token(Path(id): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done = ui.api.delete(&route::fill(route::TOKEN, escape(&id))).await;
    back(ui, fields, done).await
}

async fn back(ui: Ui, fields: Fields, done: Answer<()>) -> Reply {
    match done {
        Ok(()) => Ok(Redirect::to("/access").into_response()),
        Err(refused) => page(&ui.refusing(refused, fields)).await,
    }
}

pub(super) async fn create_token(Sent { ui, fields }: Sent) -> Reply {
    match make(&ui, &fields).await {
        Ok(made) => {
            let content = html! { h1 { "New token" } (shown_once(&made, "It is for whoever will use it.")) p { a href="/access" { "Back to access" } } };
            Ok(ui.page("New token", &content))
        }
        Err(refused) => page(&ui.refusing(refused, fields)).await,
    }
}

async fn make(ui: &Ui, fields: &Fields) -> Answer<TokenCreated> {
    let wish = CreateToken {
        principal: fields.parse_filled("principal", "The principal")?,
        label: fields.text("label").to_owned(),
        expires_in_days: fields.parse_filled("expires_in_days", "The days")?,
        limits: TokenLimits {
            environments: names(fields, "environments", "the environment")?,
            commands: names(fields, "commands", "the command")?,
            hosts: names(fields, "hosts", "the host")?,
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
    if fields.text("token").is_empty() {
        let said = "A token that outlasts this session is made with your own token, or with the password of admin; give one of them";
        return Err(invalid(said).at("token"));
    }
    let token = TokenSecret::new(fields.text("token").to_owned());
    let api = ui.api.with_token(token);
    let made = api.post(route::TOKENS, &wish, fields.once()).await;
    made.map_err(|refused| refused.of_a_token("token"))
}

/// The names of a limit; without any there is none.
fn names<T>(fields: &Fields, name: &str, what: &str) -> Answer<Option<BTreeSet<T>>>
where
    T: FromStr<Err: Display> + Ord,
{
    let names: BTreeSet<T> = fields.parse_words(name, what)?;
    Ok((!names.is_empty()).then_some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_roles_is_one() {
        assert_eq!(roles(ROLES_EXAMPLE).unwrap().0.len(), 2);
    }
}
