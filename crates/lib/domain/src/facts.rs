//! What an agent knows of its host besides what runs: room, memory, clocks, certificates, backups, clusters.
//!
//! A fact that is `None` is unknown: the agent is older, or could not find it out. It never counts as good. Preflight
//! ([`crate::preflight`]) judges them; the agent only gathers.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, StorePath, Timestamp};

/// Entries of each list that are kept.
pub const MAX_FACTS: usize = 64;
/// Characters of each text that are kept.
pub const MAX_FACT_TEXT: usize = 400;
/// Facts that are older than this count as unknown, in seconds. An agent sends new ones once a minute.
pub const FACTS_AGE_SECONDS: i64 = 180;

/// The facts of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostFacts {
    /// The attempt whose closure was staged when they were gathered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// Its kind of machine in Nix's words, such as `x86_64-linux`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The file systems that a rollout writes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystems: Option<Vec<Filesystem>>,
    /// Its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// How much work waits, by the kernel's pressure stall information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// How many programs want to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// What systemd says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd: Option<SystemdState>,
    /// Whether a time service keeps its clock right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_synchronised: Option<bool>,
    /// Generations of its system profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generations: Option<u32>,
    /// Why Nix does not answer; empty when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nix_problem: Option<String>,
    /// The keys whose releases it takes; empty where it trusts the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_keys: Option<Vec<String>>,
    /// SSH host keys that others than their owner can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readable_host_keys: Option<Vec<String>>,
    /// Its certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<Certificate>>,
    /// Its stacks' backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Vec<Backup>>,
    /// The database clusters that it is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<Cluster>>,
    /// The closure that was asked for or staged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<ClosureFacts>,
}

/// A file system that a rollout writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Filesystem {
    /// What it is for.
    pub role: FilesystemRole,
    /// A folder on it.
    pub path: String,
    /// Its size.
    pub total_bytes: u64,
    /// What is left for everybody.
    pub free_bytes: u64,
    /// How many files it can hold; 0 where it has no such bound.
    #[serde(default)]
    pub inodes: u64,
    /// How many more files it can hold.
    #[serde(default)]
    pub free_inodes: u64,
    /// Whether nothing can be written there.
    #[serde(default)]
    pub read_only: bool,
}

/// What a file system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FilesystemRole {
    /// Nix's store.
    Store,
    /// Nix's database, profiles and roots.
    NixState,
    /// Kernels and boot entries: the EFI system partition, or `/boot`.
    Boot,
    /// The agent's journal.
    State,
    /// What only a newer program knows.
    #[serde(other)]
    Other,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs can have without swapping.
    pub available_bytes: u64,
    /// Free swap.
    pub swap_free_bytes: u64,
}

/// For how many tenths of a percent of the last minute something waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pressure {
    /// Some program for a processor.
    pub cpu: u32,
    /// All programs for disks.
    pub io: u32,
    /// All programs for memory.
    pub memory: u32,
}

/// How many programs want to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Load {
    /// The mean of five minutes, in hundredths.
    pub five_minutes: u32,
    /// Processors.
    pub processors: u32,
}

/// What systemd says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemdState {
    /// Such as `running` or `degraded`.
    pub state: String,
    /// Units that failed.
    pub failed_units: Vec<String>,
}

/// A certificate of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// Its file.
    pub file: String,
    /// When it expires; none when it cannot be read.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires: Option<Timestamp>,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One kind of backup of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backup {
    /// The stack.
    pub stack: String,
    /// Such as `dump` or `drill`.
    pub kind: String,
    /// When the last good one ended.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_success: Option<Timestamp>,
    /// Whether it is neither late nor failed.
    pub ok: bool,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A cluster of databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its members; empty when none could be asked.
    pub members: Vec<ClusterMember>,
    /// Why its members are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A member of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterMember {
    /// Its name.
    pub name: String,
    /// Whether it leads.
    pub leads: bool,
    /// Whether it runs and follows.
    pub healthy: bool,
}

