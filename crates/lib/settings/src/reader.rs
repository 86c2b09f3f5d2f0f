//! Reads sections from a [`Source`] and gathers everything that is wrong.

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::error::{SettingsError, SettingsErrors};
use crate::kind::Wrong;
use crate::redact;
use crate::registry::{self, Variable};
use crate::rules;
use crate::sections::{
    AdminSettings, AgentSection, ApiSection, AppEnv, AppSettings, DatabaseSettings, LogSettings,
    MetricsSettings, OtelSettings, RedisSettings, SentrySettings,
};
use crate::source::Source;

/// A struct that is read from the variables of one section.
pub(crate) trait Section: Sized {
    /// The variables.
    const SECTION: registry::Section;
    /// What envy fills: a field for each variable, named as the variable is after the prefix.
    type Raw: DeserializeOwned;

    /// What can only be said of several variables together. Called even when one of them is wrong by itself, so that
    /// everything is reported at once.
    fn check(_: &mut Check<'_>) {}

    /// The struct, once every variable and [`Section::check`] are fine.
    fn build(raw: Self::Raw, check: &mut Check<'_>) -> Option<Self>;
}

/// Reads one section by itself.
fn read<T: Section>(source: &Source) -> Result<T, SettingsErrors> {
    let mut reader = Reader::new(source);
    let section = reader.section();
    reader.finish(|| section)
}

macro_rules! from_source {
    ($($section:ty => $output:ty),* $(,)?) => {$(
        impl $section {
            /// Reads this section by itself, for tools and tests that need no more. On failure every error at once.
            pub fn from_source(source: &Source) -> Result<$output, SettingsErrors> {
                read(source)
            }
        }
    )*};
}

from_source! {
    AdminSettings => Self,
    AgentSection => Self,
    ApiSection => Self,
    AppSettings => Self,
    DatabaseSettings => Self,
    LogSettings => Self,
    MetricsSettings => Self,
    OtelSettings => Self,
    RedisSettings => Option<Self>,
    SentrySettings => Self,
}

/// Reads sections and gathers errors.
pub(crate) struct Reader<'a> {
    source: &'a Source,
    errors: Vec<SettingsError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        let general = |error: &&SettingsError| registry::find(&error.variable).is_none();
        Self {
            source,
            errors: source.problems().iter().filter(general).cloned().collect(),
        }
    }

    /// The section, or `None` when something is wrong with it; the errors are kept.
    pub(crate) fn section<T: Section>(&mut self) -> Option<T> {
        let mut check = Check {
            source: self.source,
            errors: Vec::new(),
        };
        let mut values = Vec::new();
        for variable in registry::of(T::SECTION) {
            values.extend(
                check
                    .variable(variable)
                    .map(|text| (variable.name.to_owned(), text)),
            );
        }
        T::check(&mut check);
        let section = if check.errors.is_empty() {
            build::<T>(values, &mut check)
        } else {
            None
        };
        self.errors.append(&mut check.errors);
        section
    }

    pub(crate) fn app_env(&mut self) -> AppEnv {
        let mut check = Check {
            source: self.source,
            errors: Vec::new(),
        };
        if let Some(variable) = registry::find("APP_ENV") {
            check.variable(variable);
        }
        self.errors.append(&mut check.errors);
        self.source.app_env()
    }

    /// An error that concerns several sections.
    pub(crate) fn fail(&mut self, name: &str, problem: &str, cure: &str) {
        let mut check = Check {
            source: self.source,
            errors: Vec::new(),
        };
        check.fail(name, problem, cure);
        self.errors.append(&mut check.errors);
    }

    /// The aggregate when nothing was wrong, or else everything that was.
    pub(crate) fn finish<T>(self, all: impl FnOnce() -> Option<T>) -> Result<T, SettingsErrors> {
        match SettingsErrors::new(self.errors) {
            Some(errors) => Err(errors),
            None => all().ok_or_else(|| {
                SettingsErrors::one(SettingsError::new(
                    "settings",
                    "could not be read for a reason that no check found",
                    "report this as a bug in Slipway",
                ))
            }),
        }
    }
}

fn build<T: Section>(values: Vec<(String, String)>, check: &mut Check<'_>) -> Option<T> {
    match envy::prefixed(T::SECTION.prefix()).from_iter::<_, T::Raw>(values) {
        Ok(raw) => T::build(raw, check),
        // Its message may quote the value, so only the field that it names is used.
        Err(envy::Error::MissingValue(field)) => {
            let name = format!("{}{}", T::SECTION.prefix(), field.to_uppercase());
            check.fail(&name, "is not set", "set it");
            None
        }
        Err(envy::Error::Custom(_)) => {
            let name = format!("{}*", T::SECTION.prefix());
            check.fail(
                &name,
                "has a value that its checks let through",
                "report this as a bug in Slipway",
            );
            None
        }
    }
}

/// One section's values while they are checked.
pub(crate) struct Check<'a> {
    source: &'a Source,
    errors: Vec<SettingsError>,
}

