//! What the hosts of a rollout printed, page by page.

use slipway_client::Client;
use slipway_domain::RolloutRef;
use slipway_wire::output::OutputQuery;
use slipway_wire::page::MAX_LIMIT;

use super::{Which, follow_up, resolve};
use crate::args::LogsArgs;
use crate::commands::List;
use crate::output::Output;
use crate::watch::plain::Plain;
use crate::watch::{self, printed};
use crate::{CliFailure, Exit};

/// Shows what is kept, or also what comes.
pub(super) async fn run(client: &Client, output: &Output, args: LogsArgs) -> Result<Exit, CliFailure> {
    if !args.follow {
        return show(client, output, args).await.map(|()| Exit::Success);
    }
    if output.json {
        let failure = CliFailure::usage("--json is one document, and --follow shows lines as they come");
        return Err(failure.help("ask again and again: slipway --json rollout logs ROLLOUT"));
    }
    let id = follow_up(client, args.rollout).await?;
    watch::follow_logs(output, client, id, args.host, args.search).await
}

/// Shows all of it: as lines while the pages come, or as one document.
async fn show(client: &Client, output: &Output, args: LogsArgs) -> Result<(), CliFailure> {
    let rollout = resolve(client, args.rollout, Which::OpenOrNewest).await?;
    let mut query = OutputQuery {
        host: args.host,
        search: args.search,
        limit: Some(MAX_LIMIT),
        ..OutputQuery::default()
    };
    let plain = Plain::new(*output);
    let mut all = Vec::new();
    let mut is_empty = true;
    loop {
        let page = client.rollout_output(rollout.clone(), &query, None).await?;
        is_empty &= page.items.is_empty();
        if output.json {
            all.extend(page.items);
        } else {
            page.items
                .iter()
                .flat_map(printed::lines)
                .try_for_each(|line| plain.printed(&line))?;
        }
        match page.next.and_then(|next| next.parse().ok()) {
            Some(next) if Some(next) > query.after => query.after = Some(next),
            _ => break,
        }
    }
    if output.json {
        return output.show(&List { items: &all }, String::new);
    }
    if is_empty {
        output.note(why_empty(client, rollout, query).await?);
    }
    Ok(())
}

/// Whether nothing was printed, or nothing that has the text.
async fn why_empty(client: &Client, rollout: RolloutRef, query: OutputQuery) -> Result<String, CliFailure> {
    if let Some(search) = query.search {
        let any = OutputQuery {
            host: query.host.clone(),
            limit: Some(1),
            ..OutputQuery::default()
        };
        if !client
            .rollout_output(rollout.clone(), &any, None)
            .await?
            .items
            .is_empty()
        {
            let of = query.host.map(|host| format!(" of {host}")).unwrap_or_default();
            return Ok(format!("no line{of} has `{search}`"));
        }
    }
    let rollout = client.rollout(&rollout).await?.summary;
    let of = query.host.map(|host| format!("{host} in ")).unwrap_or_default();
    let yet = if rollout.state.is_terminal() { "" } else { " yet" };
    Ok(format!(
        "no output of {of}the rollout {} is kept{yet}",
        rollout.label()
    ))
}
