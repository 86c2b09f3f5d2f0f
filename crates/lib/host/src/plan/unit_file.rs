//! Files of units, and how two of them differ for NixOS' switch script (`switch-to-configuration-ng` of 25.05 and 26.05).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::StoreFiles;
use super::sides::sides;

/// Keys of `[Unit]` that change nothing about a unit that runs.
const IGNORED: [&str; 12] = [
    "AllowIsolate",
    "CollectMode",
    "Description",
    "Documentation",
    "IgnoreOnIsolate",
    "OnFailure",
    "OnFailureJobMode",
    "OnSuccess",
    "RefuseManualStart",
    "RefuseManualStop",
    "SourcePath",
    "StopWhenUnneeded",
];

/// A unit with its drop-ins: values by section and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnitFile(BTreeMap<String, BTreeMap<String, Vec<String>>>);

/// How two files of a unit differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnitDifference {
    /// Not for a unit that runs.
    None,
    /// It only has to read its configuration again. The keys that differ.
    Reload(Vec<String>),
    /// It has to be restarted. The keys that differ.
    Restart(Vec<String>),
}

impl UnitFile {
    /// Reads a unit and the drop-ins beside it.
    pub(super) fn read(files: &StoreFiles, path: &Path) -> Self {
        let mut unit = Self::default();
        unit.add(&files.text(path).unwrap_or_default());
        let mut folder = path.as_os_str().to_owned();
        folder.push(".d");
        let found = files.entries(Path::new(&folder)).into_iter();
        let mut drop_ins: Vec<PathBuf> = found.map(|(path, _)| path).collect();
        drop_ins.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        drop_ins.sort();
        for path in drop_ins {
            unit.add(&files.text(&path).unwrap_or_default());
        }
        unit
    }

    fn add(&mut self, text: &str) {
        let mut section = String::new();
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            // What installs a unit changes nothing about one that runs.
            if section == "Install" {
                continue;
            }
            let (key, value) = (key.trim(), value.trim());
            let values = self
                .0
                .entry(section.clone())
                .or_default()
                .entry(key.to_owned())
                .or_default();
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value.to_owned());
            }
        }
    }

    /// The values of a key.
    pub(super) fn values(&self, section: &str, key: &str) -> &[String] {
        let found = self.0.get(section).and_then(|section| section.get(key));
        found.map_or(&[], Vec::as_slice)
    }

    /// A switch of the unit, by its last value.
    pub(super) fn is(&self, section: &str, key: &str, otherwise: bool) -> bool {
        let last = self.values(section, key).last();
        last.map_or(otherwise, |value| {
            matches!(value.as_str(), "1" | "yes" | "true" | "on")
        })
    }

    /// How the other file, which is new, differs from this one.
    pub(super) fn compare(&self, new: &Self) -> UnitDifference {
        let (mut reload, mut restart) = (Vec::new(), Vec::new());
        let empty = BTreeMap::new();
        for (section, old, new) in sides(&self.0, &new.0) {
            let keys = sides(old.unwrap_or(&empty), new.unwrap_or(&empty));
            for (key, old, new) in keys.filter(|(_, old, new)| old != new) {
                match (section.as_str(), key.as_str()) {
                    ("Unit", key) if IGNORED.contains(&key) => {}
                    // One that goes is ignored too.
                    ("Unit", "X-Reload-Triggers") if new.is_none() => {}
                    ("Unit", "X-Reload-Triggers") => reload.push(key.clone()),
                    ("Mount", "Options") if old.is_some() && new.is_some() => reload.push(key.clone()),
                    _ => restart.push(key.clone()),
                }
            }
        }
        if !restart.is_empty() {
            restart.extend(reload);
            UnitDifference::Restart(restart)
        } else if reload.is_empty() {
            UnitDifference::None
        } else {
            UnitDifference::Reload(reload)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn unit(text: &str) -> UnitFile {
        let mut unit = UnitFile::default();
        unit.add(text);
        unit
    }

    #[test]
    fn files_differ_as_the_switch_script_says() {
        let base =
            "[Unit]\nDescription=a\nX-Reload-Triggers=1\n[Service]\nExecStart=/a\n[Install]\nWantedBy=x\n";
        let restart =
            |keys: &[&str]| UnitDifference::Restart(keys.iter().map(|&key| key.to_owned()).collect());
        let reload = |keys: &[&str]| UnitDifference::Reload(keys.iter().map(|&key| key.to_owned()).collect());
        for (new, expected) in [
            (base.to_owned(), UnitDifference::None),
            (base.replace("=a\n", "=b\n"), UnitDifference::None),
            (base.replace("WantedBy=x", "WantedBy=y"), UnitDifference::None),
            (
                base.replace("Triggers=1", "Triggers=2"),
                reload(&["X-Reload-Triggers"]),
            ),
            (base.replace("X-Reload-Triggers=1\n", ""), UnitDifference::None),
            (base.replace("/a", "/b"), restart(&["ExecStart"])),
            (
                base.replace("/a", "/b").replace("Triggers=1", "Triggers=2"),
                restart(&["ExecStart", "X-Reload-Triggers"]),
            ),
            (
                base.replace("ExecStart=/a", "ExecStart=/a\nUser=x"),
                restart(&["User"]),
            ),
            (
                base.replace("[Service]\nExecStart=/a\n", ""),
                restart(&["ExecStart"]),
            ),
            (
                format!("{base}[Socket]\nListenStream=1\n"),
                restart(&["ListenStream"]),
            ),
            (
                base.replace("[Unit]\n", "[Unit]\nX-Restart-Triggers=/nix/store/x\n"),
                restart(&["X-Restart-Triggers"]),
            ),
        ] {
            assert_eq!(unit(base).compare(&unit(&new)), expected, "{new}");
        }
    }

    #[test]
    fn options_of_a_mount_are_read_again() {
        let (old, new) = (unit("[Mount]\nOptions=ro\n"), unit("[Mount]\nOptions=rw\n"));
        assert_eq!(
            old.compare(&new),
            UnitDifference::Reload(vec!["Options".to_owned()])
        );
    }

    #[test]
    fn a_drop_in_adds_and_clears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.service");
        fs::write(&path, "[Service]\nExecStart=/a\nEnvironment=A=1 \\\n  B=2\n").unwrap();
        fs::create_dir(folder.path().join("a.service.d")).unwrap();
        fs::write(
            folder.path().join("a.service.d/b.conf"),
            "[Service]\nExecStart=\nExecStart=/b\nX=yes\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("a.service.d/c.txt"),
            "[Service]\nExecStart=/c\n",
        )
        .unwrap();
        let unit = UnitFile::read(&StoreFiles::new(folder.path().to_owned()), &path);
        assert_eq!(unit.values("Service", "ExecStart"), ["/b"]);
        assert_eq!(unit.values("Service", "Environment").len(), 1);
        assert!(unit.is("Service", "X", false) && unit.is("Service", "Y", true));
    }
}
