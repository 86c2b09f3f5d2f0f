//! One destination of messages: what it gets, what became of it, and what is sent again.

use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};
use slipway_domain::{DeliveryState, DestinationKind};
use slipway_wire::message::{Delivery, Destination, Replayed, UpdateDestination};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::actions::{Action, action, nothing, unknown};
use super::destinations::{choices, kind, state, whither};
use crate::api::{Answer, escape, invalid};
use crate::form::{Fields, Sent, words};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Deliveries on a page.
const A_PAGE: u32 = 50;
/// How often a test is looked at before the page is shown, and the time between two looks.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn show(ui: Ui, Path(name): Path<String>, query: Fields) -> Reply {
    page(&ui, &name, &query).await
}

fn path_of(name: &str) -> String {
    route::fill(route::DESTINATION, escape(name))
}

async fn page(ui: &Ui, name: &str, query: &Fields) -> Reply {
    let shown: Option<DeliveryState> = query.text("state").parse().ok();
    let one: Destination = ui.api.get(&path_of(name)).await?;
    let deliveries = Query::of(route::fill(route::DELIVERIES, escape(name)))
        .with_some("state", shown)
        .with_some("after", query.filled("after"))
        .with("limit", A_PAGE);
    let deliveries: Page<Delivery> = ui.api.get(&deliveries).await?;
    let content = html! {
        p.crumbs { a href="/destinations" { "Messages" } }
        h1 { (one.name) " " (state(&one)) }
        section #facts aria-label="What it is" {
            (facts(ui, &one))
            (buttons(ui, &one))
        }
        section #deliveries aria-labelledby="deliveries-title" {
            h2 #deliveries-title { "Deliveries" }
            (table_of(ui, &one, shown, &deliveries))
        }
    };
    Ok(ui.page(one.name.as_str(), &content))
}

fn facts(ui: &Ui, one: &Destination) -> Markup {
    let list = |texts: Vec<String>| {
        if texts.is_empty() {
            "all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    html! { dl.facts {
        dt { "Kind" } dd { (kind(one.kind)) }
        dt { "Where" } dd { (whither(one)) }
        dt { "Environments" } dd { (list(one.environments.iter().map(ToString::to_string).collect())) }
        dt { "Messages" } dd { (list(one.messages.iter().map(ToString::to_string).collect())) }
        dt { "Waiting" } dd { (one.waiting) }
        dt { "Dead" } dd { (one.dead) }
        dt { "Last delivered" } dd { (view::ago_opt(ui.now, one.delivered_at)) }
        dt { "Made" } dd { (view::ago(ui.now, one.created_at)) " by " (view::words(&one.created_by)) }
    } }
}

fn buttons(ui: &Ui, one: &Destination) -> Markup {
    let to = format!("/destinations/{}", one.name);
    let button = |name, what, meaning, danger| Action {
        to: &to,
        name,
        what,
        meaning,
        danger,
    };
    let names = |texts: Vec<String>| texts.join(" ");
    let environments = names(one.environments.iter().map(ToString::to_string).collect());
    let messages = names(one.messages.iter().map(ToString::to_string).collect());
    let to_whom = one.recipients.join(" ");
    html! {
        @if one.enabled {
            (action(ui, &button("Send a test", "test", "A message of kind test is sent there. The page then shows what became of it.", false), nothing))
        }
        @if one.enabled && one.dead > 0 {
            (action(ui, &button("Replay what is dead", "replay", "All dead messages are sent again in their order, with the ids that they had.", false), nothing))
        }
        (action(ui, &button("Change", "update", "It holds for what happens from then on.", false), |draft| html! {
            @if one.kind == DestinationKind::Email {
                (draft.text("recipients", "Recipients").required().first(&to_whom))
            }
            (choices(draft, &environments, &messages))
        }))
        @if one.enabled {
            (action(ui, &button("Disable", "disable", "It gets nothing more. What waits for it is dead, and can be replayed once it is enabled.", true), nothing))
        } @else {
            (action(ui, &button("Enable", "enable", "It gets what happens from then on.", false), nothing))
        }
        (action(ui, &button("Delete", "delete", "Its deliveries go with it, also those that wait.", true), |draft| html! {
            (draft.text("confirm", "Type its name").required().complete("off"))
        }))
    }
}

