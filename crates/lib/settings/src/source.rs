//! Where values come from, and which one is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::dotenv;
pub use crate::error::Origin;
use crate::error::{SettingsError, SettingsErrors};
use crate::registry::{self, GROUPS, Variable, VariableGroup};
use crate::secret_file;
use crate::values::AppEnv;

/// Beyond this many edits a name is another name, not a typing mistake.
const MOST_EDITS: usize = 3;

/// A value and where it came from. Every value is held as a secret: whether it is one is the registry's affair.
#[derive(Debug, Clone)]
pub(crate) struct SourcedValue {
    text: SecretString,
    pub(crate) origin: Origin,
}

impl SourcedValue {
    pub(crate) fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

/// One place with variables; places stand in order of priority.
struct Layer {
    origin: Origin,
    variables: BTreeMap<String, SecretString>,
}

/// The values in force, before they are checked. Debug shows names and origins, never a value.
#[derive(Debug, Clone)]
pub struct SettingsSource {
    env: AppEnv,
    values: BTreeMap<&'static str, SourcedValue>,
    /// Wrong whatever section is read, or (when the name is in the registry) wrong if its section is read.
    problems: Vec<SettingsError>,
    warnings: Vec<String>,
}

impl SettingsSource {
    /// Reads the process environment, `dir/.env.$APP_ENV`, `dir/.env` and the secret files that they name.
    ///
    /// Fails when a settings file cannot be read or understood, or when `APP_ENV` is unknown. Everything else that is
    /// wrong is kept and reported by `from_source`, together with what the sections find.
    pub fn load(dir: &Path) -> Result<Self, SettingsErrors> {
        Self::load_with(std::env::vars_os(), dir)
    }

    /// As [`SettingsSource::load`], with the given variables in place of the process environment.
    pub fn load_with<K, V>(
        environment: impl IntoIterator<Item = (K, V)>,
        dir: &Path,
    ) -> Result<Self, SettingsErrors>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut problems = Vec::new();
        let mut layers = vec![Layer {
            origin: Origin::Environment,
            variables: unicode(environment, &mut problems),
        }];
        let base = read_layer(dir, ".env")?;
        let declared = lookup(&layers, "APP_ENV").or_else(|| base.as_ref()?.get("APP_ENV"));
        // An unknown word must not choose a file name, so there is nothing to go on with.
        let env = parse_env(declared.as_ref())?;
        if let Some(layer) = read_layer(dir, &format!(".env.{env}"))? {
            if layer
                .get("APP_ENV")
                .is_some_and(|other| other.text() != env.as_str())
            {
                let problem = format!("contradicts APP_ENV={env}, by which this file was chosen");
                let error = SettingsError::new("APP_ENV", problem, "remove it from this file");
                problems.push(error.of(&layer.origin));
            }
            layers.push(layer);
        }
        layers.extend(base);
        Ok(Self::resolve(env, &layers, problems))
    }

    /// For commands and tests: the given variables as the process environment, and no settings files. `X_FILE` is still read.
    ///
    /// An unknown `APP_ENV` is reported by `from_source`.
    #[must_use]
    pub fn from_map<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into().into()));
        let layers = [Layer {
            origin: Origin::Environment,
            variables: variables.collect(),
        }];
        let env = parse_env(lookup(&layers, "APP_ENV").as_ref()).unwrap_or_default();
        Self::resolve(env, &layers, Vec::new())
    }

    /// Oddities that are no errors. Platforms inject names into the environment that look like settings but are
    /// none. Anybody can read a secret's file. To be logged once at the start; never shows a value.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where the process runs. Known before anything else, because it decides how strict everything else is.
    #[must_use]
    pub fn app_env(&self) -> AppEnv {
        self.env
    }

    /// Where the value in force came from; `None` when `name` is no variable or has neither value nor default.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.value(registry::find(name)?).map(|value| value.origin)
    }

    /// What was given, empty or not; `None` when nobody gave anything.
    pub(crate) fn given(&self, name: &str) -> Option<&SourcedValue> {
        self.values.get(name)
    }

    /// The value in force: what was given unless empty, or the default.
    pub(crate) fn value(&self, variable: &Variable) -> Option<SourcedValue> {
        let given = self.given(variable.name).filter(|value| !value.text().is_empty());
        given.cloned().or_else(|| {
            variable.default.map(|text| SourcedValue {
                text: text.into(),
                origin: Origin::Default,
            })
        })
    }

    pub(crate) fn problems(&self) -> &[SettingsError] {
        &self.problems
    }

    fn resolve(env: AppEnv, layers: &[Layer], problems: Vec<SettingsError>) -> Self {
        let mut source = Self {
            env,
            values: BTreeMap::new(),
            problems,
            warnings: Vec::new(),
        };
        let credentials = set(layers, "CREDENTIALS_DIRECTORY")
            .filter(|value| value.origin == Origin::Environment)
            .map(|value| PathBuf::from(value.text()));
        for variable in registry::variables() {
            let value = if variable.secret {
                source.secret(variable.name, layers, credentials.as_deref())
            } else {
                lookup(layers, variable.name)
            };
            source.values.extend(value.map(|value| (variable.name, value)));
        }
        source.find_unknown(layers);
        source
    }

    /// A secret's value from the one place that gives it. Two places are a mistake: which one is stale?
    fn secret(&mut self, name: &str, layers: &[Layer], credentials: Option<&Path>) -> Option<SourcedValue> {
        let file = set(layers, &format!("{name}_FILE"));
        let credential = credentials.map(|dir| dir.join(name)).filter(|path| path.exists());
        // `X_FILE` usually points into the credentials folder; being explicit, it goes first.
        let (path, origin, other) = match (file, credential) {
            (None, None) => return lookup(layers, name),
            (Some(file), _) => {
                let path = PathBuf::from(file.text());
                (
                    path.clone(),
                    Origin::File(path),
                    format!("{name}_FILE ({})", file.origin),
                )
            }
            (None, Some(path)) => {
                let other = format!("the credential {name} ({})", Origin::Credential);
                (path, Origin::Credential, other)
            }
        };
        if let Some(set) = set(layers, name) {
            let problem = format!("is set twice: as {name} ({}) and as {other}", set.origin);
            self.problems
                .push(SettingsError::new(name, problem, "keep one of them"));
            return None;
        }
        match secret_file::read(&path, self.env) {
            Ok((text, warning)) => {
                self.warnings
                    .extend(warning.map(|warning| format!("{name}: {warning}")));
                Some(SourcedValue { text, origin })
            }
            Err(wrong) => {
                let error = SettingsError::new(name, wrong.problem, wrong.cure);
                self.problems.push(error.of(&origin));
                None
            }
        }
    }

    /// Names that begin like a setting but are none. In our files they are mistakes. In the environment they are
    /// oddities, since platforms put other names there (`API_PORT_8000_TCP` is a Kubernetes service link).
    fn find_unknown(&mut self, layers: &[Layer]) {
        let mut warned = BTreeSet::new();
        for layer in layers {
            for name in layer.variables.keys().filter(|name| is_unknown(name)) {
                let hint = nearest(name).map(|near| format!("did you mean {near}?"));
                if layer.origin == Origin::Environment {
                    if warned.insert(name) {
                        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                        let warning = format!("{name} in the environment is no setting and is ignored{hint}");
                        self.warnings.push(warning);
                    }
                } else {
                    let cure =
                        hint.unwrap_or_else(|| "remove it; docs/settings.md lists every setting".to_owned());
                    let error = SettingsError::new(name, "is no setting", cure);
                    self.problems.push(error.of(&layer.origin));
                }
            }
        }
    }
}

