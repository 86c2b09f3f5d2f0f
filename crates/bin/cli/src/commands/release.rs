//! Releases.

mod attach;
mod manifest;
mod sign;
mod verify;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slipway_domain::{HostName, ReleaseName, Role, StorePath};
use slipway_text::plain;
use slipway_wire::access::Whoami;
use slipway_wire::kept::{KeepRelease, RootsQuery};
use slipway_wire::limits::MESSAGE_CHARS;
use slipway_wire::page::PageQuery;
use slipway_wire::release::{CreateRelease, CreateSignedRelease, Release, Source};

use super::{List, first, flake, plan};
use crate::args::{self, ReleaseCommand};
use crate::context::Context;
use crate::table::{Cell, Table};
use crate::text::{LIST_TEXT_CHARS, ago, brief, clean, count, instant};
use crate::{CliFailure, names, stop};

pub(super) async fn run(context: &Context, command: ReleaseCommand) -> Result<(), CliFailure> {
    let output = context.output;
    match command {
        ReleaseCommand::Create(create) => register(context, create).await,
        ReleaseCommand::Manifest(args) => manifest::write(context, args).await,
        ReleaseCommand::Verify(args) => verify::run(context, args).await,
        ReleaseCommand::List { limit } => {
            let client = context.client()?;
            let releases = first(limit, async |limit, after| {
                let query = PageQuery {
                    after,
                    limit: Some(limit),
                };
                client.releases(&query).await
            })
            .await?;
            output.show(&List { items: &releases }, || {
                let now = (output.now)();
                let mut table = Table::new(&["RELEASE", "NAME", "COMMIT", "MADE", "BY", "HOSTS", "MESSAGE"]);
                for release in &releases {
                    let label = release.label();
                    let number = label.number.map(|number| format!("#{number}"));
                    table.row([
                        number.unwrap_or_else(|| release.id.to_string()).into(),
                        Cell::maybe(label.name.as_ref()),
                        Cell::maybe(label.short_rev()),
                        ago(now, Some(release.created_at)).into(),
                        release.author.as_str().into(),
                        release.host_count().to_string().into(),
                        Cell::maybe(
                            release
                                .message
                                .as_deref()
                                .map(|text| brief(text, LIST_TEXT_CHARS)),
                        ),
                    ]);
                }
                table.render(output.colour, "no releases; register one: slipway release create")
            })
        }
        ReleaseCommand::Attach(args) => attach::attach(context, args).await,
        ReleaseCommand::Attached(args) => attach::attached(context, args).await,
        ReleaseCommand::Plan { release } => {
            let plans = context.client()?.release_host_plans(&release).await?;
            output.show(&plans, || plan::of_release(&plans))
        }
        ReleaseCommand::Keep {
            release,
            until,
            reason,
        } => {
            let keep = KeepRelease { until, reason };
            let kept = context.client()?.keep_release(&release, &keep).await?;
            output.show(&kept, || {
                let until = kept
                    .until
                    .map_or_else(|| "for ever".to_owned(), |at| format!("until {}", instant(at)));
                format!("the release {release} is kept {until}\n")
            })
        }
        ReleaseCommand::Unkeep { release } => {
            context.client()?.unkeep_release(&release).await?;
            output.show(&serde_json::json!({"unkept": release}), || {
                format!("the release {release} is kept no longer\n")
            })
        }
        ReleaseCommand::Roots { last, days } => {
            let query = RootsQuery {
                last: Some(last),
                days: Some(days),
            };
            let roots = context.client()?.release_roots(&query).await?;
            output.show(&roots, || {
                let lines = roots.roots.iter().map(|root| root.closure.as_str());
                lines.flat_map(|line| [line, "\n"]).collect()
            })
        }
        ReleaseCommand::Show { release } => {
            let release = context.client()?.release(&release).await?;
            output.show(&release, || text(&release))
        }
    }
}

async fn register(context: &Context, create: args::CreateReleaseArgs) -> Result<(), CliFailure> {
    let from = &create.source;
    if let Some(flake) = &from.flake {
        flake::check(flake, from.cache.as_deref())?;
    }
    let message = create.message.as_deref().map(message).transpose()?;
    if let Some(file) = &create.manifest {
        let signed = sign::signed(&create, file).await?;
        let request = CreateSignedRelease {
            manifest: signed.manifest,
            signatures: signed.signatures,
            message,
            name: create.name,
        };
        return shown(context, &context.client()?.create_signed_release(&request).await?);
    }
    let client = context.client()?;
    let (closures, source) = match &from.flake {
        None => (closures(&from.closures)?, Source::default()),
        Some(flake) => {
            // What the API would refuse is told before a build that may take an hour, not after it.
            may_register(&client.whoami().await?)?;
            let known = client
                .all_hosts(None)
                .await?
                .into_iter()
                .map(|host| host.name)
                .collect();
            let request = flake::BuildRequest {
                flake,
                hosts: &from.hosts,
                known: Some(&known),
                cache: from.cache.as_deref(),
            };
            let built = stop::or_stop(flake::build(context.output, &request)).await?;
            (built.closures, built.source)
        }
    };
    let request = CreateRelease {
        closures,
        source,
        message,
        name: create.name,
    };
    shown(context, &client.create_release(&request).await?)
}

