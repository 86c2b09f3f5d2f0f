//! What the hosts of a rollout printed, page by page.

use slipway_client::Client;
use slipway_domain::HostName;
use slipway_wire::output::OutputQuery;
use slipway_wire::page::MAX_LIMIT;

use super::{Which, resolve};
use crate::CliFailure;
use crate::args::RolloutArg;
use crate::commands::List;
use crate::output::Output;
use crate::watch::printed;

/// Shows all of it: as lines while the pages come, or as one document.
pub(super) async fn show(
    client: &Client,
    output: &Output,
    rollout: RolloutArg,
    host: Option<HostName>,
    search: Option<String>,
) -> Result<(), CliFailure> {
    let rollout = resolve(client, rollout, Which::OpenOrNewest).await?;
    let mut query = OutputQuery {
        host,
        search,
        limit: Some(MAX_LIMIT),
        ..OutputQuery::default()
    };
    let mut all = Vec::new();
    let mut is_empty = true;
    loop {
        let page = client.rollout_output(rollout.clone(), &query, None).await?;
        is_empty &= page.items.is_empty();
        if output.json {
            all.extend(page.items);
        } else {
            for piece in &page.items {
                let lines: String = printed::lines(piece)
                    .into_iter()
                    .map(|line| line + "\n")
                    .collect();
                Output::stdout(&lines)?;
            }
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
        output.note("no output is kept of this rollout, or none has that text");
    }
    Ok(())
}
