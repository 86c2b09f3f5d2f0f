//! Releases.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use slipway_domain::{EnvironmentName, HostName, ReleaseName, ReleaseRef};
use slipway_wire::kept;

use super::REASON_ALIASES;
use super::number::{at_least, number};

/// Releases.
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Register what each host is to run
    ///
    /// Name the closures, have them built from a flake's nixosConfigurations, or give a manifest that names and signs them.
    Create(CreateReleaseArgs),
    /// Write a manifest of what each host is to run, to be signed
    ///
    /// It works without the API. Sign the file with `ssh-keygen -Y sign -n slipway-release`, with minisign, or in `slipway
    /// release create --manifest`.
    Manifest(ManifestArgs),
    /// Check a manifest and its signatures with your own keys
    ///
    /// Without --id it works without the API.
    Verify(VerifyReleaseArgs),
    /// List releases, the newest first
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_name = "N", allow_negative_numbers = true, value_parser = at_least(1_u32))]
        limit: u32,
    },
    /// Show what a release changes on its hosts
    ///
    /// As agents computed it when they fetched it, in whichever rollout. Hosts that have not fetched it are named.
    Plan {
        /// Its number, name or id, latest, or previous@ENV
        release: ReleaseRef,
    },
    /// Attach a bill of materials or a report of known vulnerabilities to a release
    ///
    /// A newer one is another version; none is ever changed, and the audit log has the digest of each.
    #[command(group = ArgGroup::new("document").required(true).multiple(true))]
    Attach(AttachArgs),
    /// Show what is attached to a release
    Attached(AttachedArgs),
    /// Keep a release: the cache's collector is told that its closures are in use
    ///
    /// A second time changes until when, and why.
    Keep {
        /// Its number, name or id, latest, or previous@ENV
        release: ReleaseRef,
        /// Until when: a day such as 2027-03-31, or an instant such as 2027-03-31T18:00:00Z; for ever when left out
        #[arg(long, value_name = "TIME", value_parser = instant)]
        until: Option<DateTime<Utc>>,
        /// Why, for people
        #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Keep a release no longer
    Unkeep {
        /// Its number, name or id, latest, or previous@ENV
        release: ReleaseRef,
    },
    /// List the closures in use, one path a line, for the cache's own collector
    ///
    /// What runs or boots on hosts, their priors, open rollouts, new releases, the last of each environment, and kept ones.
    /// It fails rather than to leave something out. With --json each has its reasons.
    Roots {
        /// How many releases that succeeded last in each environment are in use
        #[arg(long, value_name = "N", default_value_t = kept::DEFAULT_LAST, allow_negative_numbers = true, value_parser = number(1_u32, kept::MAX_LAST))]
        last: u32,
        /// For how many days a new release is in use
        #[arg(long, value_name = "DAYS", default_value_t = kept::DEFAULT_DAYS, allow_negative_numbers = true, value_parser = number(1_u32, kept::MAX_DAYS))]
        days: u32,
    },
    /// Show a release
    Show {
        /// Its number, name or id, latest, or previous@ENV
        release: ReleaseRef,
    },
}

/// Attach documents to a release.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Its number, name or id, latest, or previous@ENV
    pub release: ReleaseRef,
    /// What it is made of, at most 8 MiB: `CycloneDX` or SPDX 2, as JSON; - for stdin
    #[arg(long, value_name = "FILE", group = "document")]
    pub sbom: Option<PathBuf>,
    /// Known vulnerabilities, at most 8 MiB, as JSON of `CycloneDX`, grype, Trivy, vulnix or cargo-audit; - for stdin
    #[arg(long, value_name = "FILE", group = "document")]
    pub vulnerabilities: Option<PathBuf>,
}

/// Show what is attached to a release.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kind"))]
pub struct AttachedArgs {
    /// Its number, name or id, latest, or previous@ENV
    pub release: ReleaseRef,
    /// List the components of the newest bill of materials
    #[arg(long, group = "kind")]
    pub sbom: bool,
    /// List what the newest report knows, the worst first
    #[arg(long, group = "kind")]
    pub vulnerabilities: bool,
    /// Only entries that have all of these words
    #[arg(long, value_name = "WORDS", requires = "kind", conflicts_with = "raw")]
    pub text: Option<String>,
    /// Write the document as it was attached
    #[arg(long, requires = "kind")]
    pub raw: bool,
    /// Of this version in place of the newest
    #[arg(long, value_name = "N", requires = "raw", allow_negative_numbers = true, value_parser = at_least(1_u32))]
    pub version: Option<u32>,
}

