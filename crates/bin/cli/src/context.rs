//! Which API to talk to, and as whom.

mod token;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use slipway_client::{Client, ClientBuilder};
use slipway_domain::TraceParent;
use slipway_verify::Advice;

use crate::CliFailure;
use crate::args::Global;
use crate::config::{self, SavedLogin};
use crate::failure::advice;
use crate::files;
use crate::output::Output;
use token::{FoundToken, TokenSource, UsedToken};

/// The environment variables that count, with what they mean.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "SLIPWAY_URL",
        "The API's address. `--url` goes before it, and it before what `slipway login` kept.",
    ),
    (
        "SLIPWAY_TOKEN",
        "The token. There is no flag for it: a command line can be read by everybody on the machine.",
    ),
    (
        "SLIPWAY_TOKEN_FILE",
        "A file with the token. Not together with `SLIPWAY_TOKEN`; `--token-file` goes before both.",
    ),
    (
        "SLIPWAY_CA_FILE",
        "A PEM file with a CA to trust besides the machine's own. `--ca-file` goes before it.",
    ),
    (
        "SLIPWAY_RETRY_SECONDS",
        "How long a request is tried again while the API cannot answer, such as while its database has no leader; 90 when \
         not set. One that may have changed something is sent again only if the API then makes nothing twice.",
    ),
    (
        "XDG_CONFIG_HOME",
        "Where `slipway login` keeps its file, `slipway/config.json`; `~/.config` when not set.",
    ),
    (
        "TRACEPARENT",
        "A trace that the command is part of, as CI systems give it; a new one when not set.",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where the command's own span goes; nowhere when not set. `OTEL_EXPORTER_OTLP_HEADERS` (or `_FILE`) and \
         `OTEL_EXPORTER_OTLP_CERTIFICATE` go with it, as in [settings.md](settings.md#traces).",
    ),
    ("NO_COLOR", "No colours when it is set to anything."),
    (
        "BROWSER",
        "The program with which `slipway open` opens a page; xdg-open, or on macOS open, when not set.",
    ),
];

/// What the process finds around it, read once.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    url: Option<String>,
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    retry_seconds: Option<String>,
    config_home: Option<PathBuf>,
    home: Option<PathBuf>,
    traceparent: Option<TraceParent>,
    no_color: bool,
    dumb: bool,
    browser: Option<String>,
    desktop: bool,
}

impl Surroundings {
    /// Reads the environment. A variable that is empty counts as not set.
    #[must_use]
    pub fn read() -> Self {
        let get = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |value: OsString| value.to_string_lossy().into_owned();
        Self {
            url: get("SLIPWAY_URL").map(text),
            token: get("SLIPWAY_TOKEN").map(|token| text(token).trim().into()),
            token_file: get("SLIPWAY_TOKEN_FILE").map(PathBuf::from),
            ca_file: get("SLIPWAY_CA_FILE").map(PathBuf::from),
            retry_seconds: get("SLIPWAY_RETRY_SECONDS").map(text),
            config_home: get("XDG_CONFIG_HOME").map(PathBuf::from),
            home: get("HOME").map(PathBuf::from),
            // What is none is ignored, as the specification asks.
            traceparent: get("TRACEPARENT").and_then(|value| text(value).parse().ok()),
            no_color: get("NO_COLOR").is_some(),
            dumb: get("TERM").is_some_and(|term| term == "dumb"),
            browser: get("BROWSER").map(text),
            desktop: cfg!(target_os = "macos")
                || get("DISPLAY").is_some()
                || get("WAYLAND_DISPLAY").is_some(),
        }
    }
}

/// Everything that a command needs to begin.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where and how to show things.
    pub output: Output,
    around: Surroundings,
    global: Global,
    /// Where the spans of requests hang.
    parent: Option<TraceParent>,
    /// The token that requests carry, once there is a client.
    used: Arc<OnceLock<UsedToken>>,
}