fn shown(context: &Context, release: &Release) -> Result<(), CliFailure> {
    context.output.show(release, || {
        format!(
            "registered the release {} for {}\nnext: slipway rollout start ENV {} --watch\n",
            clean(&release.label().to_string()),
            count(release.closures.len(), "host"),
            release.label().reference()
        )
    })
}

/// The message as it can be registered: a commit's message has line ends and tabs of its own.
fn message(text: &str) -> Result<String, CliFailure> {
    let message = plain(text);
    let count = message.chars().count();
    if message.trim().is_empty() {
        return Err(CliFailure::usage("--message is empty").help("write something, or leave it out"));
    }
    if count > MESSAGE_CHARS {
        let problem = format!("--message has {count} characters, and {MESSAGE_CHARS} are the most");
        return Err(CliFailure::usage(problem).help("give the commit's first line: git log -1 --format=%s"));
    }
    Ok(message)
}

fn may_register(whoami: &Whoami) -> Result<(), CliFailure> {
    let problem = match whoami {
        Whoami::Principal {
            role,
            environment_roles,
            ..
        } if environment_roles.0.values().chain([role]).max() >= Some(&Role::Deployer) => return Ok(()),
        Whoami::Principal { name, role, .. } => {
            format!("registering a release takes the role deployer; the token is of `{name}`, who is {role}")
        }
        Whoami::Host { name } => format!("the token is of the host `{name}`, which may only sync"),
    };
    Err(CliFailure::denied(problem).help("log in as somebody who may; nothing was built"))
}

/// Reads `HOST=PATH` arguments. Everything that is wrong is told at once.
fn closures(arguments: &[String]) -> Result<BTreeMap<String, String>, CliFailure> {
    let mut closures = BTreeMap::new();
    let mut wrong: Vec<(&str, String)> = Vec::new();
    for argument in arguments {
        let Some((host, path)) = argument.split_once('=') else {
            wrong.push((argument, "it has no `=`; give HOST=PATH".to_owned()));
            continue;
        };
        match (host.parse::<HostName>(), path.parse::<StorePath>()) {
            (Ok(_), Ok(_)) => {
                if closures.insert(host.to_owned(), path.to_owned()).is_some() {
                    wrong.push((
                        argument,
                        format!("the host {host} is given twice; give each once"),
                    ));
                }
            }
            (host, path) => {
                wrong.extend(host.err().map(|error| (argument.as_str(), error.to_string())));
                wrong.extend(path.err().map(|error| (argument.as_str(), error.to_string())));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(closures);
    }
    let failure = CliFailure::usage(format!("{} cannot be used", count(wrong.len(), "closure")));
    Err(wrong.into_iter().fold(failure, |failure, (argument, why)| {
        failure.field(format!("--closure {argument}"), why)
    }))
}

fn text(release: &Release) -> String {
    let maybe = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), clean);
    let mut text = format!(
        "release   {}\nname      {}\nmade      {} by {}\nmessage   {}\nflake     {}\ncommit    {}\nnarHash   {}\n",
        names::release_and_id(release.id, Some(&release.label())),
        release.name.as_ref().map_or("-", ReleaseName::as_str),
        instant(release.created_at),
        release.author,
        maybe(&release.message),
        maybe(&release.source.flake_ref),
        maybe(&release.source.rev),
        maybe(&release.source.nar_hash),
    );
    if let Some(signed) = &release.manifest {
        let _ = writeln!(
            text,
            "signed    for {} until {}\nmanifest  number {}, {}",
            signed.environment,
            instant(signed.expires),
            signed.number,
            signed.digest
        );
        for signature in &signed.signatures {
            let _ = writeln!(
                text,
                "signature {} {}: {}",
                clean(&signature.algorithm),
                clean(&signature.key),
                signature.words()
            );
        }
    }
    if let Some(kept) = &release.kept {
        let until = kept
            .until
            .map_or_else(|| "for ever".to_owned(), |at| format!("until {}", instant(at)));
        let why = kept.reason.as_deref().map(|why| format!(": {}", clean(why)));
        let _ = writeln!(
            text,
            "kept      {until}, by {}{}",
            kept.by,
            why.unwrap_or_default()
        );
    }
    for (host, closure) in &release.closures {
        let _ = writeln!(text, "closure   {host}={closure}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";

    #[test]
    fn a_commits_message_is_made_fit_and_a_long_one_told() {
        assert_eq!(
            message("Fix\tit\r\n\r\nSee \u{200b}above\n").unwrap(),
            "Fix it\n\nSee above"
        );
        assert!(message(" \r\n").is_err());
        assert!(message(&"ä".repeat(MESSAGE_CHARS)).is_ok());
        assert!(
            message(&"ä".repeat(MESSAGE_CHARS + 1))
                .unwrap_err()
                .detail()
                .contains("2001 characters")
        );
    }

    #[test]
    fn all_wrong_closures_are_told_at_once() {
        let good = format!("web-1=/nix/store/{HASH}-a");
        let arguments: Vec<String> = [
            good.as_str(),
            &format!("web-1=/nix/store/{HASH}-b"),
            "web-2",
            "Web=/nix/store/../x",
        ]
        .map(str::to_owned)
        .into();
        let failure = format!("{:?}", closures(&arguments).unwrap_err());
        for said in [
            "4 closures cannot be used",
            "the host web-1 is given twice",
            "it has no `=`",
            "not a valid host name",
            "`..` part",
        ] {
            assert!(failure.contains(said), "{said}: {failure}");
        }
        assert_eq!(closures(&[good]).unwrap().len(), 1);
    }
}
