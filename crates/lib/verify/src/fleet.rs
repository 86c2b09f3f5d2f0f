//! What every host runs, against the release that it should.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use slipway_client::{Client, ClientError};
use slipway_domain::drift::{DriftKind, ONCE};
use slipway_domain::{AttemptPhase, HostName, ReleaseId, RolloutState, StepState, StorePath};
use slipway_text::clean;
use slipway_text::time::ago;
use slipway_wire::fleet::{Accepted, Environment, Host};
use slipway_wire::page::{EnvironmentPageQuery, MAX_LIMIT};
use slipway_wire::release::Release;
use slipway_wire::rollout::label;

use crate::{Advice, CheckResult, PendingCheck};

/// Clocks that are further apart than this break certificates and logs.
pub const NOTABLE_SKEW_SECONDS: u64 = 30;
/// How many pages of rollouts are searched for one that succeeded.
const PAGES: usize = 4;

/// A result for every host that is not retired.
pub(crate) async fn check(
    check: PendingCheck,
    client: &Client,
    now: DateTime<Utc>,
    advice: &Advice,
) -> Vec<CheckResult> {
    match hosts(client, now).await {
        Ok(results) if results.is_empty() => {
            vec![check.not_checked("no host is registered", "slipway host create NAME --env ENV")]
        }
        Ok(results) => results,
        Err(error) => vec![check.not_checked_by(&error, advice)],
    }
}

async fn hosts(client: &Client, now: DateTime<Utc>) -> Result<Vec<CheckResult>, ClientError> {
    let hosts = client.all_hosts(None).await?;
    let mut hosts: Vec<Host> = hosts
        .into_iter()
        .filter(|host| host.retired_at.is_none())
        .collect();
    hosts.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let mut releases = BTreeMap::new();
    let mut environments = BTreeMap::new();
    for environment in client.environments().await? {
        let release = newest_release(client, &environment).await?;
        releases.insert(environment.name.clone(), release);
        environments.insert(environment.name.clone(), environment);
    }
    Ok(hosts
        .iter()
        .map(|host| {
            let release = releases.get(&host.environment).and_then(Option::as_ref);
            judge(host, environments.get(&host.environment), release, now)
        })
        .collect())
}

/// The results for one host: its system, and beside it what differs and what waits.
pub(crate) async fn check_host(
    check: PendingCheck,
    client: &Client,
    name: &HostName,
    now: DateTime<Utc>,
    advice: &Advice,
) -> Vec<CheckResult> {
    match host(client, name, now).await {
        Ok(results) => results,
        Err(ClientError::Problem { problem, .. }) if problem.status == 404 => {
            vec![check.fail(problem.detail, "slipway host list")]
        }
        Err(error) => vec![check.not_checked_by(&error, advice)],
    }
}

async fn host(client: &Client, name: &HostName, now: DateTime<Utc>) -> Result<Vec<CheckResult>, ClientError> {
    let host = client.host(name).await?;
    let check = |what: &str| PendingCheck::new(what, name.as_str());
    if host.retired_at.is_some() {
        let cure = format!("slipway host restore {name}");
        return Ok(vec![check("host").fail("it is retired", cure)]);
    }
    let environment = client.environment(&host.environment).await?;
    let release = newest_release(client, &environment).await?;
    let mut results = vec![judge(&host, Some(&environment), release.as_ref(), now)];
    let drift = host.drift.iter().flat_map(|drift| &drift.items);
    results.extend(drift.map(|item| {
        let seen = format!(
            "{}: expected {}, found {}",
            item.kind.words(),
            clean(&item.expected),
            clean(&item.found)
        );
        check("drift").fail(
            seen,
            format!("roll a release out, or accept it: slipway host accept {name} --reason TEXT"),
        )
    }));
    if !host.pending_reboot.is_empty() {
        let seen = format!(
            "a reboot is pending for {}",
            clean(&host.pending_reboot.join(", "))
        );
        results.push(check("reboot").warn(seen, format!("slipway host reboot {name}")));
    }
    Ok(results)
}

