//! What the hosts of a rollout print: the last lines on the rollout's page, and all of it on a page of its own.

use axum::extract::Path;
use maud::{Markup, html};
use slipway_domain::{AttemptId, HostName};
use slipway_text::number::bytes;
use slipway_wire::audit::Event;
use slipway_wire::output::Output;
use slipway_wire::page::Page;
use slipway_wire::rollout::Rollout;
use slipway_wire::route;

use super::environment;
use crate::api::{Answer, escape};
use crate::form::Fields;
use crate::query::Query;
use crate::ui::{Reply, Ui};
use crate::view;

/// Pieces that the rollout's page looks at.
const NEWEST: usize = 30;
/// Lines of a job on the rollout's page.
const MOST_LINES: usize = 12;
/// Jobs on the rollout's page.
const MOST_JOBS: usize = 8;

/// The newest pieces of a rollout.
pub(super) async fn newest(ui: &Ui, rollout: &Rollout) -> Answer<Vec<Output>> {
    let path = Query::of(route::fill(route::ROLLOUT_OUTPUT, rollout.summary.id))
        .with("newest_first", true)
        .with("limit", NEWEST);
    Ok(ui.api.get::<Page<Output>>(&path).await?.items)
}

/// What printed a piece. An attempt is of one host.
fn source(piece: &Output) -> (AttemptId, &str) {
    (piece.attempt, &piece.job)
}

/// The last lines of the jobs that printed last.
pub(super) fn last_lines(to: &str, newest: &[Output]) -> Markup {
    let mut jobs: Vec<(&Output, Vec<&str>)> = Vec::new();
    for piece in newest {
        let known = jobs.iter().position(|(first, _)| source(first) == source(piece));
        let place = match known {
            Some(place) => place,
            None if jobs.len() == MOST_JOBS => continue,
            None => {
                jobs.push((piece, Vec::new()));
                jobs.len() - 1
            }
        };
        let lines = &mut jobs[place].1;
        let room = MOST_LINES.saturating_sub(lines.len());
        lines.extend(piece.text.lines().rev().take(room));
    }
    html! {
        @for (piece, lines) in &jobs {
            h3 { a href=(path_of(to, &piece.host)) { (piece.host) } " " span.faint { (view::words(&piece.job)) } }
            (plain_text(&format!("{} {}", piece.host, piece.job), lines.iter().rev().copied()))
        }
        p { a href={ (to) "/output" } { "All output, and search" } }
    }
}

/// The page of what one host printed.
pub(super) fn path_of(to: &str, host: &HostName) -> Query {
    Query::of(format!("{to}/output")).with("host", host)
}

/// Lines of a host, as they are. The keyboard can scroll them.
fn plain_text<'a>(label: &str, lines: impl Iterator<Item = &'a str>) -> Markup {
    let lines: Vec<String> = lines.map(slipway_text::clean).collect();
    html! { pre.printed tabindex="0" role="group" aria-label={ "Output of " (label) } { (lines.join("\n")) } }
}

/// All output of a rollout, page by page.
pub(super) async fn show(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    let rollout: Rollout = ui.api.get(&route::fill(route::ROLLOUT, escape(&id))).await?;
    let summary = &rollout.summary;
    let (host, search) = (query.filled("host"), query.filled("search"));
    let asked = |path: String| {
        let path = Query::of(path).with_some("host", host);
        path.with_some("search", search)
    };
    let list =
        asked(route::fill(route::ROLLOUT_OUTPUT, summary.id)).with_some("after", query.filled("after"));
    let events = Query::of(route::fill(route::ROLLOUT_EVENTS, summary.id))
        .with("newest_first", true)
        .with("limit", 1);
    let (found, events) = tokio::join!(
        ui.api.get::<Page<Output>>(&list),
        ui.api.get::<Page<Event>>(&events)
    );
    let (found, events) = (found?, events?);
    let to = view::rollout_path(summary.id, summary.number);
    let here = format!("{to}/output");
    let newest = found.items.last().map_or(0, |piece| piece.number);
    let happened = events.items.first().map_or(0, |event| event.number);
    let next = found.next.as_ref();
    let content = html! {
        p.crumbs { a href="/rollouts" { "Rollouts" } " / " (environment::link(&summary.environment)) " / "
            (view::rollout(summary.id, summary.number)) }
        h1 { "Output of rollout " (view::numbered(summary.id, summary.number)) " " span #state { (view::rollout_state(summary.state)) } }
        form.filter method="get" action=(here) role="search" {
            label { "Host" select name="host" {
                option value="" { "all" }
                @for step in &rollout.steps { option value=(step.host) selected[host == Some(step.host.as_str())] { (step.host) } }
            } }
            label { "Lines with" input type="search" name="search" value=(query.text("search")) maxlength="200"; }
            button { "Show" }
        }
        section #output aria-label="What was printed" {
            (pieces(&ui, &here, &found.items))
            @if found.items.is_empty() && next.is_none() { p.empty { (nothing(&query)) } }
        }
        @if let Some(next) = next { nav.pages { a rel="next" href=(asked(here.clone()).with("after", next)) { "Further →" } } }
        p.faint { "Of every script the first 48 KiB and the last 16 KiB are kept, for 30 days after the rollout's end." }
    };
    let title = format!("Output of {} · {}", summary.label(), summary.environment);
    // A page that is full does not change any more.
    Ok(if summary.state.is_terminal() || next.is_some() {
        ui.page(&title, &content)
    } else {
        ui.live_page(
            &title,
            &format!("{to}/live?after={happened}&printed={newest}"),
            &content,
        )
    })
}

fn nothing(query: &Fields) -> &'static str {
    if query.filled("search").is_some() {
        "No line has this text."
    } else {
        "Nothing was printed yet, or it is kept no longer."
    }
}

/// Pieces of the same job one after the other are one text.
fn pieces(ui: &Ui, here: &str, items: &[Output]) -> Markup {
    let jobs = items.chunk_by(|one, next| source(one) == source(next));
    html! { @for pieces in jobs { @if let Some(first) = pieces.first() {
        h2 { a href=(Query::of(here).with("host", &first.host)) { (first.host) } " " span.faint { (view::words(&first.job)) " " (view::ago(ui.now, first.at)) } }
        @for (place, piece) in pieces.iter().enumerate() {
            @if piece.skipped > 0 { p.faint { (bytes(piece.skipped)) " were left out here." } }
            @if piece.skipped > 0 || place == 0 {
                @let more = pieces.iter().skip(place + 1).take_while(|more| more.skipped == 0);
                @let lines = std::iter::once(piece).chain(more).flat_map(|piece| piece.text.lines());
                (plain_text(&format!("{} {}", piece.host, piece.job), lines))
            }
            @if piece.cut { p.faint { "The host printed more than is kept. The rest is in its journal." } }
        }
    } } }
}
