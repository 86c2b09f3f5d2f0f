//! docs/cli.md, made from the definitions, so that it is never behind them.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use crate::Exit;
use crate::context::VARIABLES;

/// What `slipway verify` reads and shows.
const VERIFY: &str = r#"## What `slipway verify` checks

| check | of | fails or warns |
|---|---|---|
| `certificate` | every address | untrusted, another name, expired, under 7 days left; warns under 21 days. The chain is verified on its own, by this machine's CAs and `--ca-file`; the days count to the first end in the chain |
| `tls versions` | every address | warns without 1.3; not checked where no connection comes about |
| `live`, `ready`, `health` | every address | a wrong answer; warns when degraded |
| `database`, `redis`, `workers`, … | every address | each dependency that the health report names |
| `metrics closed` | every address | `/metrics` can be read from the outside |
| `host` | every host of the control plane | the host is offline or stuck, or an attempt is unsettled, or the system is not the newest release that succeeded in its environment. It warns during a rollout, and if the clock is over 30 s off. It also warns if the profile or the boot loader names another system for the next boot |
| `audit` | the control plane | the chain of events is not whole, as with `slipway audit verify` |
| `socket …`, `service …`, `metrics …`, `units` | this host's stacks | a replica or a metrics listener that does not answer, a unit that is not active; the firewall is one of them |
| `job …` | this host's stacks with scheduled jobs | the last run failed, or no run has succeeded for too long |
| `backup dump`, `wal-base`, `offsite`, `verify`, `drill`, `archive` | every stack, or all of `--backup-url` | late, or its newest run failed, or `slipway-backup exporter` answers with an error or an old status; warns when there is none, or none yet |
| `endpoints`, `hosts`, `backup` | a stack, the control plane | stand for all checks of their kind where none could be made; `endpoints` is ok where a stack has no proxy |

A check that cannot be made is `not checked`, with the cure, and the command ends with 31. Warnings alone end it with 0.

Some causes keep all checks from an address, such as an unknown CA or a wrong port. Then one check fails and names the
cause. The others are `not checked`, and say `skipped because` with the cause.

With `--json` the document has `version` (1), `state` (the worst: `ok`, `warn`, `not_checked` or `fail`), `exit_code` and
`checks`. Each check has `check`, `of`, `state`, `seen` and `cure` (null when `ok`). Names of checks do not change; later
versions may have more checks and fields.

A host describes its stacks in `/etc/slipway/stacks/NAME.json`, which the NixOS modules write. Unknown fields are
refused, so that no check is left out in silence:

```json
{
  "version": 1,
  "name": "shop",
  "controlPlane": false,
  "domain": "shop.example.com",
  "url": "https://shop.example.com",
  "caFile": null,
  "api": {
    "sockets": ["/run/slipway/shop/api-1.sock"],
    "metrics": ["http://127.0.0.1:9200/metrics"]
  },
  "worker": { "metrics": ["http://127.0.0.1:9264/metrics"] },
  "backup": { "statusUrl": "http://127.0.0.1:9103/status" },
  "units": ["shop-api-1.service", "shop-worker-1.service"]
}
```

`domain` and `url` are null without a proxy on the host, `backup` without backups; `controlPlane` and `caFile` may be left
out. The command checks hosts and the audit log if a stack is the control plane's, or if it checks no stack. Of
several control planes on a host it asks the one that the login is for. Those of the others are `not checked`.

`version` is 2 for a stack with more than an api and a worker at one domain. Such a description also has `domains`, whose
certificates are checked, and `jobs` with `names` and `metricsFile`. Each of its `services` has `name`, `addresses`
(`127.0.0.1:3000` or `unix:/run/…`), the `path` of its health or null, and `metrics`.
"#;

/// The whole page.
#[must_use]
pub fn markdown() -> String {
    let mut root = crate::command();
    root.build();
    let mut page = String::from(
        "# The command line\n\n\
         <!-- Generated from crates/bin/cli; to renew it: UPDATE_GENERATED=1 cargo test generated -->\n\n\
         Use `slipway` to register releases, roll them out, watch them, revert them and verify production. Every command takes\n\
         the global options and shows text for people. With `--json` it prints exactly one JSON document on stdout for\n\
         programs. Errors go to stderr: `error: …` with one line for every wrong field, and `help: …` with the cure. With\n\
         `--json` an error is a problem document (RFC 9457) that also has `exit_code` and `help`. Times are in UTC.\n\n",
    );
    page.push_str("## Global options\n\n");
    options(&mut page, &root, true);
    page.push_str("\n## Environment variables\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in VARIABLES {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(page, "| {} | {} |", exit.code(), meaning.trim());
    }
    page.push('\n');
    page.push_str(VERIFY);
    page.push_str("\n## Commands\n");
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut page, command);
    }
    page
}

fn section(page: &mut String, command: &Command) {
    if command.has_subcommands() {
        for command in command.get_subcommands() {
            section(page, command);
        }
        return;
    }
    let mut usage = command.clone();
    let usage = usage.render_usage().to_string();
    let _ = write!(
        page,
        "\n### `{}`\n\n{}\n\n```\n{}\n```\n",
        command.get_bin_name().unwrap_or_else(|| command.get_name()),
        about(command),
        usage.trim_start_matches("Usage: ").trim()
    );
    let mut rows = String::new();
    options(&mut rows, command, false);
    if !rows.is_empty() {
        let _ = write!(page, "\n{rows}");
    }
}

fn about(command: &Command) -> String {
    let text = command.get_long_about().or(command.get_about());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    // The short form has no full stop at the end of its first paragraph.
    text.trim_end().replacen("\n\n", ".\n\n", 1) + end
}

fn options(page: &mut String, command: &Command, global: bool) {
    let mut rows = String::new();
    let shown = |arg: &&Arg| {
        arg.is_global_set() == global
            && !arg.is_hide_set()
            && !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort | ArgAction::Version
            )
    };
    for arg in command.get_arguments().filter(shown) {
        let help = arg.get_long_help().or(arg.get_help());
        let mut help = help
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace("\n\n", ". ");
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|v| v.to_string_lossy())
            .collect();
        if arg.get_action().takes_values() && !defaults.is_empty() {
            let _ = write!(help, "; {} when left out", defaults.join(", "));
        }
        let _ = writeln!(
            rows,
            "| `{}` | {} |",
            name(arg).replace('|', "\\|"),
            help.replace('|', "\\|")
        );
    }
    if !rows.is_empty() {
        let _ = write!(page, "| argument | meaning |\n|---|---|\n{rows}");
    }
}

fn name(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .map(|names| names[0].to_string())
        .unwrap_or_default();
    match (arg.get_short(), arg.get_long()) {
        (None, None) => value,
        (short, long) => {
            let flags: Vec<_> = short
                .map(|c| format!("-{c}"))
                .into_iter()
                .chain(long.map(|name| format!("--{name}")))
                .collect();
            let value = if arg.get_action().takes_values() {
                format!(" {value}")
            } else {
                String::new()
            };
            format!("{}{value}", flags.join(", "))
        }
    }
}
