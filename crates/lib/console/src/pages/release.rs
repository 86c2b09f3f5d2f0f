//! One release: where it comes from, what it changes, and the way to roll it out.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, Render, html};
use slipway_domain::{EnvironmentName, HostName, Role, StorePath};
use slipway_text::number::count;
use slipway_wire::fleet::Environment;
use slipway_wire::kept::{KeepRelease, KeptRelease};
use slipway_wire::page::Page;
use slipway_wire::plan::ReleaseHostPlans;
use slipway_wire::release::{Release, ReleaseSummary, SignatureSummary};
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;

use super::actions::{Action, action, nothing, unknown};
use super::attachments::Attached;
use super::{plan, releases, rollouts};
use crate::api::{Answer, escape};
use crate::form::{Fields, Sent};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Closures that are listed at once.
const MOST_CLOSURES: usize = 200;

pub(super) async fn show(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    // A form for comparing sends the other release here.
    if let Some(other) = query.filled("with") {
        let to = format!("/releases/{}/compare/{}", escape(&id), escape(other));
        return Ok(Redirect::to(&to).into_response());
    }
    page(&ui, &id).await
}

async fn page(ui: &Ui, id: &str) -> Reply {
    let release: Release = ui.api.get(&route::fill(route::RELEASE, escape(id))).await?;
    let plans = route::fill(route::RELEASE_HOST_PLANS, release.id);
    let (others, environments) = (
        Query::of(route::RELEASES).with("limit", 30),
        Query::of(route::ENVIRONMENTS),
    );
    let mine = Query::of(route::ROLLOUTS)
        .with("release", release.id)
        .with("limit", 50);
    let (plans, environments, rollouts, others, attached) = tokio::join!(
        ui.api.get::<ReleaseHostPlans>(&plans),
        ui.api.list::<Environment>(&environments),
        ui.api.get::<Page<RolloutSummary>>(&mine),
        ui.api.get::<Page<ReleaseSummary>>(&others),
        Attached::read(ui, &release)
    );
    let (plans, environments, attached) = (plans?, environments?, attached?);
    // Somebody who may see this release need not see all releases, nor all its rollouts.
    let others = others.map(|page| page.items).unwrap_or_default();
    let mine = rollouts.map(|page| page.items).unwrap_or_default();
    let content = html! {
        p.crumbs { a href="/releases" { "Releases" } }
        h1 { "Release " (view::words(&release.label().to_string())) }
        @if let Some(message) = &release.message { p.lead { (view::words(message)) } }
        section #facts { (facts(ui, &release)) }
        section #start aria-labelledby="start-title" {
            h2 #start-title { "Roll it out" }
            (start_form(ui, &release, &environments))
        }
        section #rollouts aria-labelledby="rollouts-title" { h2 #rollouts-title { "Rollouts of it" } (rollouts::table(ui, &mine)) }
        section #plan aria-labelledby="plan-title" { h2 #plan-title { "What it changes" } (plan::shared(&plans.plans, &plans.unknown)) }
        section #attached aria-labelledby="attached-title" { h2 #attached-title { "What it is made of" } (attached.show(ui, &release)) }
        section #compare aria-labelledby="compare-title" {
            h2 #compare-title { "Compare" }
            (compare_form(&release, &others))
        }
        section #closures aria-labelledby="closures-title" {
            h2 #closures-title { "Closures" }
            (table::of(["Host", "Closure"], release.closures.iter().take(MOST_CLOSURES).map(|(host, closure)| [
                html! { a href={ "/hosts/" (host) } { (host) } },
                view::closure(closure),
            ])))
            @if release.closures.len() > MOST_CLOSURES { p.faint { "and " (release.closures.len() - MOST_CLOSURES) " more" } }
        }
        @if ui.role() >= Role::Deployer { section #keep { (keep(ui, &release)) } }
    };
    Ok(ui.page(&format!("Release {}", release.label()), &content))
}

/// The path of its page.
pub(super) fn path_of(release: &Release) -> String {
    view::release_path(release.id, Some(&release.label()))
}

/// Takes any release. It offers the newest, and begins with the one before this.
fn compare_form(release: &Release, others: &[ReleaseSummary]) -> Markup {
    let others = || others.iter().filter(|other| other.id != release.id);
    let before = others().find(|other| other.created_at < release.created_at);
    let first = before.map(|other| other.label().reference());
    html! {
        form.filter method="get" action=(path_of(release)) {
            label { "With (number, name or id)" input name="with" list="others" required value=[first] autocomplete="off"; }
            datalist #others { @for other in others() {
                option value=(other.label().reference()) { (view::words(&other.label().to_string())) ", " (other.created_at.format("%Y-%m-%d %H:%M")) }
            } }
            button { "Compare" }
        }
    }
}

fn facts(ui: &Ui, release: &Release) -> Markup {
    html! {
        dl.facts {
            dt { "Commit" } dd { (releases::commit(&release.source)) }
            @if let Some(flake) = &release.source.flake_ref { dt { "Flake" } dd { code { (view::words(flake)) } } }
            @if let Some(hash) = &release.source.nar_hash { dt { "Sources" } dd { code { (view::words(hash)) } } }
            dt { "Registered" } dd { (view::ago(ui.now, release.created_at)) " by " (release.author) }
            dt { "Hosts" } dd { (release.closures.len()) }
            dt { "Signed" } dd { @match &release.manifest {
                Some(manifest) => {
                    @for signature in &manifest.signatures { div { (signed(signature)) } }
                    "manifest " (manifest.number) " of " (manifest.environment) ", expires " (view::ago(ui.now, manifest.expires))
                    @if manifest.expires < ui.now { " " (view::badge(Tone::Bad, "expired")) }
                    span.faint { " digest " code title=(manifest.digest) { (manifest.digest.short()) } }
                }
                None => { "no manifest: hosts that ask for one refuse it" }
            } }
            @if let Some(kept) = &release.kept { dt { "Kept" } dd { "by " (kept.by)
                @if let Some(until) = kept.until { " until " (view::at(until)) }
                @if let Some(reason) = &kept.reason { ": " (view::words(reason)) } } }
            dt { "Id" } dd { code { (release.id) } }
        }
    }
}