impl Check<'_> {
    /// Where the process runs.
    pub(crate) fn env(&self) -> AppEnv {
        self.source.app_env()
    }

    /// True when somebody gave a value that is not empty.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let broken = self
            .source
            .problems()
            .iter()
            .any(|problem| problem.variable == name);
        broken || self.source.given(name).is_some_and(|value| !value.is_empty())
    }

    /// The value in force, default included.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let value = self.source.value(registry::find(name)?)?;
        Some(value.text.expose_secret().to_owned())
    }

    /// Keeps an error about the variable, with its redacted value and where it came from.
    pub(crate) fn fail(&mut self, name: &str, problem: &str, cure: &str) {
        let mut error = SettingsError::new(name, problem, cure);
        if let Some(variable) = registry::find(name)
            && let Some(value) = self.source.value(variable)
        {
            error.value = Some(redact::shown(variable, value.text.expose_secret()));
            error.origin = Some(value.origin.to_string());
        }
        self.errors.push(error);
    }

    /// `whole` and any of `parts` say the same thing twice; which of them is stale?
    pub(crate) fn one_form(&mut self, whole: &str, parts: &[&str]) {
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

    /// Checks one variable by itself: present, of the right form, fit for production. The value when it is fine.
    fn variable(&mut self, variable: &Variable) -> Option<String> {
        let name = variable.name;
        let problems: Vec<SettingsError> = self
            .source
            .problems()
            .iter()
            .filter(|problem| problem.variable == name)
            .cloned()
            .collect();
        if !problems.is_empty() {
            self.errors.extend(problems);
            return None;
        }
        let strict = variable.secret && self.env().is_production();
        if strict
            && self
                .source
                .given(name)
                .is_some_and(crate::source::Value::is_empty)
        {
            self.fail(name, "is empty", rules::cure(name));
            return None;
        }
        let Some(value) = self.source.value(variable) else {
            if variable.required {
                self.fail(name, "is not set", &missing_cure(variable));
            }
            return None;
        };
        let text = value.text.expose_secret();
        let weak = |()| {
            if strict {
                rules::production(variable, text).map_or(Ok(()), Err)
            } else {
                Ok(())
            }
        };
        let fine = variable.kind.check(text).and_then(weak);
        match fine {
            Ok(()) => Some(text.to_owned()),
            Err(Wrong { problem, cure }) => {
                self.fail(name, &problem, &cure);
                None
            }
        }
    }
}

fn missing_cure(variable: &Variable) -> String {
    let file = if variable.secret {
        format!(" or {}_FILE", variable.name)
    } else {
        String::new()
    };
    format!("set {}{file}, for example {}", variable.name, variable.example)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt;

    use serde::de::{self, Deserializer, Visitor};

    use super::*;
    use crate::registry::VARIABLES;

    /// Stops at a struct with the names of the fields that it would read.
    struct FieldNames;

    #[derive(Debug)]
    struct Fields(Vec<String>);

    impl fmt::Display for Fields {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(self, f)
        }
    }

    impl std::error::Error for Fields {}

    impl de::Error for Fields {
        fn custom<T: fmt::Display>(message: T) -> Self {
            panic!("not a struct: {message}")
        }
    }

    impl<'de> Deserializer<'de> for FieldNames {
        type Error = Fields;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fields> {
            panic!("a section's raw form must be a struct with named fields")
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Fields> {
            Err(Fields(fields.iter().map(|field| (*field).to_owned()).collect()))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    /// The variables that the section's struct reads, and those that the registry gives it.
    fn both<T: Section>() -> (registry::Section, BTreeSet<String>, BTreeSet<String>) {
        let Err(Fields(fields)) = <T::Raw as serde::Deserialize>::deserialize(FieldNames) else {
            panic!("a struct reports its fields")
        };
        let prefix = T::SECTION.prefix();
        let read = fields
            .iter()
            .map(|field| format!("{prefix}{}", field.to_uppercase()))
            .collect();
        (
            T::SECTION,
            read,
            registry::of(T::SECTION)
                .map(|variable| variable.name.to_owned())
                .collect(),
        )
    }

    #[test]
    fn structs_and_registry_name_the_same_variables() {
        let sections = [
            both::<AdminSettings>(),
            both::<AgentSection>(),
            both::<ApiSection>(),
            both::<AppSettings>(),
            both::<DatabaseSettings>(),
            both::<LogSettings>(),
            both::<MetricsSettings>(),
            both::<OtelSettings>(),
            both::<Option<RedisSettings>>(),
            both::<SentrySettings>(),
        ];
        for (section, read, registered) in &sections {
            assert_eq!(read, registered, "{section:?}");
        }
        let covered: BTreeSet<&String> = sections.iter().flat_map(|(_, read, _)| read).collect();
        let all: BTreeSet<String> = VARIABLES
            .iter()
            .map(|variable| variable.name.to_owned())
            .collect();
        assert_eq!(
            covered,
            all.iter().collect(),
            "every variable is read by a section"
        );
        assert_eq!(all.len(), VARIABLES.len(), "no name stands twice");
    }

    #[test]
    fn rows_agree_with_their_own_checks() {
        for variable in VARIABLES {
            let name = variable.name;
            assert!(
                !variable.about.is_empty() && !variable.readers.is_empty(),
                "{name}"
            );
            assert_eq!(variable.kind.check(variable.example), Ok(()), "{name}'s example");
            for value in variable
                .default
                .into_iter()
                .chain(variable.production.filter(|v| !v.is_empty()))
            {
                assert_eq!(variable.kind.check(value), Ok(()), "{name}={value}");
            }
            assert!(
                !(variable.required && variable.default.is_some()),
                "{name} is required and has a default"
            );
            assert!(
                !(variable.secret && variable.default.is_some()),
                "{name} is a secret with a default"
            );
            assert!(
                !variable.secret || variable.production.unwrap_or_default().is_empty(),
                "{name}"
            );
        }
    }
}
