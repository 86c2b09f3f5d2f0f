//! `slipway open`: the page of a thing.

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use slipway_domain::{EnvironmentName, HostName, ReleaseRef};
use tokio::time::timeout;

use super::rollout::{Which, resolve};
use crate::CliFailure;
use crate::args::{OpenArgs, Page, RolloutArg};
use crate::context::Context;
use crate::program::program;

/// Whatever opens pages hands them to a browser and ends.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Address {
    url: String,
}

pub(super) async fn run(context: &Context, args: OpenArgs) -> Result<(), CliFailure> {
    let path = path(context, args.page, args.name.as_deref()).await?;
    let (builder, _) = context.anonymous()?;
    let url = format!("{}{path}", builder.url().as_str().trim_end_matches('/'));
    let address = Address { url };
    context.output.show(&address, || format!("{}\n", address.url))?;
    if args.print || context.output.json || !context.output.terminal {
        return Ok(());
    }
    if let Some(opener) = context.opener()
        && let Err(why) = open(&opener, &address.url).await
    {
        context.output.warn(format_args!(
            "{opener} did not open it ({why}); open the address yourself, or set BROWSER"
        ));
    }
    Ok(())
}

/// Its path. A thing is asked for first: so there is one, and the address stays that of the same one.
async fn path(context: &Context, page: Option<Page>, name: Option<&str>) -> Result<String, CliFailure> {
    Ok(match (page, name) {
        (None | Some(Page::Env), None) => "/".to_owned(),
        (Some(Page::Host), None) => "/hosts".to_owned(),
        (Some(Page::Release), None) => "/releases".to_owned(),
        (Some(Page::Rollout), None) => "/rollouts".to_owned(),
        (Some(Page::Audit), None) => "/audit".to_owned(),
        (Some(Page::Access), None) => "/access".to_owned(),
        (Some(Page::Sessions), None) => "/sessions".to_owned(),
        (Some(Page::Env), Some(name)) => {
            let environment = context
                .client()?
                .environment(&read::<EnvironmentName>(name)?)
                .await?;
            format!("/environments/{}", environment.name)
        }
        (Some(Page::Host), Some(name)) => {
            let host = context.client()?.host(&read::<HostName>(name)?).await?;
            format!("/hosts/{}", host.name)
        }
        (Some(Page::Release), Some(name)) => {
            let release = context.client()?.release(&read::<ReleaseRef>(name)?).await?;
            format!("/releases/{}", release.label().reference())
        }
        (Some(Page::Rollout), Some(name)) => {
            let client = context.client()?;
            let rollout = resolve(&client, read::<RolloutArg>(name)?, Which::OpenOrNewest).await?;
            let rollout = client.rollout(&rollout).await?;
            format!("/rollouts/{}", rollout.summary.reference())
        }
        (None | Some(Page::Audit | Page::Access | Page::Sessions), Some(name)) => {
            return Err(
                CliFailure::usage(format!("this page is of no single thing, and not of `{name}`"))
                    .help("leave the name out"),
            );
        }
    })
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, CliFailure> {
    name.parse()
        .map_err(|error: T::Err| CliFailure::usage(error.to_string()))
}

async fn open(opener: &str, url: &str) -> Result<(), String> {
    let mut child = program(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    match timeout(HANDED_OVER_WITHIN, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(status.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        // A browser that goes on is the page itself.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
