//! `slipway preflight`: what stands in the way of a rollout, before it begins.

use std::fmt::Write as _;
use std::time::Duration;

use slipway_domain::preflight::{Finding, Outcome};
use slipway_domain::{EnvironmentName, HostName, ReleaseRef};
use slipway_verify::{CheckState, Site, VerifyTarget};
use slipway_wire::preflight::{PreflightReport, Told};

use crate::context::Context;
use crate::table::{Cell, Table, Tone};
use crate::text::{clean, count};
use crate::{CliFailure, Exit, names, stop};

/// A handshake takes less.
const CERTIFICATE_WITHIN: Duration = Duration::from_secs(5);
/// Hosts that are named in a line.
const NAMED: usize = 3;

pub(super) async fn run(
    context: &Context,
    environment: &EnvironmentName,
    release: &ReleaseRef,
    strict: bool,
) -> Result<Exit, CliFailure> {
    let client = context.client()?;
    let asked = async {
        let (report, certificate) =
            tokio::join!(client.preflight(environment, release), certificate(context));
        Ok((report?, certificate?))
    };
    let (mut report, certificate) = stop::or_stop(asked).await?;
    report.blocked |= certificate.outcome == Outcome::Blocking;
    let place = report
        .findings
        .iter()
        .position(|finding| finding.outcome > certificate.outcome)
        .unwrap_or(report.findings.len());
    report.findings.insert(place, certificate);
    context.output.show(&report, || text(context, &report))?;
    Ok(if report.blocked {
        Exit::VerifyFailed
    } else if strict && report.count(Outcome::Unknown) > 0 {
        Exit::NotVerified
    } else {
        Exit::Success
    })
}

/// The control plane's own certificate, as this machine sees it.
async fn certificate(context: &Context) -> Result<Finding, CliFailure> {
    let (builder, _) = context.anonymous()?;
    let of = builder.url().as_str().trim_end_matches('/').to_owned();
    let site = Site::new(&of, builder, CERTIFICATE_WITHIN, false)?;
    let target = VerifyTarget::Certificate(site);
    let results = slipway_verify::run(vec![target], CERTIFICATE_WITHIN, (context.output.now)()).await;
    let finding = |outcome, message: String, cure| Finding {
        check: "control-plane-certificate".to_owned(),
        outcome,
        hosts: Vec::new(),
        host_count: 0,
        message,
        cure,
    };
    let Some(result) = results.into_iter().find(|result| result.check == "certificate") else {
        let message = "its certificate could not be looked at".to_owned();
        return Ok(finding(Outcome::Unknown, message, None));
    };
    let outcome = match result.state {
        CheckState::Ok => Outcome::Passed,
        CheckState::Warn => Outcome::Warning,
        CheckState::NotChecked => Outcome::Unknown,
        CheckState::Fail => Outcome::Blocking,
    };
    Ok(finding(outcome, result.seen, result.cure))
}

/// The findings that are not as wished; what passed is counted.
fn text(context: &Context, report: &PreflightReport) -> String {
    let mut table = Table::new(&["", "CHECK", "HOSTS", "FOUND"]);
    for Told { finding, checks } in report.told() {
        let tone = match finding.outcome {
            Outcome::Passed => Tone::Good,
            Outcome::Blocking => Tone::Bad,
            Outcome::Unknown | Outcome::Warning => Tone::Busy,
        };
        let check = match checks.as_slice() {
            [one] => (*one).to_owned(),
            several => count(several.len(), "check"),
        };
        table.row([
            Cell::new(word(finding.outcome), tone),
            Cell::from(check),
            Cell::maybe(hosts(finding)),
            Cell::from(&finding.message),
        ]);
        if checks.len() > 1 {
            table.below(format!("         these: {}", checks.join(", ")));
        }
        if let Some(cure) = &finding.cure {
            table.below(format!("         cure: {cure}"));
        }
    }
    let mut text = table.render(context.output.colour, "all checks passed");
    if !report.unanswered.is_empty() {
        let _ = writeln!(
            text,
            "did not answer in time: {}",
            named(&report.unanswered, report.unanswered.len())
        );
    }
    let verdict = if report.blocked {
        "no rollout should begin: something blocks"
    } else {
        "nothing blocks"
    };
    let _ = writeln!(
        text,
        "{}, release {}: {verdict}; {} blocking, {} unknown, {}, {} passed",
        clean(report.environment.as_str()),
        names::release(report.release, report.release_label.as_ref()),
        report.count(Outcome::Blocking),
        report.count(Outcome::Unknown),
        count(report.count(Outcome::Warning), "warning"),
        report.count(Outcome::Passed),
    );
    text
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Blocking => "BLOCKS",
        Outcome::Unknown => "unknown",
        Outcome::Warning => "warn",
        Outcome::Passed => "ok",
    }
}

fn hosts(finding: &Finding) -> Option<String> {
    match (finding.hosts.as_slice(), finding.host_count) {
        ([], 0) => None,
        ([], all) => Some(format!("{all}")),
        (hosts, _) => Some(named(hosts, hosts.len())),
    }
}

fn named(hosts: &[HostName], all: usize) -> String {
    let shown: Vec<&str> = hosts.iter().take(NAMED).map(HostName::as_str).collect();
    match all.saturating_sub(shown.len()) {
        0 => shown.join(","),
        more => format!("{} and {more} more", shown.join(",")),
    }
}
