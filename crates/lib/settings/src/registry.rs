//! The one list of every variable. Checks, defaults, example files and the reference page all come from it.
//!
//! To add a variable: a field in its section's table, then `UPDATE_GENERATED=1` at the tests.

pub use crate::variable::Variable;

pub(crate) use crate::combinations::GROUPS;
pub(crate) use crate::variable::VariableGroup;

/// Every variable that any process reads.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    GROUPS.iter().flat_map(|group| group.variables)
}

/// The variable of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sections::{AgentSection, ApiSection, DatabaseSettings};
    use crate::value_kind::ValueKind;
    use crate::{RedisSettings, SettingsSource};

    #[test]
    fn no_name_stands_twice() {
        let names: BTreeSet<&str> = variables().map(|variable| variable.name).collect();
        assert_eq!(names.len(), variables().count());
    }

    #[test]
    fn rows_agree_with_their_own_checks() {
        for variable in variables() {
            let name = variable.name;
            assert!(
                !variable.about.is_empty() && !variable.readers.is_empty(),
                "{name}"
            );
            let production = variable.production.filter(|value| !value.is_empty());
            for value in [Some(variable.example()), variable.default, production]
                .into_iter()
                .flatten()
            {
                let read = variable.kind.read(variable.field, value);
                assert!(read.is_ok(), "{name}={value}: {read:?}");
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
            assert_eq!(
                variable.field.is_empty(),
                variable.kind.is_connection(),
                "{name}: only a connection says several fields"
            );
        }
    }

    /// A kind that lets through what the field's type refuses would end the process.
    #[test]
    fn the_ends_of_each_range_are_read() {
        for variable in variables() {
            let ValueKind::Number(min, max, _) = variable.kind else {
                continue;
            };
            for number in [min, max] {
                let source = SettingsSource::from_map([
                    (variable.name, number.to_string()),
                    ("DATABASE_HOST", "/s".to_owned()),
                    ("REDIS_HOST", "/s".to_owned()),
                ]);
                DatabaseSettings::from_source(&source).unwrap();
                RedisSettings::from_source(&source).unwrap();
                ApiSection::from_source(&source).unwrap();
                AgentSection::from_source(&source).unwrap();
            }
        }
    }
}