fn table_of(ui: &Ui, one: &Destination, shown: Option<DeliveryState>, page: &Page<Delivery>) -> Markup {
    let here = format!("/destinations/{}", one.name);
    let states = DeliveryState::ALL
        .iter()
        .map(|state| (Some(*state), state.as_str()));
    let head = ["Message", "What", "State", "Tries", "Queued", "Last error", "Do"];
    html! {
        nav.pages aria-label="Deliveries by state" {
            @for (state, name) in [(None, "all")].into_iter().chain(states) {
                a href={ (Query::of(&here).with_some("state", state)) "#deliveries" } aria-current=[(state == shown).then_some("true")] { (name) }
            }
        }
        @if page.items.is_empty() { p.empty { "None." } }
        @else { (table::of(head, page.items.iter().map(|delivery| row(ui, one, delivery)))) }
        @if let Some(next) = &page.next {
            nav.pages { a rel="next" href={ (Query::of(&here).with_some("state", shown).with("after", next)) "#deliveries" } { "Older →" } }
        }
    }
}

fn row(ui: &Ui, one: &Destination, delivery: &Delivery) -> [Markup; 7] {
    let data = &delivery.message.data;
    let to = format!("/destinations/{}/{}", one.name, delivery.id);
    let tone = match delivery.state {
        DeliveryState::Waiting => Tone::Busy,
        DeliveryState::Delivered => Tone::Good,
        DeliveryState::Dead => Tone::Bad,
    };
    [
        html! { code { (delivery.message.kind) } },
        html! {
            (view::words(&data.text))
            @if let Some(rollout) = data.rollout { " " (view::rollout(rollout, data.rollout_number)) }
        },
        html! {
            (view::badge(tone, delivery.state.as_str()))
            @if let Some(earlier) = delivery.waits_for_words() { " " (earlier) }
            @else if let Some(at) = delivery.next_at { @if delivery.attempts > 0 {
                " " @if at > ui.now { "next try " (view::ago(ui.now, at)) } @else { "next try now" }
            } }
        },
        html! { (delivery.attempts) },
        view::ago(ui.now, delivery.created_at),
        html! { @if let Some(error) = &delivery.last_error { (view::words(error)) } },
        html! { @if delivery.state == DeliveryState::Dead && one.enabled {
            (action(ui, &Action { to: &to, name: "Replay", what: "replay", meaning: "It is sent again, with the id that it had.", danger: false }, nothing))
        } },
    ]
}

pub(super) async fn change(Path(name): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done = act(&ui, &name, &fields).await;
    match done {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), &name, &Fields::default()).await,
    }
}

/// Does what the form asks for, and says where to go then.
async fn act(ui: &Ui, name: &str, fields: &Fields) -> Answer<String> {
    let here = format!("/destinations/{}", escape(name));
    let of_it = |route: &str| route::fill(route, escape(name));
    match fields.text("do") {
        "test" => {
            let sent: Delivery = ui
                .api
                .post(
                    &of_it(route::DESTINATION_TEST),
                    &serde_json::json!({}),
                    fields.once(),
                )
                .await?;
            wait(ui, sent).await?;
            return Ok(format!("{here}#deliveries"));
        }
        "replay" => {
            let _: Replayed = ui
                .api
                .post(&of_it(route::DESTINATION_REPLAY), &serde_json::json!({}), None)
                .await?;
            return Ok(format!("{here}#deliveries"));
        }
        "update" => {
            let to_whom: Vec<String> = words(fields.text("recipients")).map(ToOwned::to_owned).collect();
            let update = UpdateDestination {
                enabled: None,
                recipients: (!to_whom.is_empty()).then_some(to_whom),
                environments: Some(fields.parse_words("environments", "the environment")?),
                messages: Some(fields.parse_words("messages", "the message")?),
            };
            ui.api.patch::<Destination>(&path_of(name), &update).await?;
        }
        what @ ("enable" | "disable") => {
            let update = UpdateDestination {
                enabled: Some(what == "enable"),
                ..UpdateDestination::default()
            };
            ui.api.patch::<Destination>(&path_of(name), &update).await?;
        }
        "delete" if fields.text("confirm") == name => {
            ui.api.delete(&path_of(name)).await?;
            return Ok("/destinations".to_owned());
        }
        "delete" => return Err(invalid(format!("type {name} to delete it")).at("confirm")),
        other => return Err(unknown(other)),
    }
    Ok(here)
}

/// Waits for a moment until a delivery was tried: the page then shows what became of it.
async fn wait(ui: &Ui, mut delivery: Delivery) -> Answer<()> {
    for _ in 0..LOOKS {
        if delivery.state != DeliveryState::Waiting || delivery.attempts > 0 {
            break;
        }
        tokio::time::sleep(LOOK).await;
        delivery = ui.api.get(&route::fill(route::DELIVERY, delivery.id)).await?;
    }
    Ok(())
}

pub(super) async fn replay(Path((name, id)): Path<(String, String)>, Sent { ui, fields }: Sent) -> Reply {
    let to = route::fill(route::DELIVERY_REPLAY, escape(&id));
    let done: Answer<Delivery> = ui.api.post(&to, &serde_json::json!({}), None).await;
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/destinations/{}#deliveries", escape(&name))).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), &name, &Fields::default()).await,
    }
}
