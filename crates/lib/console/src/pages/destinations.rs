//! Where messages go: all destinations, and the forms for new ones.

use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};
use slipway_domain::{DestinationKind, MessageKind};
use slipway_wire::message::{Confidential, CreateDestination, Destination, DestinationCreated};
use slipway_wire::route;

use super::actions::{Action, action};
use crate::api::{Answer, escape};
use crate::draft::Draft;
use crate::form::{Fields, Sent, words};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

pub(super) async fn show(ui: Ui) -> Reply {
    page(&ui).await
}

async fn page(ui: &Ui) -> Reply {
    let all: Vec<Destination> = ui.api.list(&Query::of(route::DESTINATIONS)).await?;
    let content = html! {
        h1 { "Messages" }
        p { "The worker tells people and programs of rollouts, drift, silent agents and late backups." }
        section #destinations aria-labelledby="destinations-title" {
            h2 #destinations-title { "Destinations" }
            @if all.is_empty() { p.empty { "Nobody is told of anything yet." } }
            @else { (table::of(["Name", "Kind", "Where", "State", "Waiting", "Dead", "Delivered"], all.iter().map(|one| row(ui, one)))) }
        }
        section #new aria-labelledby="new-title" {
            h2 #new-title { "New destination" }
            (new_form(ui, "standard", "Add a webhook", "A program takes messages as Standard Webhooks describes it. The secret that it verifies signatures with is shown once.",
                |draft| html! { (draft.text("url", "Address").required().example("https://hooks.example.org/slipway").complete("off")) }))
            (new_form(ui, "slack", "Add Slack", "A channel of Slack, or of what takes the same webhooks. The address is a password: it is stored encrypted and not shown again.",
                |draft| html! { (draft.secret("url", "Address of the incoming webhook").required()) }))
            (new_form(ui, "matrix", "Add Matrix", "A room of Matrix, in which an account of yours writes. Its token is stored encrypted and not shown again.", |draft| html! {
                (draft.text("url", "Address of the server").required().example("https://matrix.example.org").complete("off"))
                (draft.text("room", "Room").required().example("!abc:example.org"))
                (draft.secret("token", "Access token of the account that writes").required())
            }))
            (new_form(ui, "email", "Add e-mail", "People get an e-mail each, by the server that the api's settings name.", recipients))
        }
    };
    Ok(ui.page("Messages", &content))
}

fn row(ui: &Ui, one: &Destination) -> [Markup; 7] {
    [
        html! { a href={ "/destinations/" (one.name) } { (one.name) } },
        html! { (kind(one.kind)) },
        whither(one),
        state(one),
        html! { (one.waiting) },
        html! { @if one.dead == 0 { "0" } @else { (view::badge(Tone::Bad, &one.dead.to_string())) } },
        view::ago_opt(ui.now, one.delivered_at),
    ]
}

pub(super) const fn kind(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Standard => "webhook",
        DestinationKind::Slack => "Slack",
        DestinationKind::Matrix => "Matrix",
        DestinationKind::Email => "e-mail",
    }
}

/// Where messages go, as far as it may be shown.
pub(super) fn whither(one: &Destination) -> Markup {
    html! {
        @if let Some(address) = &one.address { code { (view::words(address)) } }
        @if let Some(room) = &one.room { " " (view::words(room)) }
        (view::words(&one.recipients.join(", ")))
    }
}

pub(super) fn state(one: &Destination) -> Markup {
    html! {
        @if let Some(why) = one.failing.as_ref().filter(|_| one.enabled) {
            (view::badge(Tone::Bad, "failing")) " " (view::words(why))
        } @else if one.enabled { (view::badge(Tone::Good, "enabled")) } @else {
            (view::badge(Tone::Bad, "disabled"))
            @if let Some(why) = &one.disabled_because { " " (view::words(why)) }
        }
    }
}

fn new_form(
    ui: &Ui,
    what: &str,
    name: &str,
    meaning: &str,
    fields: impl FnOnce(Draft<'_>) -> Markup,
) -> Markup {
    let button = Action {
        to: "/destinations",
        name,
        what,
        meaning,
        danger: false,
    };
    action(ui, &button, |draft| {
        html! { (draft.text("name", "Name").required()) (fields(draft)) (choices(draft, "", "")) }
    })
}

/// The field for who gets e-mails.
pub(super) fn recipients(draft: Draft<'_>) -> Markup {
    html! { (draft.text("recipients", "Recipients").hint(" (several: with a comma between)").required().example("ops@example.org")) }
}

/// The fields for what is told of, with what they hold at first.
pub(super) fn choices<'a>(draft: Draft<'a>, environments: &'a str, messages: &'a str) -> Markup {
    html! {
        (draft.text("environments", "Only about these environments").or_all().first(environments).example("prod"))
        (draft.text("messages", "Only messages of these kinds").or_all().first(messages).example("rollout.failed host.stuck"))
        details { summary { "All kinds" } ul { @for kind in MessageKind::ALL { li { code { (kind) } ": " (kind.words()) } } } }
    }
}

pub(super) async fn create(Sent { ui, fields }: Sent) -> Reply {
    let made = async {
        let new = read(&fields)?;
        ui.api
            .post::<DestinationCreated>(route::DESTINATIONS, &new, fields.once())
            .await
    };
    match made.await {
        Ok(made) => Ok(created(&ui, &made)),
        Err(refused) => page(&ui.refusing(refused, fields)).await,
    }
}

fn read(fields: &Fields) -> Answer<CreateDestination> {
    let secret = |name: &str| fields.filled(name).map(|text| Confidential::new(text.to_owned()));
    Ok(CreateDestination {
        name: fields.parse("name", "The name")?,
        kind: fields.parse("do", "The kind")?,
        url: secret("url"),
        room: fields.filled("room").map(ToOwned::to_owned),
        token: secret("token"),
        recipients: words(fields.text("recipients")).map(ToOwned::to_owned).collect(),
        environments: fields.parse_words("environments", "the environment")?,
        messages: fields.parse_words("messages", "the message")?,
    })
}

/// The new destination's page; that of a webhook shows the secret first, once.
fn created(ui: &Ui, made: &DestinationCreated) -> axum::response::Response {
    let name = &made.destination.name;
    let to = format!("/destinations/{}", escape(name.as_str()));
    let Some(secret) = &made.secret else {
        return Redirect::to(&to).into_response();
    };
    let content = html! {
        h1 { "New destination " (name) }
        div.secret {
            p { strong { "Copy it now: it is not shown again." } " The receiver verifies signatures with this secret." }
            pre #secret tabindex="0" { (secret.expose()) }
            button type="button" data-copy="secret" hidden { "Copy" }
        }
        p { a href=(to) { "Go on to " (name) } ", where you can send a test." }
    };
    ui.page("New destination", &content)
}