/// Where closures come from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// What one host is to run; give it once for every host
    #[arg(long = "closure", value_name = "HOST=PATH")]
    pub closures: Vec<String>,
    /// Build nixosConfigurations.HOST.config.system.build.toplevel of this flake with Nix
    #[arg(long, value_name = "REF")]
    pub flake: Option<String>,
    /// With --flake: only these hosts; all nixosConfigurations when left out
    #[arg(long = "host", value_name = "HOST", conflicts_with = "closures", value_parser = host_alone)]
    pub hosts: Vec<HostName>,
    /// With --flake: copy the closures to this binary cache, such as s3://bucket or file:///srv/cache
    ///
    /// Sign them with Nix's own secret-key-files setting or secret-key in the URL: agents refuse what is not signed.
    #[arg(long, value_name = "URL", conflicts_with = "closures")]
    pub cache: Option<String>,
}

/// Register a release.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["closures", "flake", "manifest"])))]
#[command(group(ArgGroup::new("signer").args(["signatures", "sign_key", "sign_command"])))]
pub struct CreateReleaseArgs {
    /// Where its closures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// A manifest of `slipway release manifest`; it names closures and source
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub manifest: Option<PathBuf>,
    /// A signature of the manifest; give it once for every signature
    #[arg(long = "signature", value_name = "FILE", requires = "manifest")]
    pub signatures: Vec<PathBuf>,
    /// Sign the manifest with this key: a private key of ssh-keygen or minisign, or the public half of one in ssh-agent
    #[arg(long, value_name = "FILE", requires = "manifest")]
    pub sign_key: Option<PathBuf>,
    /// Sign the manifest with this command of yours: it reads the manifest on stdin and writes the signature to stdout
    #[arg(long, value_name = "COMMAND", requires = "manifest")]
    pub sign_command: Option<String>,
    /// What it is, for people
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
    /// A name for people, such as v1.4.0; no other release has it, and it stays with this one
    #[arg(long, value_name = "NAME")]
    pub name: Option<ReleaseName>,
}

/// Write a manifest.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["closures", "flake"])))]
pub struct ManifestArgs {
    /// Where the closures come from; they must be on this machine.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The environment that it is for, and no other
    #[arg(long, value_name = "ENV")]
    pub env: EnvironmentName,
    /// The manifest's number, above that of every one before; when left out, the seconds since 1970
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(1_u64, slipway_release::manifest::MAX_NUMBER))]
    pub number: Option<u64>,
    /// Days until no host activates it any more
    #[arg(long, value_name = "DAYS", default_value_t = 14, allow_negative_numbers = true, value_parser = number(1_u32, 3650))]
    pub expires_in: u32,
    /// The file to write; it must not be there yet
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// Check a manifest.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["manifest", "id"])))]
pub struct VerifyReleaseArgs {
    /// The manifest's file
    #[arg(value_name = "FILE", requires = "signatures")]
    pub manifest: Option<PathBuf>,
    /// A signature of it; give it once for every signature
    #[arg(long = "signature", value_name = "FILE", conflicts_with = "id")]
    pub signatures: Vec<PathBuf>,
    /// Ask the API for the manifest of this release instead: its number, name or id
    #[arg(long, value_name = "RELEASE")]
    pub id: Option<ReleaseRef>,
    /// A file of public keys, one a line, as agents have it: lines of minisign.pub or ssh-ed25519 lines
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,
    /// The environment that it must be for
    #[arg(long, value_name = "ENV")]
    pub env: Option<EnvironmentName>,
    /// A host that it must name
    #[arg(long = "host", value_name = "HOST")]
    pub host: Option<HostName>,
}

/// A host, and no closure of one.
fn host_alone(text: &str) -> Result<HostName, String> {
    if text.contains('=') {
        return Err(format!("closures are given with --closure {text}"));
    }
    text.parse().map_err(|error| format!("{error}"))
}

/// An instant, or the beginning of a day in UTC.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let day = text
        .parse::<NaiveDate>()
        .map(|day| day.and_time(NaiveTime::MIN).and_utc());
    day.or_else(|_| text.parse::<DateTime<Utc>>())
        .map_err(|_| "give a day such as 2027-03-31, or an instant such as 2027-03-31T18:00:00Z".to_owned())
}
