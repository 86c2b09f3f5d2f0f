//! Writing a manifest, for somebody to sign.

use std::io::Read as _;
use std::path::Path;

use chrono::TimeDelta;
use slipway_domain::digest::Digest;
use slipway_domain::{HostName, ReleaseId, StorePath};
use slipway_release::manifest::FORMAT;
use slipway_release::{HostEntry, Manifest, Source};

use super::flake;
use crate::args::ManifestArgs;
use crate::context::Context;
use crate::text::{count, instant};
use crate::{CliFailure, stop};

/// The longest file of checks or hooks, as agents read it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

pub(super) async fn write(context: &Context, args: ManifestArgs) -> Result<(), CliFailure> {
    let from = &args.source;
    let (closures, source) = match &from.flake {
        None => (super::closures(&from.closures)?, Source::default()),
        Some(reference) => {
            flake::check(reference, from.cache.as_deref())?;
            let request = flake::BuildRequest {
                flake: reference,
                hosts: &from.hosts,
                known: None,
                cache: from.cache.as_deref(),
            };
            let built = stop::or_stop(flake::build(context.output, &request)).await?;
            let source = Source {
                flake_ref: built.source.flake_ref,
                rev: built.source.rev,
                nar_hash: built.source.nar_hash,
            };
            (built.closures, source)
        }
    };
    let mut hosts = Vec::with_capacity(closures.len());
    for (name, closure) in &closures {
        hosts.push(entry(name, closure)?);
    }
    let created = (context.output.now)();
    let manifest = Manifest {
        format: FORMAT,
        id: ReleaseId::generate(),
        environment: args.env,
        number: args.number.unwrap_or_else(|| created.timestamp().unsigned_abs()),
        created,
        expires: created + TimeDelta::days(args.expires_in.into()),
        source,
        hosts,
    };
    let bytes = manifest
        .to_bytes()
        .map_err(|error| CliFailure::usage(error.to_string()))?;
    slipway_durable::write_new(&args.output, &bytes, slipway_durable::BY_UMASK)
        .map_err(|error| CliFailure::io(format_args!("cannot write {}", args.output.display()), &error))?;
    context.output.show(&manifest, || {
        let file = args.output.display();
        format!(
            "wrote {file}: release {}, number {} of {}, for {}, until {}\nnext: sign it, for example with ssh-keygen -Y sign -f KEY -n slipway-release {file}\nthen: slipway release create --manifest {file} --signature {file}.sig\n",
            manifest.id,
            manifest.number,
            manifest.environment,
            count(manifest.hosts.len(), "host"),
            instant(manifest.expires),
        )
    })
}

fn entry(name: &str, closure: &str) -> Result<HostEntry, CliFailure> {
    let name: HostName = name
        .parse()
        .map_err(|error| CliFailure::usage(format!("{error}")))?;
    let closure: StorePath = closure
        .parse()
        .map_err(|error| CliFailure::usage(format!("{error}")))?;
    let checks = digest_of(&closure, "etc/slipway/checks.json")?.ok_or_else(|| {
        CliFailure::usage(format!("{closure} of the host {name} has no etc/slipway/checks.json"))
            .help("a manifest names the digests of a closure's files, so the closure must be on this machine; agents refuse one without checks")
    })?;
    Ok(HostEntry {
        hooks: digest_of(&closure, "etc/slipway/hooks.json")?,
        name,
        closure,
        checks,
    })
}

fn digest_of(closure: &StorePath, file: &str) -> Result<Option<Digest>, CliFailure> {
    let path = closure.as_path().join(file);
    let mut bytes = Vec::new();
    let read = open(&path).and_then(|file| match file {
        Some(file) => file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map(Some),
        None => Ok(None),
    });
    match read {
        Err(error) => Err(CliFailure::io(
            format_args!("cannot read {}", path.display()),
            &error,
        )),
        Ok(None) => Ok(None),
        Ok(Some(read)) if read as u64 > MAX_FILE_BYTES => Err(CliFailure::usage(format!(
            "{} is over 1 MiB, which agents refuse",
            path.display()
        ))),
        Ok(Some(_)) => Ok(Some(Digest::of_bytes(&bytes))),
    }
}

fn open(path: &Path) -> std::io::Result<Option<std::fs::File>> {
    match std::fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
