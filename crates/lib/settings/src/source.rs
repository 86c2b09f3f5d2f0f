//! Where values come from, and which one is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::dotenv;
use crate::error::{SettingsError, SettingsErrors};
use crate::registry::{self, Section, Variable};
use crate::secret_file;
use crate::sections::AppEnv;
use crate::suggest;

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

/// A value and where it came from. Every value is held as a secret: whether it is one is the registry's affair.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) text: SecretString,
    pub(crate) origin: Origin,
}

impl Value {
    fn new(text: impl Into<SecretString>, origin: Origin) -> Self {
        Self {
            text: text.into(),
            origin,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.expose_secret().is_empty()
    }
}

/// One place with variables; places stand in order of priority.
struct Layer {
    origin: Origin,
    variables: BTreeMap<String, SecretString>,
}

/// The values in force, before they are checked. Debug shows names and origins, never a value.
#[derive(Debug, Clone)]
pub struct Source {
    env: AppEnv,
    values: BTreeMap<&'static str, Value>,
    /// Wrong whatever section is read, or (when the name is in the registry) wrong if its section is read.
    problems: Vec<SettingsError>,
    warnings: Vec<String>,
}

impl Source {
    /// Reads the process environment, `dir/.env.$APP_ENV`, `dir/.env` and the secret files that they name.
    ///
    /// Fails when a settings file cannot be read or understood, or when `APP_ENV` is unknown. Everything else that is
    /// wrong is kept and reported by `from_source`, together with what the sections find.
    pub fn load(dir: &Path) -> Result<Self, SettingsErrors> {
        Self::load_with(std::env::vars_os(), dir)
    }

    /// As [`Source::load`], with the given variables in place of the process environment.
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
        let declared =
            lookup(&layers, "APP_ENV").or_else(|| base.as_ref().and_then(|layer| layer.get("APP_ENV")));
        // An unknown word must not choose a file name, so there is nothing to go on with.
        let env = parse_env(declared.as_ref()).map_err(SettingsErrors::one)?;
        if let Some(layer) = read_layer(dir, &format!(".env.{env}"))? {
            if let Some(other) = layer
                .get("APP_ENV")
                .filter(|v| v.text.expose_secret() != env.as_str())
            {
                problems.push(SettingsError {
                    origin: Some(other.origin.to_string()),
                    ..SettingsError::new(
                        "APP_ENV",
                        format!("contradicts APP_ENV={env}, by which this file was chosen"),
                        "remove it from this file",
                    )
                });
            }
            layers.push(layer);
        }
        layers.extend(base);
        Ok(Self::resolve(env, &layers, problems))
    }

