//! `slipway doctor`: the setup of this machine, the control plane and a host, with what to do about each finding.

use std::process::Stdio;
use std::time::Duration;

use slipway_client::{Client, ClientError};
use slipway_domain::{EnvironmentRoles, HostName};
use slipway_verify::{CheckResult, PendingCheck, Site, VerifyTarget};
use slipway_wire::access::Whoami;
use slipway_wire::monitoring::Health;
use tokio::time::timeout;

use super::verify::VerifyReport;
use crate::context::Context;
use crate::program::program;
use crate::{CliFailure, Exit};

/// What each check may take.
const LIMIT: Duration = Duration::from_secs(10);
/// What is away for longer is a finding.
const RETRY_SECONDS: u64 = 3;
/// The findings are about this, unless they name something else.
const HERE: &str = "this machine";

pub(super) async fn run(context: &Context, host: Option<HostName>) -> Result<Exit, CliFailure> {
    let context = context.clone().retrying_for(RETRY_SECONDS);
    let mut targets = vec![VerifyTarget::Known(nix().await)];
    let address = PendingCheck::new("address", HERE);
    match context.anonymous() {
        Err(failure) => targets.push(known(address, &failure)),
        Ok((builder, _)) => {
            let of = builder.url().as_str().trim_end_matches('/').to_owned();
            let health = builder.clone().build()?.health().await;
            if let Err(error @ ClientError::Unreachable { .. }) = &health {
                targets.extend(nothing_answers(address, &of, host.as_ref(), error));
                return finish(&context, targets).await;
            }
            targets.push(VerifyTarget::Known(address.ok(format!("asks {of}"))));
            let client = context.client();
            targets.push(VerifyTarget::Known(match &client {
                Ok(client) => login(&context, client).await,
                Err(failure) => failed(PendingCheck::new("login", HERE), failure),
            }));
            targets.push(VerifyTarget::Known(version(&health, &of)));
            targets.push(VerifyTarget::Site(Site::new(&of, builder, LIMIT, true)?));
            if let Some(name) = host {
                targets.push(match client {
                    Ok(client) => VerifyTarget::Host {
                        client,
                        name,
                        advice: context.advice(),
                    },
                    Err(failure) => {
                        let check = PendingCheck::new("host", name.as_str());
                        let cure = failure.cure().unwrap_or("log in: slipway login");
                        VerifyTarget::Known(check.not_checked(failure.detail(), cure))
                    }
                });
            }
        }
    }
    finish(&context, targets).await
}

async fn finish(context: &Context, targets: Vec<VerifyTarget>) -> Result<Exit, CliFailure> {
    let report = VerifyReport::new(slipway_verify::run(targets, LIMIT, (context.output.now)()).await);
    context.output.show(&report, || report.text(context.output))?;
    Ok(report.exit())
}

/// The one finding where no request arrives: all others would only say the same again.
fn nothing_answers(
    address: PendingCheck,
    of: &str,
    host: Option<&HostName>,
    error: &ClientError,
) -> Vec<VerifyTarget> {
    let cure = error.help().unwrap_or("check the address");
    let mut found = vec![VerifyTarget::Known(address.fail(error.summary(), cure))];
    let waiting = ["login", "version", "health"].map(|check| PendingCheck::new(check, of));
    let host = host.map(|_| PendingCheck::new("host", of));
    found.extend(waiting.into_iter().chain(host).map(|check| {
        VerifyTarget::Known(check.not_checked("skipped: the address does not answer", "see `address`"))
    }));
    found
}

fn known(check: PendingCheck, failure: &CliFailure) -> VerifyTarget {
    VerifyTarget::Known(failed(check, failure))
}

fn failed(check: PendingCheck, failure: &CliFailure) -> CheckResult {
    check.fail(
        failure.detail(),
        failure.cure().unwrap_or("slipway login --url https://…"),
    )
}

/// Only releases of a flake need it.
async fn nix() -> CheckResult {
    let check = PendingCheck::new("nix", HERE);
    let ran = program("nix")
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let cure = "install Nix, or register what CI built: slipway release create --closure HOST=PATH";
    match timeout(LIMIT, ran).await {
        Ok(Ok(ran)) if ran.status.success() => check.ok(String::from_utf8_lossy(&ran.stdout).trim()),
        Ok(Ok(ran)) => check.warn(format!("`nix --version` failed ({})", ran.status), cure),
        Ok(Err(error)) => check.warn(
            format!("cannot run nix ({error}), so no release is built here"),
            cure,
        ),
        Err(_) => check.warn(
            format!("`nix --version` did not end in {} s", LIMIT.as_secs()),
            cure,
        ),
    }
}

async fn login(context: &Context, client: &Client) -> CheckResult {
    let check = PendingCheck::new("login", HERE);
    match client.whoami().await {
        Ok(Whoami::Principal {
            name,
            role,
            environment_roles,
            limits,
            ..
        }) => {
            let limits = Some(limits.words()).filter(|limits| !limits.is_empty());
            let limits = limits.map(|limits| format!("; the token is limited to {limits}"));
            check.ok(format!(
                "{name}, {role}{}{}",
                EnvironmentRoles::words(&environment_roles),
                limits.unwrap_or_default()
            ))
        }
        Ok(Whoami::Host { name }) => check.fail(
            format!("the token is of the host {name}, which may only sync"),
            "log in as a person: slipway login",
        ),
        Err(error) => {
            let failure = context.explain(error.into());
            let cure = failure
                .cure()
                .unwrap_or("the lines below say what is wrong with the API");
            check.fail(failure.detail(), cure)
        }
    }
}

/// Both read each other's answers over one release at least; with more between them, something may be missing.
fn version(health: &Result<Health, ClientError>, of: &str) -> CheckResult {
    let check = PendingCheck::new("version", of);
    let own = env!("CARGO_PKG_VERSION");
    match health {
        Ok(health) if health.version == own => check.ok(format!("both are {own}")),
        Ok(health) => check.warn(
            format!("the API is {}, and this command line is {own}", health.version),
            "install the command line of the API's release",
        ),
        Err(error) => check.not_checked(error.summary(), "the lines below say what is wrong with the API"),
    }
}
