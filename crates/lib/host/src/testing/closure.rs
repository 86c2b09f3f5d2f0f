//! Small closures whose switch script really replaces a running process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a closure does. Its script keeps everything in `host`:
///
/// | file | what |
/// |---|---|
/// | `live`, `boot` | links that `test` and `boot` move |
/// | `service.pid`, `service.version` | the process that `test` replaced |
/// | `log` | a line for each run of a script |
/// | `knob-ACTION-VERSION` | shell lines for a script to run first |
/// | `sick-VERSION` | makes that version's check fail |
#[derive(Debug, Clone)]
pub struct ClosureSpec {
    /// The version.
    pub version: String,
    /// The host's folder.
    pub host: PathBuf,
    /// `checks.json`; `None` for the ordinary one, which looks at the process.
    pub checks: Option<String>,
    /// `hooks.json`, if it has one.
    pub hooks: Option<String>,
    /// The release keys of its agent, if it has any.
    pub release_keys: Option<String>,
    /// The switch script's mode; `None` leaves the script out.
    pub script_mode: Option<u32>,
}

impl ClosureSpec {
    /// An ordinary closure.
    #[must_use]
    pub fn new(version: &str, host: &Path) -> Self {
        Self {
            version: version.to_owned(),
            host: host.to_owned(),
            checks: None,
            hooks: None,
            release_keys: None,
            script_mode: Some(0o755),
        }
    }

    /// Writes it into a new folder in `dir`, ready for the store.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(&self, dir: &Path) -> PathBuf {
        let folder = dir.join(format!("system-{}", self.version));
        fs::create_dir_all(folder.join("bin")).expect("a new folder");
        fs::create_dir_all(folder.join("etc/slipway")).expect("a new folder");
        if let Some(mode) = self.script_mode {
            let script = folder.join("bin/switch-to-configuration");
            fs::write(&script, self.script()).expect("a new file");
            fs::set_permissions(&script, fs::Permissions::from_mode(mode)).expect("our own file");
        }
        let checks = self.checks.clone().unwrap_or_else(|| self.ordinary_checks());
        fs::write(folder.join("etc/slipway/checks.json"), checks).expect("a new file");
        if let Some(hooks) = &self.hooks {
            fs::write(folder.join("etc/slipway/hooks.json"), hooks).expect("a new file");
        }
        if let Some(keys) = &self.release_keys {
            fs::write(folder.join(crate::manifests::KEYS_FILE), keys).expect("a new file");
        }
        folder
    }

    fn script(&self) -> String {
        SCRIPT
            .replace("@host@", &self.host.display().to_string())
            .replace("@version@", &self.version)
    }

    fn ordinary_checks(&self) -> String {
        let (host, version) = (self.host.display(), &self.version);
        let test = format!(
            "test \"$(cat {host}/service.version)\" = {version} && kill -0 \"$(cat {host}/service.pid)\" && test ! -e {host}/sick-{version}"
        );
        let checks = serde_json::json!({
            "checks": [{"name": "service", "type": "command", "command": ["/bin/sh", "-c", test], "timeout_seconds": 5}]
        });
        checks.to_string()
    }
}

const SCRIPT: &str = r#"#!/bin/sh
set -eu
host='@host@'
self=${0%/bin/switch-to-configuration}
echo "$1 @version@" >> "$host/log"
if [ -e "$host/knob-$1-@version@" ]; then . "$host/knob-$1-@version@"; fi
case "$1" in
test)
  if [ -e "$host/service.pid" ]; then kill "$(cat "$host/service.pid")" 2>/dev/null || true; fi
  if [ "${AGENT_RUNNER:-}" = systemd ]; then
    # What stays in the script's own unit ends with it.
    systemd-run --quiet --collect --unit="test-service-$$" sleep 100000
    systemctl show --property=MainPID --value "test-service-$$" > "$host/service.pid"
  else
    sleep 100000 </dev/null >/dev/null 2>&1 &
    echo $! > "$host/service.pid"
  fi
  echo '@version@' > "$host/service.version"
  ln -sfn "$self" "$host/live.new"
  mv -T "$host/live.new" "$host/live"
  ;;
boot)
  ln -sfn "$self" "$host/boot.new"
  mv -T "$host/boot.new" "$host/boot"
  ;;
*)
  echo "what is $1?" >&2
  exit 64
  ;;
esac
echo "$1 of @version@ done"
"#;