impl Context {
    /// Puts together what was typed and what was found.
    #[must_use]
    pub fn new(around: Surroundings, global: Global) -> Self {
        let stdout = std::io::stdout().is_terminal();
        Self {
            output: Output {
                json: global.json,
                colour: stdout && !around.no_color && !around.dumb,
                stdout_terminal: stdout,
                terminal: std::io::stderr().is_terminal() && (stdout || global.json) && !around.dumb,
                now: || SystemTime::now().into(),
            },
            parent: around.traceparent.clone(),
            around,
            global,
            used: Arc::default(),
        }
    }

    /// The same, as part of a trace.
    #[must_use]
    pub fn under(mut self, parent: TraceParent) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The same, for a command that is to say soon what does not answer.
    #[must_use]
    pub fn retrying_for(mut self, seconds: u64) -> Self {
        self.around.retry_seconds = Some(seconds.to_string());
        self
    }

    /// The program that opens pages, if there is one.
    #[must_use]
    pub fn opener(&self) -> Option<String> {
        let usual = if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        let usual = self.around.desktop.then(|| usual.to_owned());
        self.around.browser.clone().or(usual)
    }

    /// The trace that the environment names.
    #[must_use]
    pub fn given_trace(&self) -> Option<TraceParent> {
        self.around.traceparent.clone()
    }

    /// Where the login is kept.
    pub fn config_path(&self) -> Result<PathBuf, CliFailure> {
        config::place(self.around.config_home.as_deref(), self.around.home.as_deref())
    }

    /// What `slipway login` kept, if anything.
    pub fn stored(&self) -> Result<Option<SavedLogin>, CliFailure> {
        let Ok(path) = self.config_path() else {
            return Ok(None);
        };
        let Some((stored, readable)) = config::load(&path)? else {
            return Ok(None);
        };
        if readable {
            self.output.warn(format_args!(
                "other users can read your token; run: chmod 600 {}",
                path.display()
            ));
        }
        Ok(Some(stored))
    }

    /// A client without a token, and the CA file in force.
    pub fn anonymous(&self) -> Result<(ClientBuilder, Option<PathBuf>), CliFailure> {
        self.target(self.stored()?.as_ref())
    }

    /// A client with the token in force.
    pub fn client(&self) -> Result<Client, CliFailure> {
        let given = self.given_token()?;
        // If everything is given from outside, the command ignores a stored login.
        let complete = given.is_some() && (self.global.url.is_some() || self.around.url.is_some());
        let stored = if complete { None } else { self.stored()? };
        let (builder, _) = self.target(stored.as_ref())?;
        refuse_readable(&builder, "your token")?;
        let kept = stored
            .filter(|stored| is_same(&stored.url, &builder))
            .map(|stored| {
                self.config_path().map(|path| FoundToken {
                    secret: SecretString::from(stored.token.expose()),
                    source: TokenSource::Login(path),
                })
            })
            .transpose()?;
        let Some(token) = given.or(kept) else {
            return Err(
                CliFailure::not_logged_in(format!("you are not logged in to {}", builder.url()))
                    .help("run `slipway login`, or set SLIPWAY_TOKEN_FILE or SLIPWAY_TOKEN"),
            );
        };
        let used = token.check()?;
        // The same place is found each time.
        let _ = self.used.set(used);
        Ok(builder.token(token.secret).build()?.under(self.parent.clone()))
    }

    /// Says of a token that the API did not take where it comes from, and what may be wrong with it.
    #[must_use]
    pub fn explain(&self, failure: CliFailure) -> CliFailure {
        match self.used.get() {
            Some(used) if failure.is_refused_token() => used.explain(failure),
            _ => failure,
        }
    }

    /// What to do about errors of requests with the token in force.
    #[must_use]
    pub(crate) fn advice(&self) -> Advice {
        self.used
            .get()
            .map_or_else(|| Advice::new(advice), UsedToken::advice)
    }

    /// The address that was typed, as such.
    #[must_use]
    pub fn typed_url(&self) -> Option<&str> {
        self.global.url.as_deref()
    }

    /// A client without a token for another address. It trusts this CA file, or else the one of the command
    /// line.
    pub fn site(&self, url: &str, ca_file: Option<&Path>) -> Result<ClientBuilder, CliFailure> {
        let builder = self.begin(url)?;
        let given = self.global.ca_file.as_deref().or(self.around.ca_file.as_deref());
        match ca_file.or(given) {
            Some(path) => trust(builder, path),
            None => Ok(builder),
        }
    }

