//! `slipway verify`: chooses what to check, and shows the results.

mod report;
mod stack;

use std::time::Duration;

use slipway_client::ClientBuilder;
use slipway_verify::{PageUrl, PendingCheck, Site, StatusPage, VerifyTarget, backups};

pub(super) use self::report::VerifyReport;
use self::stack::StackDescription;
use crate::args::VerifyArgs;
use crate::context::{Context, is_same};
use crate::{CliFailure, Exit};

/// What is away for longer is a finding.
const RETRY_SECONDS: u64 = 3;

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<Exit, CliFailure> {
    let stacks = stacks(context, &args)?;
    let mut context = context.clone().retrying_for(RETRY_SECONDS);
    for stack in stacks.iter().filter(|stack| stack.control_plane) {
        if let Some(url) = &stack.url {
            context = context.with_fallback(url, stack.ca_file.as_deref());
        }
    }
    let mut targets = Targets {
        context: &context,
        limit: Duration::from_secs(args.timeout),
        found: Vec::new(),
    };
    if stacks.is_empty() {
        let (builder, _) = context.anonymous().map_err(|failure| match failure.exit() {
            Exit::Denied => failure.help(format!(
                "run `slipway login --url https://…`, or set SLIPWAY_URL; on a host with stacks, {} should describe them",
                args.stacks_dir.display()
            )),
            _ => failure,
        })?;
        let of = builder.url().as_str().trim_end_matches('/').to_owned();
        targets.site(&of, builder, true)?;
        if args.backup_url.is_none() {
            targets.found.push(VerifyTarget::Known(backups::unknown(&of)));
        }
    }
    for stack in &stacks {
        targets.stack(stack, args.backup_url.is_none())?;
    }
    if let Some(url) = &args.backup_url {
        targets.backups(None, url)?;
    }
    if stacks.is_empty() || stacks.iter().any(|stack| stack.control_plane) || context.typed_url().is_some() {
        targets.control_plane();
    }
    targets.other_control_planes(&stacks)?;
    let Targets { limit, found, .. } = targets;
    let report = VerifyReport::new(slipway_verify::run(found, limit, (context.output.now)()).await);
    context.output.show(&report, || report.text(context.output))?;
    Ok(report.exit())
}

fn stacks(context: &Context, args: &VerifyArgs) -> Result<Vec<StackDescription>, CliFailure> {
    if !args.stacks.is_empty() {
        let named = args.stacks.iter();
        return named
            .map(|name| StackDescription::named(&args.stacks_dir, name))
            .collect();
    }
    if context.typed_url().is_some() {
        return Ok(Vec::new());
    }
    StackDescription::all(&args.stacks_dir)
}

/// What to check, in the order in which the results are shown.
struct Targets<'a> {
    context: &'a Context,
    limit: Duration,
    found: Vec<VerifyTarget>,
}

impl Targets<'_> {
    fn site(&mut self, of: &str, builder: ClientBuilder, is_control_plane: bool) -> Result<(), CliFailure> {
        let site = Site::new(of, builder, self.limit, is_control_plane)?;
        self.found.push(VerifyTarget::Site(site));
        Ok(())
    }

    fn stack(&mut self, stack: &StackDescription, with_backups: bool) -> Result<(), CliFailure> {
        let name = || stack.name.clone();
        if let Some(url) = &stack.url {
            let builder = self.context.site(url, stack.ca_file.as_deref())?;
            self.site(&stack.name, builder, stack.control_plane)?;
        } else if stack.domains.is_empty() {
            let check = PendingCheck::new("endpoints", name());
            let result = check.ok("it has no proxy on this host, so nothing is public");
            self.found.push(VerifyTarget::Known(result));
        }
        for url in &stack.domains {
            let builder = self.context.site(url, stack.ca_file.as_deref())?;
            let site = Site::new(url, builder, self.limit, false)?;
            self.found.push(VerifyTarget::Certificate(site));
        }
        for path in stack.api.sockets.clone() {
            self.found.push(VerifyTarget::Socket { stack: name(), path });
        }
        for service in &stack.services {
            for (listener, number) in service.addresses.iter().zip(1..) {
                self.found.push(VerifyTarget::Service {
                    stack: name(),
                    replica: format!("{}-{number}", service.name),
                    listener: listener.clone(),
                    path: service.path.clone(),
                });
            }
        }
        let api = stack.api.metrics.iter().map(|url| ("api", url));
        let worker = stack.worker.metrics.iter().map(|url| ("worker", url));
        let others = stack
            .services
            .iter()
            .flat_map(|service| service.metrics.iter().map(|url| (service.name.as_str(), url)));
        for (process, url) in api.chain(worker).chain(others) {
            let page = self.page(url)?;
            self.found.push(VerifyTarget::Metrics {
                stack: name(),
                process: process.to_owned(),
                page,
            });
        }
        if !stack.units.is_empty() {
            self.found.push(VerifyTarget::Units {
                stack: name(),
                units: stack.units.clone(),
            });
        }
        if let Some(jobs) = &stack.jobs {
            self.found.push(VerifyTarget::Jobs {
                stack: name(),
                names: jobs.names.clone(),
                metrics_file: jobs.metrics_file.clone(),
            });
        }
        match &stack.backup {
            _ if !with_backups => {}
            Some(backup) => self.backups(Some(name()), &backup.status_url)?,
            None => self.found.push(VerifyTarget::Known(backups::none(&stack.name))),
        }
        Ok(())
    }

    fn backups(&mut self, stack: Option<String>, url: &str) -> Result<(), CliFailure> {
        let page = self.page(url)?;
        self.found.push(VerifyTarget::Backups { stack, page });
        Ok(())
    }

    fn page(&self, url: &str) -> Result<StatusPage, CliFailure> {
        let url = PageUrl::parse(url)?;
        let builder = self.context.site(url.site(), None)?;
        Ok(StatusPage::new(url, builder, self.limit)?)
    }

    /// What takes a token.
    fn control_plane(&mut self) {
        match self.context.client() {
            Ok(client) => {
                let advice = self.context.advice();
                self.found.push(VerifyTarget::ControlPlane { client, advice });
            }
            Err(failure) => self.found.extend(["hosts", "audit"].map(|check| {
                let cure = failure.cure().unwrap_or("see `slipway --help`");
                let check = PendingCheck::new(check, "control plane");
                VerifyTarget::Known(check.not_checked(failure.detail(), cure))
            })),
        }
    }

    /// The address and the login in force are of one control plane. That no other of this host was asked must show.
    fn other_control_planes(&mut self, stacks: &[StackDescription]) -> Result<(), CliFailure> {
        let planes: Vec<_> = stacks.iter().filter(|stack| stack.control_plane).collect();
        if planes.len() < 2 {
            return Ok(());
        }
        let (asked, _) = self.context.anonymous()?;
        for plane in planes {
            let url = plane.url.as_deref();
            if url.is_some_and(|url| is_same(url, &asked)) {
                continue;
            }
            let seen = format!("{} was asked, and not this control plane", asked.url());
            let url = url.unwrap_or("https://…");
            let cure = format!("slipway login --url {url}; slipway verify --stack {}", plane.name);
            self.found.extend(["hosts", "audit"].map(|check| {
                let check = PendingCheck::new(check, &plane.name);
                VerifyTarget::Known(check.not_checked(&seen, &cure))
            }));
        }
        Ok(())
    }
}
