//! One rollout: where it stands, host by host, and the decisions that people make about it.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use futures_util::future::join_all;
use maud::{Markup, Render, html};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{Role, RolloutState, StepState};
use slipway_text::number::count;
use slipway_text::time::short_duration;
use slipway_wire::audit::Event;
use slipway_wire::fleet::Host;
use slipway_wire::page::Page;
use slipway_wire::plan::RolloutHostPlans;
use slipway_wire::rollout::{CreateCommand, Rollout, RolloutSummary, Step};
use slipway_wire::route;

use super::actions::{Action, action};
use super::{audit, environment, output, plan, rollouts, waves};
use crate::api::{Answer, escape, without_commands};
use crate::form::{Fields, Sent};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view;

/// Hosts whose agents' words are shown.
const MOST_TALKING: usize = 8;
/// Steps that are listed at once.
const MOST_STEPS: usize = 100;

pub(super) async fn show(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    page(&ui, &id, &query).await
}

async fn page(ui: &Ui, id: &str, query: &Fields) -> Reply {
    let path = route::fill(route::ROLLOUT, escape(id));
    let rollout: Rollout = ui.api.get(&path).await?;
    let summary = &rollout.summary;
    let events = Query::of(route::fill(route::ROLLOUT_EVENTS, summary.id))
        .with("newest_first", true)
        .with("limit", 40);
    let plans = route::fill(route::ROLLOUT_HOST_PLANS, summary.id);
    let earlier = rollouts::newest_of(&summary.environment);
    let (events, plans, earlier, talk, printed) = tokio::join!(
        ui.api.get::<Page<Event>>(&events),
        ui.api.get::<RolloutHostPlans>(&plans),
        ui.api.get::<Page<RolloutSummary>>(&earlier),
        talking(ui, &rollout.steps),
        output::newest(ui, &rollout)
    );
    let (events, plans, earlier, printed) = (events?, plans?, earlier?, printed?);
    let newest = events.items.first().map_or(0, |event| event.number);
    let to = view::rollout_path(summary.id, summary.number);
    let content = html! {
        p.crumbs { a href="/rollouts" { "Rollouts" } " / " (environment::link(&summary.environment)) }
        h1 { "Rollout " (view::numbered(summary.id, summary.number)) " " span #state { (view::rollout_state(summary.state)) } }
        section #summary aria-label="Where it stands" { (head(ui, &rollout, &earlier.items)) }
        section #decide aria-label="What can be done" { (decide(ui, &rollout, &plans)) }
        section #waves aria-labelledby="waves-title" {
            h2 #waves-title { "Waves" }
            (waves::progress(&rollout.steps))
            (waves::waves(&rollout.steps))
        }
        @if !talk.is_empty() { section #talk aria-labelledby="talk-title" {
            h2 #talk-title { "What hosts say now" }
            @for (host, said) in &talk { h3 { a href={ "/hosts/" (host) } { (host) } } pre.said { (view::words(said)) } }
        } }
        @if !printed.is_empty() { section #printed aria-labelledby="printed-title" {
            h2 #printed-title { "What hosts print" }
            (output::last_lines(&to, &printed))
        } }
        section #steps aria-labelledby="steps-title" { h2 #steps-title { "Hosts" } (steps(ui, &rollout, query)) }
        section #plan aria-labelledby="plan-title" {
            h2 #plan-title { "What changes" }
            (plan::shared(&plans.plans, &plans.unknown))
        }
        section #events aria-labelledby="events-title" {
            h2 #events-title { "Events" }
            (audit::table(ui, &events.items))
            p { a href=(Query::of("/audit").with("rollout", summary.reference())) { "All events of this rollout" } }
        }
        section #how aria-labelledby="how-title" { h2 #how-title { "How it goes" } (environment::strategy(&rollout.strategy)) }
    };
    let heard = printed.first().map_or(0, |piece| piece.number);
    let live = format!("{to}/live?after={newest}&printed={heard}");
    let title = format!(
        "{} {} · {}",
        summary.label(),
        view::spaced(summary.state.as_str()),
        summary.environment
    );
    // Over is over: nothing moves any more.
    Ok(if summary.state.is_terminal() {
        ui.page(&title, &content)
    } else {
        ui.live_page(&title, &live, &content)
    })
}

