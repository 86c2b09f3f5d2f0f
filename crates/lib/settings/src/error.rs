//! What is wrong with the settings, in words that help: variable, value, problem and cure.

use std::fmt;

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
    let mut line: String = text
        .chars()
        .take(MOST)
        .flat_map(|c| {
            let escaped = slipway_text::is_hidden(c).then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if text.chars().count() > MOST {
        line.push('…');
    }
    line
}

/// Every wrong setting at once. Display puts each on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(Vec<SettingsError>);

impl SettingsErrors {
    /// `None` when nothing is wrong.
    pub(crate) fn new(errors: Vec<SettingsError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    pub(crate) fn one(error: SettingsError) -> Self {
        Self(vec![error])
    }

    /// The errors, in the order of the registry; never empty.
    #[must_use]
    pub fn errors(&self) -> &[SettingsError] {
        &self.0
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}
