//! What the live closure names in `etc/slipway/facts.json`: where its certificates, backups and clusters are.
//!
//! It comes from a closure that runs already, so its commands are no more than what that closure runs anyway.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use slipway_domain::Timestamp;
use slipway_domain::facts::{Backup, Cluster, ClusterMember, MAX_FACTS};
use tokio::time::timeout;

use crate::checks::get_text;
use crate::config::HostConfig;
use crate::text::problem_of;

const FILE: &str = "etc/slipway/facts.json";
/// A list of a few paths.
const LONGEST: u64 = 256 * 1024;
/// How long the exporter of backups may take: it asks the database server.
const BACKUPS_WITHIN: Duration = Duration::from_secs(6);
/// How long the members of a cluster may take together.
const CLUSTER_WITHIN: Duration = Duration::from_secs(6);

/// The file. Fields of a newer closure are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sources {
    /// Files of certificates; a `*` stands for one folder.
    pub(super) certificates: Vec<String>,
    /// A folder on the boot partition.
    pub(super) boot: Option<PathBuf>,
    /// The page of `slipway-backup exporter`.
    backups: Option<String>,
    /// Clusters of databases.
    clusters: Vec<ClusterSource>,
}

#[derive(Debug, Deserialize)]
struct ClusterSource {
    name: String,
    /// Prints the members as JSON, as Patroni's `/cluster` has them.
    command: Vec<String>,
}

/// Nothing where the live closure has no such file: it is of an earlier release, or no NixOS.
pub(super) fn load(config: &HostConfig) -> Option<Sources> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(config.live_link.join(FILE)).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    match serde_json::from_str(&text) {
        Ok(sources) => Some(sources),
        Err(error) => {
            tracing::debug!(%error, FILE, "cannot be read");
            None
        }
    }
}

/// Parts of `slipway-backup exporter`'s page.
#[derive(Deserialize)]
struct Page {
    stacks: Vec<PageStack>,
}

#[derive(Deserialize)]
struct PageStack {
    stack: String,
    kinds: Vec<PageKind>,
    #[serde(default)]
    archive: Option<PageArchive>,
}

#[derive(Deserialize)]
struct PageKind {
    kind: String,
    ok: bool,
    last_success: Option<Timestamp>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct PageArchive {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
}

/// A host without backups has none; one whose exporter is silent is unknown.
pub(super) async fn backups(sources: Option<&Sources>) -> Option<Vec<Backup>> {
    let Some(url) = &sources?.backups else {
        return Some(Vec::new());
    };
    let text = timeout(BACKUPS_WITHIN, get_text(url)).await.ok()?.ok()?;
    let page: Page = serde_json::from_str(&text).ok()?;
    let mut found = Vec::new();
    for of in page.stacks {
        found.extend(of.kinds.into_iter().map(|kind| Backup {
            stack: of.stack.clone(),
            kind: kind.kind,
            last_success: kind.last_success,
            ok: kind.ok,
            problem: kind.error,
        }));
        found.extend(of.archive.map(|archive| Backup {
            stack: of.stack.clone(),
            kind: "archive".to_owned(),
            last_success: None,
            ok: archive.ok,
            problem: archive.error,
        }));
    }
    found.truncate(MAX_FACTS);
    Some(found)
}

/// A member as Patroni names it.
#[derive(Deserialize)]
struct Member {
    name: String,
    role: String,
    state: String,
}

pub(super) async fn clusters(config: &HostConfig, sources: Option<&Sources>) -> Option<Vec<Cluster>> {
    let mut found = Vec::new();
    for source in sources?.clusters.iter().take(MAX_FACTS) {
        found.push(cluster(config, source).await);
    }
    Some(found)
}

async fn cluster(config: &HostConfig, source: &ClusterSource) -> Cluster {
    let unknown = |problem: String| Cluster {
        name: source.name.clone(),
        members: Vec::new(),
        problem: Some(problem),
    };
    let Some((program, args)) = source.command.split_first() else {
        return unknown("no command says who its members are".to_owned());
    };
    let mut command = config.command(program);
    command.args(args);
    let answer = slipway_process::capture(command, CLUSTER_WITHIN).await;
    if let Some(problem) = problem_of(program, &answer.outcome, &answer.stderr, CLUSTER_WITHIN) {
        return unknown(problem);
    }
    match serde_json::from_slice::<Vec<Member>>(&answer.stdout) {
        Ok(members) => Cluster {
            name: source.name.clone(),
            members: members.into_iter().take(MAX_FACTS).map(member).collect(),
            problem: None,
        },
        Err(error) => unknown(format!("{program} printed no list of members: {error}")),
    }
}

fn member(member: Member) -> ClusterMember {
    ClusterMember {
        name: member.name,
        leads: matches!(member.role.as_str(), "leader" | "standby_leader"),
        healthy: matches!(member.state.as_str(), "running" | "streaming"),
    }
}