    /// For tests: the given variables as the process environment, and no settings files. `X_FILE` is still read.
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
            .map(|(k, v)| (k.into(), SecretString::from(v.into())))
            .collect();
        let layers = [Layer {
            origin: Origin::Environment,
            variables,
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
        let variable = registry::find(name)?;
        match self.values.get(name).filter(|value| !value.is_empty()) {
            Some(value) => Some(value.origin.clone()),
            None => variable.default.map(|_| Origin::Default),
        }
    }

    /// What was given, empty or not; `None` when nobody gave anything.
    pub(crate) fn given(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The value in force: what was given unless empty, or the default.
    pub(crate) fn value(&self, variable: &Variable) -> Option<Value> {
        let given = self
            .values
            .get(variable.name)
            .filter(|value| !value.is_empty())
            .cloned();
        given.or_else(|| variable.default.map(|text| Value::new(text, Origin::Default)))
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
        let credentials = lookup(layers, "CREDENTIALS_DIRECTORY")
            .filter(|value| value.origin == Origin::Environment && !value.is_empty())
            .map(|value| PathBuf::from(value.text.expose_secret()));
        for variable in registry::VARIABLES {
            let value = if variable.secret {
                source.secret(variable, layers, credentials.as_deref())
            } else {
                lookup(layers, variable.name)
            };
            if let Some(value) = value {
                source.values.insert(variable.name, value);
            }
        }
        source.find_unknown(layers);
        source
    }

    /// A secret's value from the one place that gives it. Two places are a mistake: which one is stale?
    fn secret(&mut self, variable: &Variable, layers: &[Layer], credentials: Option<&Path>) -> Option<Value> {
        let name = variable.name;
        let plain = lookup(layers, name);
        let set = plain.as_ref().filter(|value| !value.is_empty());
        let file = lookup(layers, &format!("{name}_FILE")).filter(|value| !value.is_empty());
        let credential = credentials.map(|dir| dir.join(name)).filter(|path| path.exists());
        let other = match (&file, &credential) {
            (Some(file), _) => Some((format!("{name}_FILE"), file.origin.to_string())),
            (None, Some(_)) => Some((format!("the credential {name}"), Origin::Credential.to_string())),
            (None, None) => None,
        };
        if let (Some(set), Some((other, origin))) = (set, other) {
            let problem = format!(
                "is set twice: as {name} ({}) and as {other} ({origin})",
                set.origin
            );
            self.problems
                .push(SettingsError::new(name, problem, "keep one of them"));
            return None;
        }
        // `X_FILE` usually points into the credentials folder; being explicit, it goes first.
        let (path, origin) = match (file, credential) {
            (Some(file), _) => {
                let path = PathBuf::from(file.text.expose_secret());
                (path.clone(), Origin::File(path))
            }
            (None, Some(path)) => (path, Origin::Credential),
            (None, None) => return plain,
        };
        match secret_file::read(&path, self.env) {
            Ok((text, warning)) => {
                self.warnings
                    .extend(warning.map(|warning| format!("{name}: {warning}")));
                Some(Value { text, origin })
            }
            Err(wrong) => {
                self.problems.push(SettingsError {
                    origin: Some(origin.to_string()),
                    ..SettingsError::new(name, wrong.problem, wrong.cure)
                });
                None
            }
        }
    }

    /// Names that begin like a setting but are none. In our files they are mistakes. In the environment they are
    /// oddities, since platforms put other names there (`API_PORT_8000_TCP` is a Kubernetes service link).
    fn find_unknown(&mut self, layers: &[Layer]) {
        let mut told = BTreeSet::new();
        for layer in layers {
            for name in layer.variables.keys().filter(|name| is_unknown(name)) {
                let near = suggest::nearest(name);
                let hint = near.map(|near| format!("did you mean {near}?"));
                if layer.origin == Origin::Environment {
                    if told.insert(name) {
                        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                        self.warnings.push(format!(
                            "{name} in the environment is no setting and is ignored{hint}"
                        ));
                    }
                } else {
                    self.problems.push(SettingsError {
                        origin: Some(layer.origin.to_string()),
                        ..SettingsError::new(
                            name,
                            "is no setting",
                            hint.unwrap_or_else(|| {
                                "remove it; docs/settings.md lists every setting".to_owned()
                            }),
                        )
                    });
                }
            }
        }
    }
}

impl Layer {
    fn get(&self, name: &str) -> Option<Value> {
        self.variables.get(name).map(|text| Value {
            text: text.clone(),
            origin: self.origin.clone(),
        })
    }
}

fn lookup(layers: &[Layer], name: &str) -> Option<Value> {
    layers.iter().find_map(|layer| layer.get(name))
}

fn is_unknown(name: &str) -> bool {
    let ours = Section::ALL
        .iter()
        .any(|section| section.owns_prefix() && name.starts_with(section.prefix()));
    let file = name
        .strip_suffix("_FILE")
        .and_then(registry::find)
        .is_some_and(|variable| variable.secret);
    ours && registry::find(name).is_none() && !file
}

fn parse_env(value: Option<&Value>) -> Result<AppEnv, SettingsError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(AppEnv::default());
    };
    AppEnv::parse(value.text.expose_secret()).ok_or_else(|| SettingsError {
        value: Some(value.text.expose_secret().to_owned()),
        origin: Some(value.origin.to_string()),
        ..SettingsError::new(
            "APP_ENV",
            "is not one of the words that it takes",
            "set it to one of development, test, production",
        )
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
            Ok(value) => {
                variables.insert(name, SecretString::from(value));
            }
            Err(_) if is_setting(OsStr::new(&name)) => problems.push(SettingsError {
                origin: Some(Origin::Environment.to_string()),
                ..SettingsError::new(name, "is not UTF-8", "set it to text")
            }),
            Err(_) => {}
        }
    }
    variables
}

fn is_setting(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| registry::find(name.strip_suffix("_FILE").unwrap_or(name)).is_some())
}
