//! Errors as a person or a script sees them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;
use slipway_client::ClientError;
use slipway_text::{escape_json, scrub};
use slipway_wire::problem::{FieldProblem, TYPE_PREFIX, kind};
use slipway_wire::route;

use crate::Exit;
use crate::text::clean;

/// So many wrong things of one request are told as they are. A script may make hundreds, all in the same way.
const MOST_FIELDS: usize = 10;
/// Of more, these are told.
const FIRST_FIELDS: usize = 5;

/// An error that ends the command.
///
/// As text it is `error: …`, one line a field, and `help: …`; with `--json` a problem document (RFC 9457) on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CliFailure(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Details {
    /// `urn:slipway:problem:` and the API's kind, or one that begins with `cli-`.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(rename = "exit_code", serialize_with = "code")]
    exit: Exit,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn code<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

impl CliFailure {
    fn new(exit: Exit, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: format!("{TYPE_PREFIX}{kind}"),
            title: title.to_owned(),
            status: None,
            detail: detail.into(),
            request_id: None,
            fields: Vec::new(),
            help: None,
            exit,
        }))
    }

    /// What was typed, set or written in a file is wrong.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "cli-usage", "Wrong usage", detail)
    }

    /// There is no token to ask with.
    pub fn not_logged_in(detail: impl Into<String>) -> Self {
        Self::new(Exit::Denied, kind::UNAUTHENTICATED, "Not logged in", detail)
    }

    /// The token may not do this, as found out on this side.
    pub fn denied(detail: impl Into<String>) -> Self {
        Self::new(Exit::Denied, kind::FORBIDDEN, "Not allowed", detail)
    }

    /// What was to be verified is not good.
    pub fn not_verified(detail: impl Into<String>) -> Self {
        Self::new(Exit::VerifyFailed, "cli-not-verified", "Not good", detail)
    }

    /// No such thing, as found out on this side.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, kind::NOT_FOUND, "Not found", detail)
    }

    /// A file or a terminal does not do what it should.
    pub fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::PipeClosed, "cli-pipe-closed", "Output closed", "");
        }
        Self::internal(format!("{what}: {error}"))
    }

    /// Something unexpected.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "cli-failed", "Failed", detail)
    }

    /// A signal stopped the command before it was done.
    #[must_use]
    pub fn stopped(exit: Exit) -> Self {
        let why = match exit {
            Exit::Interrupted => "by Ctrl-C",
            Exit::HungUp => "because the terminal went away",
            _ => "by SIGTERM",
        };
        Self::new(exit, "cli-stopped", "Stopped", format!("stopped {why}"))
    }

    /// Says what it is about, where one command has several.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.0.detail = format!("{what}: {}", self.0.detail);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Adds something that is wrong, by its place.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        self.0.fields.push(FieldProblem {
            field: field.into(),
            detail: detail.to_string(),
        });
        self
    }

    /// The same with other words for what is wrong.
    #[must_use]
    pub(crate) fn saying(mut self, detail: String) -> Self {
        self.0.detail = detail;
        self
    }

    /// Whether the API did not take a request's token.
    #[must_use]
    pub(crate) fn is_refused_token(&self) -> bool {
        let of = self.0.kind.strip_prefix(TYPE_PREFIX);
        self.0.status == Some(401) && of == Some(kind::UNAUTHENTICATED)
    }

    /// What is wrong.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// Shows it on stderr and hands back the exit code.
    #[must_use]
    pub fn report(self, json: bool) -> Exit {
        if self.0.exit == Exit::PipeClosed {
            return self.0.exit;
        }
        let text = if json {
            escape_json(&serde_json::to_string(&self).unwrap_or_default()).into_owned() + "\n"
        } else {
            self.to_text()
        };
        // Nothing is left to tell anybody when stderr is gone.
        let _ = io::stderr().write_all(text.as_bytes());
        self.0.exit
    }

    fn to_text(&self) -> String {
        let mut text = format!("error: {}\n", clean(&self.0.detail));
        // The API's detail names the one thing that is wrong in the same words.
        let told = |field: &&FieldProblem| self.0.detail.ends_with(&field.detail);
        let fields: Vec<_> = self.0.fields.iter().filter(|field| !told(field)).collect();
        let shown = if fields.len() > MOST_FIELDS {
            FIRST_FIELDS
        } else {
            fields.len()
        };
        for field in &fields[..shown] {
            let _ = writeln!(text, "  {}: {}", clean(&field.field), clean(&field.detail));
        }
        if fields.len() > shown {
            let _ = writeln!(text, "  and {} more; --json shows all", fields.len() - shown);
        }
        if let Some(id) = &self.0.request_id {
            let _ = writeln!(text, "  request id: {}", clean(id));
        }
        if let Some(help) = &self.0.help {
            let _ = writeln!(text, "help: {}", scrub(help));
        }
        text
    }
}

