//! Point 3: the closures. A host has none of them before it fetches it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use slipway_domain::HostName;

use super::outcome::DemoOutcomes;
use super::timeline::Timeline;
use crate::fleet::Member;
use crate::nix::Signing;
use crate::run::Run;
use crate::stack::DevStack;

/// Versions for all hosts, and what each answers to its health check.
const VERSIONS: [(&str, u16); 3] = [("v1", 200), ("v2", 200), ("v3", 500)];

/// Every closure of the demo by host.
#[derive(Debug)]
pub(super) struct Closures {
    /// Version 1, for all hosts.
    pub v1: Vec<(HostName, PathBuf)>,
    /// Version 2, for all hosts.
    pub v2: Vec<(HostName, PathBuf)>,
    /// Version 3, for all hosts; it fails its health check.
    pub v3: Vec<(HostName, PathBuf)>,
    /// Version 4, for the last host.
    pub v4: Vec<(HostName, PathBuf)>,
    /// For the first host, signed by nobody.
    pub unsigned: Vec<(HostName, PathBuf)>,
}

impl Closures {
    /// Builds all, signs and publishes them, and removes them from the hosts' store.
    pub(super) async fn create(
        run: &Run,
        stack: &DevStack,
        checkout: &Path,
        timeline: &Timeline,
        outcomes: &mut DemoOutcomes,
    ) -> Result<Self> {
        let hosts = &stack.hosts;
        let service = &stack.binaries.demo_service;
        let mut members: Vec<Member> = Vec::new();
        for (version, health) in VERSIONS {
            members.extend(
                hosts
                    .iter()
                    .map(|host| host.member(run, service, version, health)),
            );
        }
        members.extend(hosts.last().map(|host| host.member(run, service, "v4", 200)));
        members.extend(
            hosts
                .first()
                .map(|host| host.member(run, service, "unsigned", 200)),
        );
        let paths = stack.nix.build(run, &checkout.join("nix/demo"), &members).await?;
        timeline.say(&format!("{} closures are built", paths.len()));

        let (unsigned, signed) = paths.split_last().map_or((&[][..], &[][..]), |(last, rest)| {
            (std::slice::from_ref(last), rest)
        });
        stack.nix.publish(run, signed, Signing::Signed).await?;
        stack.nix.publish(run, unsigned, Signing::Unsigned).await?;
        stack.nix.forget_built(run, &paths).await?;
        timeline.say(&format!(
            "{} are signed and in the cache, one is there unsigned; the store is empty",
            signed.len()
        ));
        let left = paths.iter().filter(|path| path.exists()).count();
        outcomes.check(
            3,
            "hosts begin with none of the closures",
            left == 0,
            format!("{left} in the store"),
        );

        let pair =
            |(host, path): (&crate::stack::hosts::DevHost, &PathBuf)| (host.name.clone(), path.clone());
        let mut groups = paths
            .chunks(hosts.len())
            .map(|group| hosts.iter().zip(group).map(pair).collect());
        let mut next = || -> Vec<(HostName, PathBuf)> { groups.next().unwrap_or_default() };
        let (v1, v2, v3) = (next(), next(), next());
        let only = |host: Option<&crate::stack::hosts::DevHost>, path: Option<&PathBuf>| {
            host.zip(path).map(pair).into_iter().collect()
        };
        let v4 = only(hosts.last(), signed.last());
        let unsigned = only(hosts.first(), unsigned.first());
        Ok(Self {
            v1,
            v2,
            v3,
            v4,
            unsigned,
        })
    }
}
