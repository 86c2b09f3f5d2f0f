//! All checks at once, each within its time.

use std::time::Duration;

use slipway_client::ClientBuilder;
use slipway_wire::route;
use tokio::task::JoinSet;

use super::audit;
use crate::args::Verify;
use crate::context::Context;
use crate::verify::stack::Stack;
use crate::verify::{Check, Line, Report, backup, endpoints, fleet, local, tls};
use crate::{Exit, Failure};

/// An address that is looked at from the outside.
struct Site {
    of: String,
    builder: ClientBuilder,
    control_plane: bool,
}

pub(super) async fn run(context: &Context, args: Verify) -> Result<Exit, Failure> {
    let stacks = stacks(context, &args)?;
    let mut context = context.clone();
    for stack in stacks.iter().filter(|stack| stack.control_plane) {
        if let Some(url) = &stack.url {
            context = context.with_fallback(url, stack.ca_file.as_deref());
        }
    }
    let mut checks = Checks::new(Duration::from_secs(args.timeout));
    if stacks.is_empty() {
        let (builder, _) = context.anonymous()?;
        let of = builder.url().as_str().trim_end_matches('/').to_owned();
        checks.site(
            &Site {
                of: of.clone(),
                builder,
                control_plane: true,
            },
            &context,
        )?;
        if args.backup_url.is_none() {
            checks.line(backup::unknown(&of));
        }
    }
    for stack in &stacks {
        checks.stack(&context, stack, args.backup_url.is_none())?;
    }
    if let Some(url) = args.backup_url {
        endpoints::split(&url)?;
        checks.backup(&context, None, url);
    }
    if stacks.is_empty() || stacks.iter().any(|stack| stack.control_plane) || context.typed_url().is_some() {
        checks.control_plane(&context);
    }
    let report = Report::new(checks.finish().await);
    context.output.show(&report, || report.text(context.output))?;
    Ok(report.exit())
}

fn stacks(context: &Context, args: &Verify) -> Result<Vec<Stack>, Failure> {
    if !args.stacks.is_empty() {
        let named = args.stacks.iter();
        return named.map(|name| Stack::named(&args.stacks_dir, name)).collect();
    }
    if context.typed_url().is_some() {
        return Ok(Vec::new());
    }
    Stack::all(&args.stacks_dir)
}

/// The checks under way, in the order in which they are shown.
struct Checks {
    limit: Duration,
    running: JoinSet<(usize, Vec<Line>)>,
    count: usize,
    ready: Vec<(usize, Vec<Line>)>,
}

