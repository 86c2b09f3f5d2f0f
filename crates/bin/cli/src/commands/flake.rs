//! Releases from a flake, by the machine's own Nix.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::{Output as ProcessOutput, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use slipway_domain::{HostName, StorePath};
use slipway_wire::release::Source;

use crate::CliFailure;
use crate::output::Output;
use crate::program::program;
use crate::text::count;

/// What a flake was built into.
pub(super) struct Built {
    pub(super) closures: BTreeMap<String, String>,
    pub(super) source: Source,
}

/// What is to be built.
pub(super) struct BuildRequest<'a> {
    pub(super) flake: &'a str,
    /// All of the flake's hosts when it is empty.
    pub(super) hosts: &'a [HostName],
    /// The hosts that the API knows; none where it is not asked.
    pub(super) known: Option<&'a BTreeSet<HostName>>,
    pub(super) cache: Option<&'a str>,
}

/// The part of `nix flake metadata --json` that matters.
#[derive(Deserialize)]
struct Metadata {
    /// The reference with its lock; newer versions of Nix call it `lockedUrl` besides.
    url: Option<String>,
    #[serde(rename = "lockedUrl")]
    locked_url: Option<String>,
    #[serde(default)]
    locked: LockedSource,
}

#[derive(Default, Deserialize)]
struct LockedSource {
    rev: Option<String>,
    #[serde(rename = "narHash")]
    nar_hash: Option<String>,
}

#[derive(Deserialize)]
struct Build {
    outputs: BTreeMap<String, Option<String>>,
}

/// Refuses what is no flake or no cache by its looks.
pub(super) fn check(flake: &str, cache: Option<&str>) -> Result<(), CliFailure> {
    check_one(flake, "--flake")?;
    if flake.contains('#') {
        return Err(CliFailure::usage(format!("--flake {flake} has a `#` part"))
            .help("name the flake alone; --host picks among its nixosConfigurations"));
    }
    cache.map_or(Ok(()), |cache| check_one(cache, "--cache"))
}

/// Builds the hosts' systems, and copies them to the cache if there is one.
pub(super) async fn build(output: Output, request: &BuildRequest<'_>) -> Result<Built, CliFailure> {
    let nix = Nix { output };
    let BuildRequest { flake, cache, .. } = *request;

    let metadata: Metadata = nix.json(&["flake", "metadata", "--json", flake]).await?;
    // From here on the locked reference is used, so a commit meanwhile does not change the build.
    let locked = metadata.locked_url.or(metadata.url);
    let locked = locked.unwrap_or_else(|| flake.to_owned());
    let hosts = nix.hosts(&locked, request.hosts).await?;
    request
        .known
        .map_or(Ok(()), |known| require_known(&hosts, known))?;
    // Until all are built and copied: a garbage collection meanwhile must not take the first of them away.
    let roots = Roots::create()?;
    let mut closures = BTreeMap::new();
    for (i, host) in hosts.iter().enumerate() {
        output.note(format_args!("[{}/{}] building {host}", i + 1, hosts.len()));
        closures.insert(
            host.to_string(),
            nix.build(&locked, host, &roots).await?.to_string(),
        );
    }
    if let Some(cache) = cache {
        output.note(format_args!(
            "copying {} to {}",
            count(closures.len(), "closure"),
            without_parameters(cache)
        ));
        let mut args = vec!["copy", "--to", cache];
        args.extend(closures.values().map(String::as_str));
        nix.run(&args).await?;
    } else {
        output.note("note: nothing was copied to a binary cache (--cache); hosts must be able to fetch it all the same");
    }
    if metadata.locked.rev.is_none() {
        output.note(
            "note: the flake has no commit of its own (not in Git, or with changes), so none is recorded",
        );
    }
    Ok(Built {
        closures,
        source: Source {
            flake_ref: Some(locked),
            rev: metadata.locked.rev,
            nar_hash: metadata.locked.nar_hash,
        },
    })
}

/// A release names hosts that the API knows, or it is refused.
fn require_known(hosts: &[HostName], known: &BTreeSet<HostName>) -> Result<(), CliFailure> {
    let mut unknown = hosts.iter().filter(|host| !known.contains(*host)).peekable();
    if unknown.peek().is_none() {
        return Ok(());
    }
    let failure = CliFailure::usage("the API does not know every host of the release; nothing was built");
    let failure = unknown.fold(failure, |failure, host| {
        failure.field(host.as_str(), "there is no such host, or it was retired")
    });
    Err(failure.help("make it (slipway host create), or pick the hosts of the release with --host"))
}

/// An argument that Nix would take for an option is none of the user's.
fn check_one(value: &str, flag: &str) -> Result<(), CliFailure> {
    if value.is_empty() || value.starts_with('-') {
        return Err(CliFailure::usage(format!(
            "{flag} `{value}` is neither a reference nor a URL"
        )));
    }
    Ok(())
}

