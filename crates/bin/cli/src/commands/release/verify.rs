//! `slipway release verify`: whether a manifest counts, by keys of one's own.

use serde::Serialize;
use slipway_domain::Reference;
use slipway_release::{ReleaseKeys, SignedManifest};

use super::sign;
use crate::args::VerifyReleaseArgs;
use crate::context::Context;
use crate::text::{count, instant};
use crate::{CliFailure, files};

/// What was found good.
#[derive(Serialize)]
struct Verified {
    release: slipway_domain::ReleaseId,
    environment: slipway_domain::EnvironmentName,
    number: u64,
    expires: slipway_domain::Timestamp,
    hosts: usize,
    key: String,
    digest: slipway_domain::digest::Digest,
}

pub(super) async fn run(context: &Context, args: VerifyReleaseArgs) -> Result<(), CliFailure> {
    let keys = files::read(&args.keys, "file of keys")?;
    let keys = ReleaseKeys::read(&keys)
        .map_err(|error| CliFailure::usage(format!("--keys {}: {error}", args.keys.display())))?;
    let signed = find(context, &args).await?;
    let refused = |why: String| CliFailure::not_verified(why);
    let (manifest, key) = signed.verify(&keys).map_err(|error| refused(error.to_string()))?;
    if let Some(Reference::Id(told)) = args.id.as_ref()
        && *told != manifest.id
    {
        return Err(refused(format!(
            "the API hands out the manifest of release {} for {told}",
            manifest.id
        )));
    }
    if let Some(wanted) = args
        .env
        .as_ref()
        .filter(|wanted| **wanted != manifest.environment)
    {
        return Err(refused(format!(
            "the manifest is for the environment `{}`, and not for `{wanted}`",
            manifest.environment
        )));
    }
    if let Some(host) = args.host.as_ref().filter(|host| manifest.host(host).is_none()) {
        return Err(refused(format!(
            "the manifest names nothing for the host `{host}`"
        )));
    }
    if manifest.expires <= (context.output.now)() {
        return Err(refused(format!(
            "the manifest expired at {}",
            instant(manifest.expires)
        )));
    }
    let verified = Verified {
        release: manifest.id,
        environment: manifest.environment,
        number: manifest.number,
        expires: manifest.expires,
        hosts: manifest.hosts.len(),
        key: key.to_string(),
        digest: signed.digest(),
    };
    context.output.show(&verified, || {
        format!(
            "good: release {}, manifest number {} of {}, for {}, until {}\nsigned with the {}\nmanifest {}\n",
            verified.release,
            verified.number,
            verified.environment,
            count(verified.hosts, "host"),
            instant(verified.expires),
            verified.key,
            verified.digest
        )
    })
}

async fn find(context: &Context, args: &VerifyReleaseArgs) -> Result<SignedManifest, CliFailure> {
    if let Some(id) = &args.id {
        let answer = context.client()?.release_manifest(id).await?;
        return Ok(SignedManifest {
            manifest: answer.manifest,
            signatures: answer.signatures,
        });
    }
    let file = args.manifest.as_deref().unwrap_or(std::path::Path::new("-"));
    let mut signatures = Vec::new();
    for path in &args.signatures {
        signatures.push(files::read(path, "signature")?);
    }
    Ok(SignedManifest {
        manifest: sign::read_manifest(file)?,
        signatures,
    })
}
