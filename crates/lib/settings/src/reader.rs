//! Reads sections from a [`SettingsSource`] and gathers everything that is wrong.

use serde::de::DeserializeOwned;

use crate::error::{InvalidValue, SettingsError, SettingsErrors};
use crate::production;
use crate::redact;
use crate::registry::{self, Variable, VariableGroup};
use crate::sections::APP_ENV;
use crate::source::SettingsSource;
use crate::values::{AppEnv, Fields};

/// What is made of one group of variables.
pub(crate) trait Section: Sized {
    /// The variables.
    const GROUP: VariableGroup;
    /// What envy fills.
    type Raw: DeserializeOwned + Into<Self>;

    /// What can only be said of several variables together. Called even when one of them is wrong by itself, so that
    /// everything is reported at once.
    fn check(_: &mut SectionReader<'_>) {}
}

/// Reads sections and gathers errors.
pub(crate) struct SectionReader<'a> {
    source: &'a SettingsSource,
    errors: Vec<SettingsError>,
    /// What the section that is being read says. Where a URL and another variable say the same, the URL does.
    fields: Fields,
    /// What its URL says, if it has one.
    pub(crate) url: Fields,
}

impl<'a> SectionReader<'a> {
    /// Begins with what is wrong whatever section is read.
    pub(crate) fn new(source: &'a SettingsSource) -> Self {
        let general = |error: &&SettingsError| registry::find(&error.variable).is_none();
        let mut reader = Self {
            source,
            errors: source.problems().iter().filter(general).cloned().collect(),
            fields: Fields::new(),
            url: Fields::new(),
        };
        reader.variables(&APP_ENV);
        reader
    }

    /// The section, or `None` when something is wrong with it; the errors are kept.
    pub(crate) fn section<T: Section>(&mut self) -> Option<T> {
        let errors_before = self.errors.len();
        self.fields = Fields::from([("env", self.env().to_string())]);
        self.url = Fields::new();
        self.variables(&T::GROUP);
        T::check(self);
        if self.errors.len() > errors_before {
            return None;
        }
        let fields = std::mem::take(&mut self.fields).into_iter();
        let fields = fields.map(|(field, text)| (field.to_owned(), text));
        // Its error would quote the value.
        let raw: Result<T::Raw, ()> = envy::from_iter(fields).map_err(drop);
        Some(
            raw.expect("a value that its kind lets through is one of its field's type")
                .into(),
        )
    }

    /// The aggregate when nothing was wrong, or else everything that was.
    pub(crate) fn finish<T>(self, all: impl FnOnce() -> Option<T>) -> Result<T, SettingsErrors> {
        let all = all().filter(|_| self.errors.is_empty());
        all.ok_or_else(|| SettingsErrors::new(self.errors))
    }

    /// Where the process runs.
    pub(crate) fn env(&self) -> AppEnv {
        self.source.app_env()
    }

    /// True when somebody gave a value that is not empty.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let is_broken = self
            .source
            .problems()
            .iter()
            .any(|problem| problem.variable == name);
        is_broken
            || self
                .source
                .given(name)
                .is_some_and(|value| !value.text().is_empty())
    }

    /// The text in force, right or wrong.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.source.value(registry::find(name)?)?;
        Some(value.text().to_owned())
    }

    /// What the section says; `None` also when what was given is wrong.
    pub(crate) fn field(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    /// Keeps an error about the variable, with its redacted value and where it came from.
    pub(crate) fn fail(&mut self, name: &str, problem: &str, cure: &str) {
        let mut error = SettingsError::new(name, problem, cure);
        if let Some(variable) = registry::find(name)
            && let Some(value) = self.source.value(variable)
        {
            error.value = Some(redact::redacted(variable, value.text()));
            error = error.of(&value.origin);
        }
        self.errors.push(error);
    }

    /// `whole` and any of `parts` say the same thing twice; which of them is stale?
    pub(crate) fn refuse_both(&mut self, whole: &str, parts: &[&str]) {
        if !self.is_set(whole) {
            return;
        }
        for part in parts {
            if self.is_set(part) {
                let problem = format!("is set together with {whole}, which already says it");
                self.fail(part, &problem, "keep one of them");
            }
        }
    }

    fn variables(&mut self, group: &VariableGroup) {
        for variable in group.variables {
            if let Err(InvalidValue { problem, cure }) = self.variable(variable) {
                self.fail(variable.name, &problem, &cure);
            }
        }
    }

    /// Keeps what the variable says. It must be present, of the right form, and fit for production.
    fn variable(&mut self, variable: &Variable) -> Result<(), InvalidValue> {
        let name = variable.name;
        let errors_before = self.errors.len();
        let problems = self
            .source
            .problems()
            .iter()
            .filter(|problem| problem.variable == name);
        self.errors.extend(problems.cloned());
        if self.errors.len() > errors_before {
            return Ok(());
        }
        let is_strict = variable.secret && self.env().is_production();
        if is_strict
            && self
                .source
                .given(name)
                .is_some_and(|value| value.text().is_empty())
        {
            return Err(InvalidValue::new("is empty", production::cure(name)));
        }
        let Some(value) = self.source.value(variable) else {
            return if variable.required {
                Err(InvalidValue::new("is not set", missing_cure(variable)))
            } else {
                Ok(())
            };
        };
        let fields = variable.kind.read(variable.field, value.text())?;
        let fit = if is_strict {
            production::check(variable, value.text(), &fields)
        } else {
            Ok(())
        };
        if variable.kind.is_connection() {
            self.url = fields.clone();
        }
        // A connection's URL stands before the variables that say the same, and goes before their defaults.
        for (field, text) in fields {
            self.fields.entry(field).or_insert(text);
        }
        fit
    }
}

fn missing_cure(variable: &Variable) -> String {
    let name = variable.name;
    let file = if variable.secret {
        format!(" or {name}_FILE")
    } else {
        String::new()
    };
    format!("set {name}{file}, for example {}", variable.example())
}