impl Checks {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            running: JoinSet::new(),
            count: 0,
            ready: Vec::new(),
        }
    }

    fn line(&mut self, line: Line) {
        self.ready.push((self.count, vec![line]));
        self.count += 1;
    }

    /// Begins a check. It has a bound of its own besides that of each of its requests.
    fn begin(&mut self, check: Check, lines: impl Future<Output = Vec<Line>> + Send + 'static) {
        let (place, limit) = (self.count, self.limit);
        self.count += 1;
        self.running.spawn(async move {
            // A moment more than a request has, so that the request's own error is what is shown.
            let lines = match tokio::time::timeout(limit + Duration::from_millis(500), lines).await {
                Ok(lines) => lines,
                Err(_) => vec![check.not_checked(
                    format!("it did not end in {} s", limit.as_secs()),
                    "give it longer: --timeout SECONDS",
                )],
            };
            (place, lines)
        });
    }

    fn site(&mut self, site: &Site, context: &Context) -> Result<(), Failure> {
        let (limit, of) = (self.limit, &site.of);
        let url = site.builder.url();
        let check = |name: &str| Check::new(name, of);
        if url.scheme() == "https" {
            let target = tls::Target {
                of: of.clone(),
                host: url.host_str().unwrap_or_default().to_owned(),
                port: url.port_or_known_default().unwrap_or(443),
                ca_pem: site.builder.ca_pem().to_vec(),
            };
            let now = (context.output.now)();
            self.begin(check("certificate"), tls::check(target, limit, now));
        } else if site.builder.is_readable_on_the_way() {
            self.line(check("certificate").fail(
                "plain HTTP: tokens can be read on the way",
                "give the proxy a certificate and use its https address",
            ));
        } else {
            self.line(check("certificate").not_checked(
                "plain HTTP on this machine has none",
                "give the address that clients use: --url https://…",
            ));
        }
        let client = endpoints::client(site.builder.clone(), limit)?;
        for (name, path) in [("live", route::LIVE), ("ready", route::READY)] {
            let (client, of) = (client.clone(), of.clone());
            self.begin(check(name), async move {
                vec![endpoints::probe(&client, &of, name, path).await]
            });
        }
        let (all, this) = (site.control_plane, (client.clone(), of.clone()));
        self.begin(check("health"), async move {
            endpoints::health(&this.0, &this.1, all).await
        });
        let this = (client, of.clone());
        self.begin(check("metrics closed"), async move {
            vec![endpoints::metrics_closed(&this.0, &this.1).await]
        });
        Ok(())
    }

    fn stack(&mut self, context: &Context, stack: &Stack, own_backup: bool) -> Result<(), Failure> {
        let (limit, of) = (self.limit, &stack.name);
        match &stack.url {
            Some(url) => {
                let site = Site {
                    of: of.clone(),
                    builder: context.site(url, stack.ca_file.as_deref())?,
                    control_plane: stack.control_plane,
                };
                self.site(&site, context)?;
            }
            None => self
                .line(Check::new("endpoints", of).ok("it has no proxy on this host, so nothing is public")),
        }
        for path in stack.api.sockets.clone() {
            let name = of.clone();
            self.begin(Check::new("socket", of), async move {
                vec![local::socket(name, path, limit).await]
            });
        }
        let all = stack.api.metrics.iter().map(|url| ("api", url));
        for (process, url) in all.chain(stack.worker.metrics.iter().map(|url| ("worker", url))) {
            let (context, name, url) = (context.clone(), of.clone(), url.clone());
            self.begin(Check::new(format!("metrics {process}"), of), async move {
                vec![local::metrics(context, name, process, url, limit).await]
            });
        }
        self.begin(Check::new("units", of), local::units(stack.clone()));
        match &stack.backup {
            _ if !own_backup => {}
            Some(backup) => self.backup(context, Some(of.clone()), backup.status_url.clone()),
            None => self.line(backup::none(of)),
        }
        Ok(())
    }

    fn backup(&mut self, context: &Context, stack: Option<String>, url: String) {
        let check = Check::new("backup", stack.as_ref().unwrap_or(&url));
        self.begin(check, backup::check(context.clone(), stack, url, self.limit));
    }

    /// What takes a token.
    fn control_plane(&mut self, context: &Context) {
        let client = match context.client() {
            Ok(client) => client,
            Err(failure) => {
                for check in ["hosts", "audit"] {
                    self.line(Check::new(check, "control plane").unknown_by(&failure));
                }
                return;
            }
        };
        let of = client.url().as_str().trim_end_matches('/').to_owned();
        let now = (context.output.now)();
        let this = (client.clone(), of.clone());
        self.begin(Check::new("hosts", &of), async move {
            fleet::check(&this.0, &this.1, now).await
        });
        self.begin(Check::new("audit", &of), async move {
            let check = Check::new("audit", of);
            vec![match audit::verdict(&client, None).await {
                Ok(verdict) if verdict.whole => check.ok(format!(
                    "the log is whole: {} events, head {}",
                    verdict.events, verdict.head
                )),
                Ok(verdict) => check.fail(
                    verdict.problems.join("; "),
                    "slipway audit verify; keep the database as it is, and restore from before it was changed",
                ),
                Err(failure) => check.unknown_by(&failure),
            }]
        });
    }

    async fn finish(mut self) -> Vec<Line> {
        while let Some(done) = self.running.join_next().await {
            match done {
                Ok(lines) => self.ready.push(lines),
                // A panic was shown already; that nothing is known must show too.
                Err(_) => self.line(
                    Check::new("verify", "itself")
                        .not_checked("a check ended in a panic", "please report it with what was shown"),
                ),
            }
        }
        self.ready.sort_by_key(|(place, _)| *place);
        self.ready.into_iter().flat_map(|(_, lines)| lines).collect()
    }
}