impl From<ClientError> for CliFailure {
    fn from(error: ClientError) -> Self {
        let help = advice(&error).map(Cow::into_owned);
        let summary = error.summary();
        match error {
            ClientError::Problem { problem, .. } => {
                let exit = match problem.status {
                    401 | 403 => Exit::Denied,
                    404 => Exit::NotFound,
                    408 | 429 | 502..=504 => Exit::Unavailable,
                    400..=499 => Exit::Refused,
                    _ => Exit::Internal,
                };
                Self(Box::new(Details {
                    kind: problem.kind,
                    title: problem.title,
                    status: Some(problem.status),
                    detail: summary,
                    request_id: problem.request_id,
                    fields: problem.fields,
                    help,
                    exit,
                }))
            }
            ClientError::Unreachable { .. } => {
                Self::new(Exit::Unavailable, "cli-unreachable", "Unreachable", summary).maybe_help(help)
            }
            ClientError::Unsure { path, error } => Self::from(*error).help(format!(
                "it may have been done all the same; look before you ask for it again: {}",
                look(&path)
            )),
            ClientError::BadUrl { .. }
            | ClientError::BadToken
            | ClientError::BadCa { .. }
            | ClientError::BadSetup { .. } => Self::usage(summary).maybe_help(help),
            _ => Self::internal(summary).maybe_help(help),
        }
    }
}

/// What a person with the command line can do about an error of the API.
pub(crate) fn advice(error: &ClientError) -> Option<Cow<'static, str>> {
    advice_on(
        error,
        "log in again with `slipway login`, or renew the token in SLIPWAY_TOKEN or the token file",
    )
}

/// The same, where it is known what helps against a refused token.
pub(crate) fn advice_on(error: &ClientError, refused_token: &str) -> Option<Cow<'static, str>> {
    match error {
        ClientError::Problem { problem, .. } if problem.short_kind() == kind::UNAUTHENTICATED => {
            Some(refused_token.to_owned().into())
        }
        ClientError::Problem {
            retry_after: Some(wait),
            ..
        } => Some(format!("try again in {} s", wait.as_secs()).into()),
        _ => error.help().map(Cow::Borrowed),
    }
}

/// The command that shows whether a request to this path was carried out.
fn look(path: &str) -> String {
    let parts: Vec<&str> = path
        .trim_start_matches(route::PREFIX)
        .split('/')
        .skip(1)
        .collect();
    match parts[..] {
        ["rollouts", id, ..] => format!("slipway rollout show {id}"),
        ["rollouts"] => "slipway rollout list".to_owned(),
        ["releases" | "drafts", ..] => "slipway release list".to_owned(),
        ["hosts", name, "token"] => {
            format!(
                "slipway host show {name}; if its agent is refused, make another: slipway host token {name}"
            )
        }
        ["hosts", name, ..] => format!("slipway host show {name}"),
        ["hosts"] => "slipway host list".to_owned(),
        ["environments", ..] => "slipway env list".to_owned(),
        ["principals", ..] => "slipway principal list".to_owned(),
        _ => "slipway token list, and revoke a token that you do not have".to_owned(),
    }
}

/// Takes a suggestion out that does not begin as what was typed: it is another word, and no slip of the finger.
#[must_use]
pub fn without_far_suggestions(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let first = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.trim_start_matches('-').chars().next(),
        _ => None,
    };
    let is_given = error.get(ContextKind::SuggestedArg).is_some();
    if is_given && first(ContextKind::InvalidArg) != first(ContextKind::SuggestedArg) {
        error.remove(ContextKind::SuggestedArg);
        // It is made for the suggestion.
        error.remove(ContextKind::Usage);
    }
    error
}

impl From<&clap::Error> for CliFailure {
    fn from(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        // The first paragraph says what is wrong; hints and the usage follow.
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let detail = lines.collect::<Vec<_>>().join(" ");
        let failure = Self::usage(detail.trim_start_matches("error: "));
        match text.lines().find(|line| line.starts_with("Usage: ")) {
            Some(usage) => failure.help(usage),
            None => failure.help("slipway --help"),
        }
    }
}