/// Who signed, and what hosts say of that key.
fn signed(signature: &SignatureSummary) -> Markup {
    let tone = match (signature.fits, signature.trusted_by) {
        (Some(false), _) => Tone::Bad,
        (_, 0) => Tone::Warn,
        (None, _) => Tone::Idle,
        (Some(true), _) => Tone::Good,
    };
    html! {
        "by " (view::words(&signature.algorithm)) " " code { (view::words(&signature.key)) } " " (view::badge(tone, &signature.words()))
    }
}

/// Asks where to roll it out.
pub(super) fn start_form(ui: &Ui, release: &Release, environments: &[Environment]) -> Markup {
    let may: Vec<&EnvironmentName> = environments
        .iter()
        .filter(|of| ui.role_in(&of.name) >= Role::Deployer)
        .filter(|of| {
            release
                .manifest
                .as_ref()
                .is_none_or(|manifest| manifest.environment == of.name)
        })
        .map(|of| &of.name)
        .collect();
    html! {
        @if may.is_empty() { p.faint { "There is no environment in which you may start a rollout of it." } } @else {
            form.filter method="get" action={ (path_of(release)) "/start" } {
                label { "Environment" select name="environment" { @for name in may { option { (name) } } } }
                button.primary { "Preview…" }
            }
        }
    }
}

fn keep(ui: &Ui, release: &Release) -> Markup {
    let to = path_of(release);
    html! {
        @if release.kept.is_some() {
            (action(ui, &Action { to: &to, name: "No longer keep", what: "unkeep", meaning: "Caches may collect its closures once nothing runs them.", danger: false }, nothing))
        } @else {
            (action(ui, &Action { to: &to, name: "Keep", what: "keep", meaning: "No cache collects its closures.", danger: false }, |draft| draft.reason(false).render()))
        }
    }
}

/// Keeps a release, or no longer.
pub(super) async fn change(Path(id): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let to = route::fill(route::RELEASE_KEEP, escape(&id));
    let done: Answer<()> = match fields.text("do") {
        "keep" => {
            let keep = KeepRelease {
                until: None,
                reason: fields.filled("reason").map(ToOwned::to_owned),
            };
            ui.api
                .post::<KeptRelease>(&to, &keep, fields.once())
                .await
                .map(drop)
        }
        "unkeep" => ui.api.delete(&to).await,
        other => Err(unknown(other)),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/releases/{}", escape(&id))).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), &id).await,
    }
}

/// How two releases differ, host by host.
pub(super) async fn compare(ui: Ui, Path((one, other)): Path<(String, String)>) -> Reply {
    let (one, other) = (
        route::fill(route::RELEASE, escape(&one)),
        route::fill(route::RELEASE, escape(&other)),
    );
    let (one, other) = tokio::join!(ui.api.get::<Release>(&one), ui.api.get::<Release>(&other));
    let (one, other) = (one?, other?);
    // The older one is before, whichever was named first.
    let (before, after) = if one.created_at <= other.created_at {
        (one, other)
    } else {
        (other, one)
    };
    let rows = differences(&before, &after);
    let title = format!("{} and {}", number_of(&before), number_of(&after));
    let same = after
        .closures
        .iter()
        .filter(|(host, path)| before.closures.get(*host) == Some(*path))
        .count();
    let content = html! {
        p.crumbs { a href="/releases" { "Releases" } }
        h1 { (title) }
        dl.facts {
            dt { "Before" } dd { (view::release(before.id, Some(&before.label()))) " " (view::ago(ui.now, before.created_at)) }
            dt { "After" } dd { (view::release(after.id, Some(&after.label()))) " " (view::ago(ui.now, after.created_at)) }
            dt { "The same" } dd { (count(same, "host")) }
        }
        @if rows.is_empty() { p.empty { "Every host has the same closure in both." } } @else {
            (table::of(["Host", "Before", "After"], rows.iter().take(MOST_CLOSURES).map(|(host, was, is)| [
                html! { a href={ "/hosts/" (host) } { (host) } },
                closure_in(*was),
                closure_in(*is),
            ])))
            @if rows.len() > MOST_CLOSURES { p.faint { "and " (rows.len() - MOST_CLOSURES) " more hosts" } }
        }
    };
    Ok(ui.page(&title, &content))
}

fn closure_in(path: Option<&StorePath>) -> Markup {
    path.map_or_else(|| html! { span.faint { "not in it" } }, view::closure)
}

/// `#12`, or all of the id where there is no number.
fn number_of(release: &Release) -> String {
    let label = release.label();
    label
        .number
        .map_or_else(|| label.id.to_string(), |number| format!("#{number}"))
}

type Difference<'a> = (&'a HostName, Option<&'a StorePath>, Option<&'a StorePath>);

fn differences<'a>(before: &'a Release, after: &'a Release) -> Vec<Difference<'a>> {
    let mut hosts: Vec<&HostName> = before.closures.keys().chain(after.closures.keys()).collect();
    hosts.sort();
    hosts.dedup();
    let rows = hosts
        .into_iter()
        .map(|host| (host, before.closures.get(host), after.closures.get(host)));
    rows.filter(|(_, was, is)| was != is).collect()
}
