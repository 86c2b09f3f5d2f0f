//! What is wrong with the settings, in words that help: variable, value, problem and cure.

use std::fmt;
use std::path::PathBuf;

/// What is wrong with a value, and what to do. Never repeats the value, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidValue {
    pub(crate) problem: String,
    pub(crate) cure: String,
}

impl InvalidValue {
    pub(crate) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            cure: cure.into(),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The process environment.
    Environment,
    /// A settings file, by its name: `.env` or `.env.$APP_ENV`.
    DotEnv(String),
    /// The file that `<NAME>_FILE` names.
    File(PathBuf),
    /// A file in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential,
    /// Nobody gave one.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::DotEnv(name) => f.write_str(name),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential => f.write_str("systemd credential"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One wrong setting. Its Display is one line and never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The variable (or the `.env` file) that is wrong.
    pub variable: String,
    /// Its value, already redacted; `None` when it has none or the value is no help.
    pub value: Option<String>,
    /// Where the value came from, for people: `environment`, `.env`, `file /run/…`.
    pub origin: Option<String>,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

impl SettingsError {
    /// An error about `variable` that shows no value.
    pub(crate) fn new(
        variable: impl Into<String>,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            variable: variable.into(),
            value: None,
            origin: None,
            problem: problem.into(),
            cure: cure.into(),
        }
    }

    /// With the place where the value came from.
    pub(crate) fn of(self, origin: &Origin) -> Self {
        Self {
            origin: Some(origin.to_string()),
            ..self
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        if let Some(value) = &self.value {
            write!(f, "={}", one_line(value))?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " (from {})", one_line(origin))?;
        }
        write!(f, ": {}; {}", one_line(&self.problem), one_line(&self.cure))
    }
}

impl std::error::Error for SettingsError {}

/// Hidden characters escaped and the length bounded, so that a strange value cannot forge or flood log lines.
fn one_line(text: &str) -> String {
    const MOST: usize = 300;
    let mut line = String::new();
    for c in text.chars().take(MOST) {
        if slipway_text::is_hidden(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

/// Every wrong setting at once. Display puts each on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(Vec<SettingsError>);

impl SettingsErrors {
    /// They are never empty: whoever makes one has something to tell.
    pub(crate) fn new(errors: Vec<SettingsError>) -> Self {
        Self(errors)
    }

    /// The errors, in the order of the registry; never empty.
    #[must_use]
    pub fn errors(&self) -> &[SettingsError] {
        &self.0
    }
}

impl From<SettingsError> for SettingsErrors {
    fn from(error: SettingsError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SettingsErrors {}