impl Layer {
    fn get(&self, name: &str) -> Option<SourcedValue> {
        self.variables.get(name).map(|text| SourcedValue {
            text: text.clone(),
            origin: self.origin.clone(),
        })
    }
}

/// The first value, empty or not.
fn lookup(layers: &[Layer], name: &str) -> Option<SourcedValue> {
    layers.iter().find_map(|layer| layer.get(name))
}

/// The first value, unless it is empty.
fn set(layers: &[Layer], name: &str) -> Option<SourcedValue> {
    lookup(layers, name).filter(|value| !value.text().is_empty())
}

fn is_unknown(name: &str) -> bool {
    let is_ours = |group: &VariableGroup| group.own_prefix.is_some_and(|prefix| name.starts_with(prefix));
    let is_file = || {
        let secret = name.strip_suffix("_FILE").and_then(registry::find);
        secret.is_some_and(|variable| variable.secret)
    };
    GROUPS.iter().any(is_ours) && registry::find(name).is_none() && !is_file()
}

/// The name that was meant, if one is near.
fn nearest(name: &str) -> Option<String> {
    let names = registry::variables().flat_map(|variable| {
        let file = variable.secret.then(|| format!("{}_FILE", variable.name));
        std::iter::once(variable.name.to_owned()).chain(file)
    });
    let (edits, near) = names
        .map(|known| (strsim::levenshtein(name, &known), known))
        .min()?;
    (edits <= MOST_EDITS).then_some(near)
}

fn parse_env(value: Option<&SourcedValue>) -> Result<AppEnv, SettingsError> {
    let Some(value) = value.filter(|value| !value.text().is_empty()) else {
        return Ok(AppEnv::default());
    };
    value.text().parse().map_err(|()| {
        let problem = "is not one of the words that it takes";
        let error = SettingsError::new(
            "APP_ENV",
            problem,
            "set it to one of development, test, production",
        );
        SettingsError {
            value: Some(value.text().to_owned()),
            ..error.of(&value.origin)
        }
    })
}

fn read_layer(dir: &Path, name: &str) -> Result<Option<Layer>, SettingsErrors> {
    let variables = dotenv::read(&dir.join(name), name)?;
    Ok(variables.map(|variables| Layer {
        origin: Origin::DotEnv(name.to_owned()),
        variables,
    }))
}

/// Settings are text. Other variables of the environment may be anything and are nobody's business.
fn unicode<K, V>(
    environment: impl IntoIterator<Item = (K, V)>,
    problems: &mut Vec<SettingsError>,
) -> BTreeMap<String, SecretString>
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let mut variables = BTreeMap::new();
    for (name, value) in environment {
        let Ok(name) = name.into().into_string() else {
            continue;
        };
        match value.into().into_string() {
            Ok(value) => drop(variables.insert(name, value.into())),
            Err(_) if registry::find(name.strip_suffix("_FILE").unwrap_or(&name)).is_some() => {
                let error = SettingsError::new(name, "is not UTF-8", "set it to text");
                problems.push(error.of(&Origin::Environment));
            }
            Err(_) => {}
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("API_PROT").as_deref(), Some("API_PORT"));
        assert_eq!(
            nearest("DATABASE_POOLSIZE").as_deref(),
            Some("DATABASE_POOL_SIZE")
        );
        assert_eq!(
            nearest("REDIS_PASSWORD_FIEL").as_deref(),
            Some("REDIS_PASSWORD_FILE")
        );
        assert_eq!(nearest("API_SOMETHING_ELSE"), None);
    }
}