/// What the agents of hosts under way report.
async fn talking(ui: &Ui, steps: &[Step]) -> Vec<(String, String)> {
    let under_way = steps
        .iter()
        .filter(|step| step.state.is_under_way() || step.state == StepState::Stuck);
    let asked = under_way.take(MOST_TALKING).map(|step| async move {
        let host = ui
            .api
            .get::<Host>(&route::fill(route::HOST, &step.host))
            .await
            .ok()?;
        let report = host.report?;
        // Of an earlier attempt it says nothing about now.
        (Some(report.attempt) == step.attempt).then_some(())?;
        Some((step.host.to_string(), report.message?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn head(ui: &Ui, rollout: &Rollout, earlier: &[RolloutSummary]) -> Markup {
    let summary = &rollout.summary;
    let last = earlier
        .iter()
        .find(|other| other.id != summary.id && other.state == RolloutState::Succeeded)
        .and_then(|other| Some(other.finished_at? - other.created_at));
    // The state's reason has the words of this command, and not who gave it.
    let ordered = rollout.last_command.as_ref();
    let ordered = ordered.filter(|done| done.led_to(summary.state));
    html! {
        @if let Some(done) = ordered {
            p.lead { (past(done.command)) " by " (done.by) " " (view::ago(ui.now, done.at))
                @if let Some(reason) = &done.reason { ": " (view::words(reason)) } }
        } @else if let Some(reason) = &summary.reason { p.lead { (view::words(reason)) } }
        @if let Some(hold) = &summary.hold {
            p.alert.waits { "It " (view::hold(hold)) "." }
        }
        @if !rollout.pending_commands.is_empty() {
            p.alert { "A worker has yet to carry out: " (rollout.pending_commands.iter().map(|kind| view::spaced(kind.as_str())).collect::<Vec<_>>().join(", ")) }
        }
        dl.facts {
            dt { "Release" } dd { (view::release(summary.release, summary.release_label.as_ref())) }
            dt { "Started" } dd { (view::ago(ui.now, summary.created_at)) " by " (summary.author) }
            @match summary.finished_at {
                Some(end) => { dt { "Took" } dd { (short_duration(end - summary.created_at)) } }
                None => { dt { "Elapsed" } dd { (view::elapsed(ui.now, summary.created_at))
                    @if let Some(last) = last { span.faint { " (the last one took " (short_duration(last)) ")" } } } }
            }
            @if let Some(approver) = &rollout.approver { dt { "Approved by" } dd { (approver) @if let Some(plan) = rollout.approved_plan { ", plan " code { (plan.short()) } } } }
            @if let Some(at) = rollout.not_before { dt { "Not before" } dd { (view::at(at)) } }
            @if let Some(over) = &rollout.overridden { dt { "Freeze overridden" } dd { (over.by) ": " (view::words(&over.reason)) } }
            @if let Some(trace) = &rollout.trace_id { dt { "Trace" } dd { code { (view::words(trace)) } } }
        }
    }
}

const fn past(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Approve => "Approved",
        CommandKind::Pause => "Paused",
        CommandKind::Resume => "Resumed",
        CommandKind::Revert => "Reverted",
        CommandKind::Abort => "Aborted",
        CommandKind::OverrideFreeze => "Freeze overridden",
    }
}

/// The buttons for which the rollout's state has a use.
fn decide(ui: &Ui, rollout: &Rollout, plans: &RolloutHostPlans) -> Markup {
    let summary = &rollout.summary;
    let to = view::rollout_path(summary.id, summary.number);
    let role = ui.role_in(&summary.environment);
    let fits = |kind: CommandKind| kind.fits(summary.state);
    html! {
        @if fits(CommandKind::Approve) { (approval(ui, &to, role, plans)) }
        @if role >= Role::Deployer {
            @for (kind, name, meaning, danger) in [
                (CommandKind::Pause, "Pause", "Nothing new begins. Hosts under way finish.", false),
                (CommandKind::Resume, "Resume", "It goes on. Hosts that failed are tried again.", false),
                (CommandKind::Revert, "Revert", "Every host that it touched goes back to what ran before.", true),
                (CommandKind::Abort, "Abort", "Hosts under way go back, committed hosts stay, and it ends.", true),
            ] {
                @if fits(kind) { (action(ui, &Action { to: &to, name, what: kind.as_str(), meaning, danger }, |draft| draft.reason(false).render())) }
            }
        }
        @if summary.hold.is_some() && role >= Role::Approver {
            (action(ui, &Action { to: &to, name: "Override the freeze", what: CommandKind::OverrideFreeze.as_str(),
                meaning: "It goes on outside the windows and in a freeze. Your name and the reason are kept.", danger: true }, |draft| draft.reason(true).render()))
        }
    }
}

fn approval(ui: &Ui, to: &str, role: Role, plans: &RolloutHostPlans) -> Markup {
    let fetching = plans.still_fetching().count();
    html! {
        div.approval {
            h2 { "Waits for an approval" }
            p { "Who approves allows this plan and no other: a host whose plan differs stops before it is touched." }
            (plan::shared(&plans.plans, &plans.unknown))
            @if role < Role::Approver { p.faint { "It takes the role approver; you are " (role) "." } }
            @else if let Some(refused) = &plans.approval_refused { p.alert.waits { (view::said(&without_commands(refused))) } }
            @else if fetching > 0 {
                p.alert.waits { "It cannot be approved yet: " (count(fetching, "online host")) @if fetching == 1 { " has" } @else { " have" } " still to fetch." }
            }
            @else {
                (action(ui, &Action { to, name: "Approve this plan", what: CommandKind::Approve.as_str(),
                    meaning: "The rollout begins as soon as a worker takes it up.", danger: false },
                    |draft| html! { input type="hidden" name="plan" value=(plans.digest); p { "Plan " code.digest { (plans.digest) } } (draft.reason(false)) }))
            }
        }
    }
}

/// The hosts of the rollout; those that went wrong come first.
fn steps(ui: &Ui, rollout: &Rollout, query: &Fields) -> Markup {
    let wanted = query.text("state");
    let mut shown: Vec<&Step> = rollout
        .steps
        .iter()
        .filter(|step| wanted.is_empty() || step.state.as_str() == wanted)
        .collect();
    shown.sort_by_key(|step| match step.state {
        StepState::Stuck => 0,
        StepState::Reverting | StepState::Reverted => 1,
        state if state.is_under_way() => 2,
        StepState::Skipped => 3,
        _ => 4,
    });
    let total = shown.len();
    let to = view::rollout_path(rollout.summary.id, rollout.summary.number);
    html! {
        form.filter method="get" { label { "State" select name="state" {
            option value="" { "all" }
            @for state in StepState::ALL { option value=(state) selected[wanted == state.as_str()] { (view::spaced(state.as_str())) } }
        } } button { "Filter" } }
        (table::of(["Host", "State", "Wave", "Since", "Becomes", "Was", "Why"], shown.iter().take(MOST_STEPS).map(|step| row(ui, &to, step))))
        @if total > MOST_STEPS { p.faint { "The first " (MOST_STEPS) " of " (total) "; filter by state, or open a host from the waves." } }
    }
}

fn row(ui: &Ui, to: &str, step: &Step) -> [Markup; 7] {
    [
        html! {
            a href={ "/hosts/" (step.host) } { (step.host) }
            @if step.attempt.is_some() { " " a href=(output::path_of(to, &step.host)) aria-label={ "Output of " (step.host) } { "output" } }
        },
        html! { (view::step_state(step.state)) @if let Some(hook) = &step.hook { " " span.faint { "hook " (view::words(hook)) } } },
        html! { @if step.canary { "canary" } @else { (step.wave) } },
        view::ago(ui.now, step.since),
        view::closure(&step.closure),
        html! { @if let Some(prior) = &step.prior { (view::closure(prior)) } },
        html! {
            // An answer of the checks is no event, so the page looks for it by itself.
            span data-soon[step.state == StepState::Verifying] { @if let Some(why) = step.why_with_time() { (view::words(&why)) } }
            @if step.failures > 0 { span.faint { " (failed " (step.failures) "×)" } }
        },
    ]
}

/// Does what a button asks for.
pub(super) async fn command(Path(id): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done: Answer<Rollout> = async {
        let command = CreateCommand {
            command: fields.parse("do", "The command")?,
            reason: fields.filled("reason").map(ToOwned::to_owned),
            plan: fields.parse_filled("plan", "The plan")?,
        };
        let to = route::fill(route::ROLLOUT_COMMANDS, escape(&id));
        ui.api.post(&to, &command, fields.once()).await
    }
    .await;
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/rollouts/{}", escape(&id))).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), &id, &Fields::default()).await,
    }
}