/// The release of the newest rollout that succeeded: what all its hosts committed.
async fn newest_release(client: &Client, environment: &Environment) -> Result<Option<Release>, ClientError> {
    let mut query = EnvironmentPageQuery {
        environment: Some(environment.name.clone()),
        after: None,
        limit: Some(MAX_LIMIT),
    };
    for _ in 0..PAGES {
        let page = client.rollouts(&query).await?;
        let found = page
            .items
            .iter()
            .find(|rollout| rollout.state == RolloutState::Succeeded);
        if let Some(rollout) = found {
            return client.release(rollout.release).await.map(Some);
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok(None)
}

fn judge(
    host: &Host,
    environment: Option<&Environment>,
    release: Option<&Release>,
    now: DateTime<Utc>,
) -> CheckResult {
    let check = PendingCheck::new("host", host.name.as_str());
    let env = &host.environment;
    let agent = "on the host: systemctl status slipway-agent; slipway-agent status";
    let open = environment.and_then(|environment| environment.open_rollout);
    if !host.online {
        return check.fail(
            format!("offline, last seen {}", ago(now, host.last_seen_at)),
            agent,
        );
    }
    let stuck = host
        .report
        .as_ref()
        .filter(|report| report.phase == AttemptPhase::Stuck);
    if let Some(report) = stuck {
        let why = report
            .message
            .as_deref()
            .unwrap_or("the prior could not be put back");
        return check.fail(format!("stuck: {why}"), agent);
    }
    if let Some(trouble) = &host.trouble {
        return check.fail(trouble.as_str(), format!("slipway host show {}", host.name));
    }
    if let Some(trouble) = &host.journal_trouble {
        return check.fail(format!("its agent's journal: {trouble}"), agent);
    }
    if let Some(step) = host.step.as_ref().filter(|step| is_unsettled(step.state)) {
        let seen = format!(
            "an attempt is {} in rollout {}",
            step.state,
            label(step.rollout, step.rollout_number)
        );
        return if open == Some(step.rollout) {
            check.warn(seen, format!("wait for its end: slipway rollout watch {env}"))
        } else {
            check.fail(format!("{seen}, which is over"), agent)
        };
    }
    if let Some(attempt) = host.unsettled {
        return check.fail(
            format!("attempt {attempt} is neither committed nor taken back"),
            agent,
        );
    }
    let Some(release) = release else {
        return check.not_checked(
            format!("no rollout has succeeded in {env} yet"),
            format!("slipway rollout start {env} RELEASE --watch"),
        );
    };
    let said = release.label();
    let name = clean(&said.to_string());
    let Some(wanted) = release.closures.get(&host.name) else {
        return check.warn(
            format!("release {name} has nothing for it"),
            format!(
                "slipway release create with {} in it, then slipway rollout start {env}",
                host.name
            ),
        );
    };
    let Some(live) = &host.live else {
        return check.fail("its agent sees no live system", agent);
    };
    let accepted = accepted(host, release.id);
    if live != wanted && accepted.is_none() {
        let seen = format!("runs {}, release {name} says {}", live.short(), wanted.short());
        return match open {
            Some(id) => check.warn(
                format!(
                    "{seen}; rollout {} is under way",
                    label(
                        id,
                        environment.and_then(|environment| environment.open_rollout_number)
                    )
                ),
                format!("wait for its end: slipway rollout watch {env}"),
            ),
            None => check.fail(
                seen,
                format!("slipway rollout start {env} {} --watch", said.reference()),
            ),
        };
    }
    let seen = match accepted {
        Some(accepted) if live != wanted => accepted_words(accepted, &name, now),
        _ => format!("{} of release {name}", live.short()),
    };
    let boots = accepted.and_then(|accepted| accepted.boot_default.as_ref());
    if host.boot_default.as_ref() != Some(boots.unwrap_or(live)) {
        let boot = host.boot_default.as_ref().map(StorePath::short);
        let boot = boot.unwrap_or_else(|| "something unknown".to_owned());
        return check.warn(
            format!("{seen}, but the next boot would run {boot}"),
            format!("slipway rollout start {env} {} --watch", said.reference()),
        );
    }
    judge_boot_loader(check, host, seen)
}

/// The profile names the right system; the boot loader may boot another one all the same.
fn judge_boot_loader(check: PendingCheck, host: &Host, seen: String) -> CheckResult {
    let mut drift = host.drift.iter().flat_map(|drift| &drift.items);
    let Some(boot) = drift.find(|item| item.kind == DriftKind::Boot) else {
        return judge_clock(check, host, seen);
    };
    let (system, once) = boot.booted();
    let once = if once { ONCE } else { "" };
    let system = system
        .parse::<StorePath>()
        .map_or_else(|_| clean(system), |path| path.short());
    check.warn(
        format!("{seen}, but the boot loader boots {system}{once}"),
        format!(
            "undo it on the host with bootctl or grub-editenv, or accept it: slipway host accept {} --reason TEXT",
            host.name
        ),
    )
}

fn judge_clock(check: PendingCheck, host: &Host, seen: String) -> CheckResult {
    match host.clock_skew_seconds {
        Some(seconds) if seconds.unsigned_abs() > NOTABLE_SKEW_SECONDS => check.warn(
            format!("{seen}, but its clock is {seconds:+} s off"),
            "set its clock: timedatectl timesync-status",
        ),
        _ => check.ok(seen),
    }
}

/// What somebody accepted on the host in place of this release, if it still runs. For a later release it does not count.
fn accepted(host: &Host, release: ReleaseId) -> Option<&Accepted> {
    let accepted = host.accepted.as_ref()?;
    let is_of_this = accepted.release == Some(release);
    (is_of_this && host.live.as_ref() == Some(&accepted.live)).then_some(accepted)
}

fn accepted_words(accepted: &Accepted, release: &str, now: DateTime<Utc>) -> String {
    format!(
        "runs {} and not release {release}, accepted by {} {}: {}",
        accepted.live.short(),
        clean(accepted.by_words()),
        ago(now, Some(accepted.at)),
        clean(&accepted.reason)
    )
}

/// Whether the step has touched its host and is neither committed nor taken back.
const fn is_unsettled(state: StepState) -> bool {
    matches!(
        state,
        StepState::Activating
            | StepState::Verifying
            | StepState::Verified
            | StepState::Reverting
            | StepState::Stuck
    )
}
