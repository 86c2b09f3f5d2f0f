//! What is known of a variable, and the form in which a section declares its own.

use crate::value_kind::ValueKind;

/// A process that reads settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Process {
    /// `slipway-api`.
    Api,
    /// `slipway-worker`.
    Worker,
    /// `slipway-agent`.
    Agent,
}

impl Process {
    /// The word used in the reference page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Agent => "agent",
        }
    }
}

/// All of them.
pub(crate) const ALL: &[Process] = &[Process::Api, Process::Worker, Process::Agent];
/// The control plane's.
pub(crate) const PLANE: &[Process] = &[Process::Api, Process::Worker];
pub(crate) const API: &[Process] = &[Process::Api];
pub(crate) const WORKER: &[Process] = &[Process::Worker];
pub(crate) const AGENT: &[Process] = &[Process::Agent];

/// Everything there is to know of one variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// True when the value is never shown, and may come as `<NAME>_FILE` or as a systemd credential.
    pub secret: bool,
    /// The value when nobody gives one.
    pub default: Option<&'static str>,
    /// What it is for and what follows from it; full sentences.
    pub(crate) about: &'static str,
    /// The field of the section's struct.
    pub(crate) field: &'static str,
    pub(crate) kind: ValueKind,
    /// A value that shows the form, where the default does not; refused in production when secret.
    pub(crate) example: Option<&'static str>,
    /// True when a process that reads it does not start without it.
    pub(crate) required: bool,
    /// Whether `.env.example` sets it (to the example) or only mentions it.
    pub(crate) in_example: bool,
    /// What `.env.production.example` sets it to; `None` only mentions it. Secrets stay empty there.
    pub(crate) production: Option<&'static str>,
    pub(crate) readers: &'static [Process],
}

impl Variable {
    /// A row with nothing set but what every row needs.
    pub(crate) const fn new(
        name: &'static str,
        field: &'static str,
        about: &'static str,
        kind: ValueKind,
        readers: &'static [Process],
    ) -> Self {
        Self {
            name,
            secret: false,
            default: None,
            about,
            field,
            kind,
            example: None,
            required: false,
            in_example: false,
            production: None,
            readers,
        }
    }

    /// A value that shows the form.
    #[must_use]
    pub fn example(&self) -> &'static str {
        self.example.or(self.default).unwrap_or_default()
    }
}

/// A group of variables that is read together into one struct.
#[derive(Debug)]
pub(crate) struct VariableGroup {
    /// What the names of its variables begin with, where nobody else uses that prefix: other names with it are mistakes.
    pub(crate) own_prefix: Option<&'static str>,
    /// Its heading in the generated files. Groups that follow each other may share one.
    pub(crate) title: &'static str,
    pub(crate) variables: &'static [Variable],
}

/// Declares a section: a struct that envy fills, and the variables that its fields come from.
///
/// A field's comment says what the variable is for, also in the generated files. A variable after `from` says what several
/// fields are; a field after `and` comes from no variable of its own.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident($title:literal, $own_prefix:expr, $readers:expr)
        $(from { $($(#[doc = $whole_about:literal])* $whole:ident: $whole_kind:expr, { $($whole_key:ident: $whole_value:expr),* };)* })?
        {
            $(
                $(#[doc = $about:literal])*
                $(#[serde($serde:meta)])?
                $field:ident: $type:ty = $variable:ident: $kind:expr $(, { $($key:ident: $value:expr),* })?;
            )*
        }
        $(and { $($(#[$also_meta:meta])* $also:ident: $also_type:ty;)* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        $visibility struct $name {
            $($(#[doc = $about])* $(#[serde($serde)])? pub $field: $type,)*
            $($($(#[$also_meta])* pub $also: $also_type,)*)?
        }

        impl $name {
            pub(crate) const GROUP: $crate::variable::VariableGroup = $crate::variable::VariableGroup {
                own_prefix: $own_prefix,
                title: $title,
                variables: &[
                    $($($crate::variable::Variable {
                        $($whole_key: $whole_value,)*
                        ..$crate::variable::Variable::new(
                            stringify!($whole),
                            "",
                            concat!($($whole_about),*),
                            $whole_kind,
                            $readers,
                        )
                    },)*)?
                    $($crate::variable::Variable {
                        $($($key: $value,)*)?
                        ..$crate::variable::Variable::new(
                            stringify!($variable),
                            stringify!($field),
                            concat!($($about),*),
                            $kind,
                            $readers,
                        )
                    },)*
                ],
            };
        }
    };
}

pub(crate) use section;
