//! Points 1 and 2: the processes, and who may talk to them.

use anyhow::Result;
use slipway_client::{ClientError, UnreachableCause};
use slipway_wire::monitoring::{Health, Status};

use super::eventually;
use super::outcome::DemoOutcomes;
use super::probe;
use super::timeline::Timeline;
use crate::stack::DevStack;

/// The servers are as the issue wants them.
pub(super) async fn check_servers(stack: &DevStack, outcomes: &mut DemoOutcomes) -> Result<()> {
    // A worker may be ready before its first row is in the database.
    let is_well = |health: &Result<Health, _>| matches!(health, Ok(health) if health.status == Status::Ok);
    let health = eventually(async || stack.api.health().await, is_well).await?;
    let parts: Vec<String> = health
        .dependencies
        .iter()
        .map(|(name, part)| format!("{name} {:?}", part.status).to_lowercase())
        .collect();
    outcomes.check(
        1,
        "the api is well, with all it depends on",
        health.status == Status::Ok,
        parts.join(", "),
    );
    let version = probe::http_version(&stack.nginx).await?;
    let seen = format!(
        "{version:?} in front of {} replicas",
        stack.control_plane.replicas.len()
    );
    outcomes.check(
        1,
        "nginx speaks HTTP/2 over TLS",
        version == reqwest::Version::HTTP_2,
        seen,
    );
    let (bytes, policy) = stack.redis.memory_limits().await?;
    outcomes.check(
        1,
        "Redis keeps to 256 MiB and evicts",
        bytes == 256 << 20 && policy == "allkeys-lru",
        format!("{} MiB, {policy}", bytes >> 20),
    );
    Ok(())
}

/// The fleet is there, and nobody talks to an api that they cannot verify.
pub(super) async fn check_hosts(
    stack: &DevStack,
    timeline: &Timeline,
    outcomes: &mut DemoOutcomes,
) -> Result<()> {
    let count = async || {
        let hosts = stack.api.all_hosts(None).await?;
        Ok::<_, ClientError>(hosts.iter().filter(|host| host.online).count())
    };
    let online = eventually(count, |online| matches!(online, Ok(n) if *n == stack.hosts.len())).await?;
    timeline.say(&format!("{online} agents speak with the api through nginx"));
    outcomes.check(
        2,
        "every host's agent is heard of",
        online == stack.hosts.len(),
        format!("{online} online"),
    );

    let stranger = slipway_client::builder(&stack.nginx.api_url())?.build()?;
    // A passing trouble, such as a slow handshake, says nothing about the certificate.
    let is_settled = |refused: &Result<(), ClientError>| !matches!(refused, Err(ClientError::Unreachable { cause, .. }) if cause.is_passing());
    let refused = eventually(async || stranger.live().await, is_settled).await;
    let seen = match &refused {
        Ok(()) => "it was accepted".to_owned(),
        Err(error) => error.summary(),
    };
    let unknown = matches!(
        refused,
        Err(ClientError::Unreachable {
            cause: UnreachableCause::UnknownCa,
            ..
        })
    );
    outcomes.check(
        2,
        "who does not know the run's authority refuses its certificate",
        unknown,
        seen,
    );
    Ok(())
}