/// A cache's URL may name a key in its parameters.
fn without_parameters(cache: &str) -> &str {
    cache.split('?').next().unwrap_or(cache)
}

/// A folder of links that keep what was built from the garbage collector, for as long as this lives.
struct Roots(PathBuf);

impl Roots {
    fn create() -> Result<Self, CliFailure> {
        let folder = std::env::temp_dir();
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("slipway-release-{}-{}", std::process::id(), begun.as_nanos());
        let folder = std::path::absolute(&folder).unwrap_or(folder).join(name);
        // Others may write to the folder above, so it must be made here and now.
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| CliFailure::io(format_args!("cannot make {}", folder.display()), &error))?;
        Ok(Self(folder))
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        // What is left are links: Nix forgets them when they lead nowhere.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Nix {
    output: Output,
}

impl Nix {
    async fn hosts(&self, flake: &str, request: &[HostName]) -> Result<Vec<HostName>, CliFailure> {
        let attribute = format!("{flake}#nixosConfigurations");
        let names: Vec<String> = self
            .json(&["eval", "--json", &attribute, "--apply", "builtins.attrNames"])
            .await?;
        if names.is_empty() {
            return Err(CliFailure::usage(format!("{flake} has no nixosConfigurations")));
        }
        if request.is_empty() {
            let parsed: Result<Vec<HostName>, _> = names.iter().map(|name| name.parse()).collect();
            return parsed.map_err(|error| {
                CliFailure::usage(error.to_string()).help("pick the hosts of the release with --host")
            });
        }
        let missing = request
            .iter()
            .filter(|host| !names.iter().any(|name| name == host.as_str()));
        let failure = CliFailure::usage(format!("{flake} does not configure every --host"));
        let mut missing = missing.peekable();
        if missing.peek().is_none() {
            return Ok(request.to_vec());
        }
        Err(missing
            .fold(failure, |failure, host| {
                failure.field(format!("--host {host}"), "there is no such nixosConfiguration")
            })
            .help(format!("its nixosConfigurations are {}", names.join(", "))))
    }

    async fn build(&self, flake: &str, host: &HostName, roots: &Roots) -> Result<StorePath, CliFailure> {
        let attribute = format!("{flake}#nixosConfigurations.\"{host}\".config.system.build.toplevel");
        let link = roots.0.join(host.as_str());
        let link = link.to_str().ok_or_else(|| {
            CliFailure::usage(format!(
                "the folder for temporary files is {}, which is not UTF-8",
                roots.0.display()
            ))
            .help("set TMPDIR to another")
        })?;
        let args = ["build", "--out-link", link, "--json", &attribute];
        let builds: Vec<Build> = self.json(&args).await?;
        let path = builds
            .first()
            .and_then(|build| build.outputs.get("out")?.as_deref());
        let path = path.ok_or_else(|| CliFailure::internal(format!("nix built nothing for {host}")))?;
        path.parse()
            .map_err(|error: slipway_domain::StorePathError| CliFailure::internal(error.to_string()))
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<T, CliFailure> {
        let stdout = self.run(args).await?.stdout;
        serde_json::from_slice(&stdout).map_err(|error| {
            CliFailure::internal(format!(
                "cannot understand what `nix {}` printed: {error}",
                verb(args)
            ))
        })
    }

    /// Runs nix. Its own words go to the terminal; with `--json`, where stderr is for one document, into the error.
    async fn run(&self, args: &[&str]) -> Result<ProcessOutput, CliFailure> {
        let stderr = if self.output.json {
            Stdio::piped()
        } else {
            Stdio::inherit()
        };
        let outcome = program("nix")
            .args(["--extra-experimental-features", "nix-command flakes"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn();
        let outcome = match outcome {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CliFailure::internal("nix is not installed")
                    .help("install Nix, or build elsewhere and name the closures: --closure HOST=PATH"))
            }
            Err(error) => Err(CliFailure::io("cannot run nix", &error)),
            Ok(output) if output.status.success() => Ok(output),
            Ok(output) => {
                let failure = CliFailure::internal(format!(
                    "`nix {}` failed ({}); nothing was registered",
                    verb(args),
                    output.status
                ));
                let said = String::from_utf8_lossy(&output.stderr);
                let said: Vec<&str> = said.lines().rev().take(20).collect();
                Err(said
                    .into_iter()
                    .rev()
                    .filter(|line| !line.trim().is_empty())
                    .fold(failure, |failure, line| failure.field("nix", line.trim())))
            }
        }
    }
}

/// The words before the first option: `build`, or `flake metadata`.
fn verb(args: &[&str]) -> String {
    let words = args.iter().take(2).take_while(|arg| !arg.starts_with('-'));
    words.copied().collect::<Vec<_>>().join(" ")
}
