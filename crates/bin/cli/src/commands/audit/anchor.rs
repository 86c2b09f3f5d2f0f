//! Sending the log's head elsewhere, so that whoever holds the control plane cannot write the log anew unseen.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use slipway_client::{Client, WebhookMessage, WebhookSecret};
use slipway_domain::event::EventHash;
use slipway_verify::audit::{Expected, NotedHeads, follow, prove};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::args::AnchorArgs;
use crate::context::Context;
use crate::program::program;
use crate::text::clean;
use crate::{CliFailure, Exit, files, stop};

/// How long the command may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);

/// The unit of the timer has no shell in its path.
const SHELL: &str = "/bin/sh";

/// A head that was noted down.
#[derive(Debug, Serialize)]
struct Anchored {
    events: i64,
    head: String,
    /// Whether it was in the notes before.
    known: bool,
}

pub(super) async fn run(context: &Context, args: AnchorArgs) -> Result<Exit, CliFailure> {
    let receiver = Receiver::of(context, &args)?;
    let notes = Notes::read(&args.notes)?;
    let client = context.client()?;
    let found = stop::or_stop(newest(&client, &notes)).await?;
    let (number, hash) = match found {
        Ok(head) => head,
        Err(problem) => {
            let broken = json!({ "whole": false, "problems": [problem] });
            context.output.show(&broken, || {
                format!("! {}\nthe log is NOT whole; no head was sent\n", clean(&problem))
            })?;
            return Ok(Exit::AuditBroken);
        }
    };
    let head = hex::encode(hash);
    stop::or_stop(receiver.send(&client, number, &head, (context.output.now)())).await?;
    let known = notes.newest == Some((number, hash));
    if !known {
        notes.add(&args.notes, &format!("{number} {head} {}", time(context)))?;
    }
    let anchored = Anchored {
        events: number,
        head,
        known,
    };
    context
        .output
        .show(&anchored, || format!("{} {}\n", anchored.events, anchored.head))?;
    Ok(Exit::Success)
}

fn time(context: &Context) -> String {
    (context.output.now)().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The newest head of a log that is whole, as far as the notes go; or what is wrong with it.
async fn newest(client: &Client, notes: &Notes) -> Result<Result<(i64, EventHash), String>, CliFailure> {
    if let Some(noted) = notes.newest {
        return Ok(follow(client, noted).await?);
    }
    // The first head vouches for all that was before.
    let proof = prove(client, &Expected::default()).await?;
    if !proof.whole {
        return Ok(Err(proof.problems.join("; ")));
    }
    let mut hash = [0; 32];
    hex::decode_to_slice(&proof.head, &mut hash)
        .map_err(|_| CliFailure::internal("the log's head is no hash"))?;
    Ok(Ok((proof.events, hash)))
}

/// The heads that were sent so far.
struct Notes {
    text: String,
    newest: Option<(i64, EventHash)>,
}

impl Notes {
    fn read(path: &Path) -> Result<Self, CliFailure> {
        if path == Path::new("-") {
            return Err(CliFailure::usage("--notes - cannot be added to").help("name a file"));
        }
        let exists = path
            .try_exists()
            .map_err(|error| CliFailure::io(format_args!("cannot look at {}", path.display()), &error))?;
        let text = if exists {
            files::read_list(path, "file of heads")?
        } else {
            String::new()
        };
        let noted = text.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        if !noted {
            return Ok(Self { text, newest: None });
        }
        let heads = NotedHeads::parse(&text)
            .map_err(|problem| CliFailure::usage(format!("{}: {problem}", path.display())))?;
        let newest = heads.newest().ok_or_else(|| {
            CliFailure::usage(format!(
                "{} has two heads of one event, and both cannot be right",
                path.display()
            ))
            .help("hold the log against it: slipway audit verify --anchor FILE")
        })?;
        Ok(Self {
            text,
            newest: Some(newest),
        })
    }

    /// Adds a line; the file has it whole or not at all.
    fn add(&self, path: &Path, line: &str) -> Result<(), CliFailure> {
        let mut text = self.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        slipway_durable::write(path, text.as_bytes(), slipway_durable::BY_UMASK).map_err(|error| {
            CliFailure::io(
                format_args!("the head was sent, but cannot be noted in {}", path.display()),
                &error,
            )
        })
    }
}

/// Who gets the head besides the notes.
struct Receiver<'a> {
    webhook: Option<(Client, WebhookSecret)>,
    command: Option<&'a str>,
}

impl<'a> Receiver<'a> {
    fn of(context: &Context, args: &'a AnchorArgs) -> Result<Self, CliFailure> {
        let webhook = match (&args.to, &args.secret_file) {
            (Some(url), Some(file)) => {
                let secret = files::read_secret(file, "secret of the webhook")?;
                let secret = WebhookSecret::parse(&secret).map_err(|problem| {
                    CliFailure::usage(format!("the secret of the webhook {}: {problem}", file.display()))
                })?;
                let builder = context.site(url, args.receiver_ca_file.as_deref())?;
                if builder.is_readable_on_the_way() {
                    return Err(CliFailure::usage(format!(
                        "{} is plain HTTP: a head could be swapped on the way, so nothing was sent",
                        builder.url()
                    ))
                    .help("use https"));
                }
                Some((builder.build()?, secret))
            }
            _ => None,
        };
        Ok(Self {
            webhook,
            command: args.command.as_deref(),
        })
    }

    async fn send(
        &self,
        api: &Client,
        number: i64,
        head: &str,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), CliFailure> {
        if let Some((client, secret)) = &self.webhook {
            let body = json!({
                "type": "audit.head",
                "timestamp": now,
                "data": { "api": api.url(), "number": number, "head": head },
            });
            let id = format!("audit-head-{number}-{}", now.timestamp_micros());
            let message = WebhookMessage {
                id: &id,
                timestamp: now.timestamp(),
                body: &body.to_string(),
            };
            client.deliver(&message, secret).await?;
        }
        match self.command {
            Some(command) => hand_over(command, &format!("{number} {head}\n")).await,
            None => Ok(()),
        }
    }
}

async fn hand_over(command: &str, line: &str) -> Result<(), CliFailure> {
    let failed = |error: &std::io::Error| CliFailure::io("cannot run --command", error);
    let mut child = program(SHELL)
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that does not read it may still end with 0.
        let _ = pipe.write_all(line.as_bytes()).await;
    }
    let seconds = COMMAND_LIMIT.as_secs();
    let ended = timeout(COMMAND_LIMIT, child.wait()).await.map_err(|_| {
        CliFailure::internal(format!(
            "--command did not end within {seconds} s; the head is not noted"
        ))
    })?;
    let status = ended.map_err(|error| failed(&error))?;
    if status.success() {
        return Ok(());
    }
    Err(CliFailure::internal(format!(
        "--command failed ({status}); the head is not noted, and the next run sends it"
    )))
}
