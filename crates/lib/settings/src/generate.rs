//! The files that are made from the registry: example settings and the reference page.
//!
//! The crate's tests compare them with the committed ones and, with `UPDATE_GENERATED=1`, write them.

use crate::registry::{Section, VARIABLES, Variable, of};

const TABLE_HEAD: &str = "| Variable | Values | Default | Read by | Meaning |\n|---|---|---|---|---|\n";
/// Where comments are broken, in columns.
const WIDTH: usize = 110;
const MADE: &str = "Made from crates/lib/settings/src/registry; to change it, change that and run\n\
                    UPDATE_GENERATED=1 cargo nextest run -p slipway-settings";

/// `.env.example`: enough to start the api and the worker on a person's machine.
#[must_use]
pub fn env_example() -> String {
    let head =
        "Settings for development. Copy to .env, which git ignores; docs/settings.md explains everything.";
    env_file(head, |variable| variable.in_example.then_some(variable.example))
}

/// `.env.production.example`: what to think about in production. As it stands it is refused, until the secrets are set.
#[must_use]
pub fn env_production_example() -> String {
    let head = "Settings for production. As they stand they are refused: the secrets are empty. Give each as NAME=…, or \
                better as NAME_FILE=/path of a file with mode 0400, or as a systemd credential named NAME.";
    env_file(head, |variable| variable.production)
}

fn env_file(head: &str, set: impl Fn(&Variable) -> Option<&'static str>) -> String {
    let mut text = String::new();
    comment(&mut text, head);
    for line in MADE.lines() {
        comment(&mut text, line);
    }
    for section in Section::ALL {
        text.extend(["\n## ", section.title(), "\n"]);
        for variable in of(section) {
            text.push('\n');
            comment(&mut text, variable.about);
            comment(&mut text, &facts(variable));
            let line = match set(variable) {
                Some(value) => format!("{}={value}\n", variable.name),
                None => format!(
                    "# {}={}\n",
                    variable.name,
                    variable.default.unwrap_or(variable.example)
                ),
            };
            text.push_str(&line);
        }
    }
    text
}

/// Values, default and readers, in one line.
fn facts(variable: &Variable) -> String {
    let default = match (variable.default, variable.required) {
        (Some(default), _) => format!("default {default}"),
        (None, true) => "required".to_owned(),
        (None, false) => "unset by default".to_owned(),
    };
    format!(
        "[{}; {default}; read by {}]",
        variable.kind.describe(),
        readers(variable)
    )
}

fn readers(variable: &Variable) -> String {
    let names: Vec<&str> = variable.readers.iter().map(|process| process.as_str()).collect();
    names.join(", ")
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// `docs/settings.md`: every variable, and how values are found.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(REFERENCE_HEAD);
    for section in Section::ALL {
        text.extend(["\n## ", section.title(), "\n\n", TABLE_HEAD]);
        for variable in of(section) {
            text.push_str(&table_row(variable));
        }
    }
    text.push_str(REFERENCE_TAIL);
    let secrets: Vec<String> = VARIABLES
        .iter()
        .filter(|variable| variable.secret)
        .map(|variable| format!("`{}`", variable.name))
        .collect();
    text.replace("{secrets}", &secrets.join(", "))
}

fn table_row(variable: &Variable) -> String {
    let default = match (variable.default, variable.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".to_owned(),
        (None, false) => "unset".to_owned(),
    };
    let secret = if variable.secret { " (secret)" } else { "" };
    let values = variable.kind.describe().replace('|', "\\|");
    let about = variable.about.replace('|', "\\|");
    format!(
        "| `{}`{secret} | {values} | {default} | {} | {about} |\n",
        variable.name,
        readers(variable)
    )
}

const REFERENCE_HEAD: &str = "\
<!-- Made from crates/lib/settings/src/registry; UPDATE_GENERATED=1 cargo nextest run -p slipway-settings -->

# Settings

Every process reads its settings once, at its start, from its environment. Everything that is wrong is reported at once,
one line each, and the process does not start:

```text
API_PORT=80000 (from environment): is not a port; give a number from 1 to 65535
DATABASE_POOL_SIZE=0 (from .env): is out of range; give 1 to 1000 connections
SECRET_KEY: is not set; set SECRET_KEY or SECRET_KEY_FILE, for example 0011…
```

`slipway-api config`, `slipway-worker config` and `slipway-agent config` print what is in force, with secrets redacted
and with the place that each value came from.

## Where values come from

The first place that has a variable wins:

1. the process environment
2. `.env.$APP_ENV` in the working directory, such as `.env.production`
3. `.env` in the working directory
4. the default

An empty value means the default, so `API_PORT=` in the environment undoes a line of `.env`. In settings files put values
with spaces, quotes, `#` or `$` in single quotes: `$NAME` is replaced everywhere else.

A variable that begins with `DATABASE_`, `REDIS_`, `API_`, `METRICS_`, `LOG_` or `AGENT_` and is not listed here is an
error in a settings file. In the process environment it is only a warning, because platforms put names of their own there.

## Secrets

The secrets are {secrets}. Each may come in one of three ways; two at once are an error:

- as the variable itself
- as `NAME_FILE`, the path of a file whose content is the secret, without the newline at its end
- as a systemd credential called `NAME` (`LoadCredential=NAME:/path`)

A secret is never shown: not in errors, not in logs, not by `config`. Of a connection URL all but the credentials is shown.

With `APP_ENV=production` a process refuses

- secrets that are empty, or the values of `.env.example`
- a `SECRET_KEY` that is not random, an `ADMIN_PASSWORD` of fewer than 12 characters
- passwords that everybody tries first, such as `postgres` or `changeme1`
- a secret's file that every user of the machine can read (elsewhere a warning)
- a database over the network without a password, and an agent's `AGENT_API_URL` over plain http to another machine
";

const REFERENCE_TAIL: &str = "
## Words of other programs

The OTLP exporter also reads `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER` and `OTEL_RESOURCE_ATTRIBUTES` as the
OpenTelemetry specification has them. systemd sets `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `LISTEN_FDS` and
`CREDENTIALS_DIRECTORY`. Nix is configured by its own means, such as `NIX_CONF_DIR`.
";