    /// The same, with this address and CA file for an API that nothing else names.
    #[must_use]
    pub fn with_fallback(&self, url: &str, ca_file: Option<&Path>) -> Self {
        let mut context = self.clone();
        if context.around.url.is_none() && !matches!(self.stored(), Ok(Some(_))) {
            context.global.url.get_or_insert_with(|| url.to_owned());
            if context.global.ca_file.is_none() && context.around.ca_file.is_none() {
                context.global.ca_file = ca_file.map(Path::to_owned);
            }
        }
        context
    }

    fn begin(&self, url: &str) -> Result<ClientBuilder, CliFailure> {
        let mut builder =
            slipway_client::builder(url)?.user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
        if let Some(given) = &self.around.retry_seconds {
            let seconds = given.parse().map_err(|_| {
                CliFailure::usage(format!(
                    "SLIPWAY_RETRY_SECONDS={given} is no number of whole seconds; write one such as 90"
                ))
            })?;
            builder = builder.retry_for(Duration::from_secs(seconds));
        }
        if !self.output.json {
            builder = builder.on_wait(Output::tell);
        }
        Ok(builder)
    }

    fn target(&self, stored: Option<&SavedLogin>) -> Result<(ClientBuilder, Option<PathBuf>), CliFailure> {
        let url = self.global.url.as_deref().or(self.around.url.as_deref());
        let Some(url) = url.or(stored.map(|stored| stored.url.as_str())) else {
            return Err(CliFailure::not_logged_in("no API address is known")
                .help("run `slipway login --url https://…`, or set SLIPWAY_URL"));
        };
        let mut builder = self.begin(url)?;
        let ca = self
            .global
            .ca_file
            .clone()
            .or_else(|| self.around.ca_file.clone());
        let ca = ca.or_else(|| {
            let stored = stored.filter(|stored| is_same(&stored.url, &builder))?;
            stored.ca_file.clone()
        });
        if let Some(path) = &ca {
            builder = trust(builder, path)?;
        }
        Ok((builder, ca.map(|path| absolute(&path))))
    }

    fn given_token(&self) -> Result<Option<FoundToken>, CliFailure> {
        let found = |secret, source| Some(FoundToken { secret, source });
        if let Some(path) = &self.global.token_file {
            let secret = files::read_secret(path, "token file")?;
            return Ok(found(secret, TokenSource::FileOfFlag(path.clone())));
        }
        match (&self.around.token, &self.around.token_file) {
            (Some(_), Some(_)) => Err(
                CliFailure::usage("SLIPWAY_TOKEN and SLIPWAY_TOKEN_FILE are both set")
                    .help("unset one of them"),
            ),
            (Some(token), None) => Ok(found(token.clone(), TokenSource::Variable)),
            (None, Some(path)) => {
                let secret = files::read_secret(path, "token file of SLIPWAY_TOKEN_FILE")?;
                Ok(found(secret, TokenSource::FileOfVariable(path.clone())))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Trusts the CAs of this file too.
pub fn trust(builder: ClientBuilder, ca_file: &Path) -> Result<ClientBuilder, CliFailure> {
    let pem = files::read(ca_file, "CA file")?;
    Ok(builder.extra_ca_pem(format_args!("the CA file {}", ca_file.display()), pem)?)
}

/// No secret goes where everybody on the way can read it.
pub fn refuse_readable(builder: &ClientBuilder, secret: &str) -> Result<(), CliFailure> {
    if !builder.is_readable_on_the_way() {
        return Ok(());
    }
    let url = builder.url();
    Err(CliFailure::usage(format!(
        "{url} is plain HTTP: {secret} could be read on the way, so nothing was sent"
    ))
    .help("use https; without it, make a tunnel (ssh -L 8000:127.0.0.1:8000 HOST) and use http://127.0.0.1:8000"))
}

/// Whether the address is the builder's: a token only ever goes to the API that gave it.
pub(crate) fn is_same(url: &str, builder: &ClientBuilder) -> bool {
    slipway_client::builder(url).is_ok_and(|other| other.url() == builder.url())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
