//! Part `agent`: what a real agent takes of its host while nothing is to be done.

use std::time::Duration;

use anyhow::{Context as _, Result};
use slipway_dev::run::Run;
use slipway_dev::stack::DevStack;

use crate::figures::{Figure, Figures};
use crate::process::Usage;

const PART: &str = "agent";
/// Long enough for everything that it does by the clock.
const REST: Duration = Duration::from_mins(1);

pub(crate) async fn measure(run: &Run, stack: &DevStack, figures: &mut Figures) -> Result<()> {
    let host = stack.hosts.first().context("there is no host")?;
    let pid = run
        .supervisor
        .pid(&host.agent())
        .context("the agent does not run")?;
    let before = Usage::of(pid);
    tokio::time::sleep(REST).await;
    let rest = Usage::of(pid).since(before);
    let share = rest.cpu_seconds / REST.as_secs_f64() * 100.0;
    figures.add(
        PART,
        "processor while nothing is to be done",
        Figure::cost(share, "% of a core"),
    );
    figures.add(
        PART,
        "memory while nothing is to be done",
        Figure::cost(rest.memory_mib, "MiB"),
    );
    Ok(())
}