/// What the host knows of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClosureFacts {
    /// The closure.
    pub path: StorePath,
    /// Whether it can be had.
    pub availability: Availability,
    /// Bytes to download.
    pub download_bytes: u64,
    /// Bytes that it will take more in the store.
    pub unpacked_bytes: u64,
    /// Its kind of machine, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Bytes of its kernel and its initrd, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_bytes: Option<u64>,
    /// Nix's words, when it cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether a closure can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Availability {
    /// All of it is in the host's store.
    Present,
    /// The host's caches have what is missing.
    Fetchable,
    /// The caches answer, and lack a part.
    Missing,
    /// No cache answers.
    Unreachable,
    /// It could not be found out in time.
    #[serde(other)]
    Unknown,
}

impl HostFacts {
    /// Keeps of every list and text as much as the control plane stores.
    pub fn cut(&mut self, text: impl Fn(&mut String)) {
        let texts = [&mut self.system, &mut self.nix_problem].into_iter().flatten();
        texts.for_each(&text);
        let lists = [&mut self.release_keys, &mut self.readable_host_keys];
        for list in lists.into_iter().flatten() {
            list.truncate(MAX_FACTS);
            list.iter_mut().for_each(&text);
        }
        if let Some(systemd) = &mut self.systemd {
            text(&mut systemd.state);
            systemd.failed_units.truncate(MAX_FACTS);
            systemd.failed_units.iter_mut().for_each(&text);
        }
        for filesystem in cut_list(&mut self.filesystems) {
            text(&mut filesystem.path);
        }
        for certificate in cut_list(&mut self.certificates) {
            text(&mut certificate.file);
            certificate.problem.iter_mut().for_each(&text);
        }
        for backup in cut_list(&mut self.backups) {
            text(&mut backup.stack);
            text(&mut backup.kind);
            backup.problem.iter_mut().for_each(&text);
        }
        for cluster in cut_list(&mut self.clusters) {
            text(&mut cluster.name);
            cluster.problem.iter_mut().for_each(&text);
            cluster.members.truncate(MAX_FACTS);
            for member in &mut cluster.members {
                text(&mut member.name);
            }
        }
        if let Some(closure) = &mut self.closure {
            let texts = [&mut closure.system, &mut closure.problem].into_iter().flatten();
            texts.for_each(&text);
        }
    }

    /// The file systems of this role.
    pub(crate) fn filesystem(&self, role: FilesystemRole) -> Option<&Filesystem> {
        self.filesystems.as_ref()?.iter().find(|found| found.role == role)
    }
}

fn cut_list<T>(list: &mut Option<Vec<T>>) -> impl Iterator<Item = &mut T> {
    list.iter_mut().flat_map(|list| {
        list.truncate(MAX_FACTS);
        list.iter_mut()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_older_or_newer_agent_can_be_read() {
        assert_eq!(
            serde_json::from_str::<HostFacts>("{}").unwrap(),
            HostFacts::default()
        );
        let newer = r#"{"later": 1, "filesystems": [{"role": "moon", "path": "/m", "total_bytes": 1, "free_bytes": 1}]}"#;
        let facts: HostFacts = serde_json::from_str(newer).unwrap();
        assert_eq!(facts.filesystems.unwrap()[0].role, FilesystemRole::Other);
        assert_eq!(serde_json::to_string(&HostFacts::default()).unwrap(), "{}");
    }

    #[test]
    fn lists_and_texts_are_cut() {
        let mut facts = HostFacts {
            systemd: Some(SystemdState {
                state: "x".repeat(1000),
                failed_units: vec!["a.service".to_owned(); 1000],
            }),
            clusters: Some(vec![
                Cluster {
                    name: "main".to_owned(),
                    members: Vec::new(),
                    problem: Some("p".repeat(1000)),
                };
                1000
            ]),
            ..HostFacts::default()
        };
        facts.cut(|text| text.truncate(MAX_FACT_TEXT));
        let systemd = facts.systemd.unwrap();
        assert_eq!(
            (systemd.state.len(), systemd.failed_units.len()),
            (MAX_FACT_TEXT, MAX_FACTS)
        );
        let clusters = facts.clusters.unwrap();
        assert_eq!(
            (clusters.len(), clusters[0].problem.as_ref().map(String::len)),
            (MAX_FACTS, Some(MAX_FACT_TEXT))
        );
    }
}
