//! Units that somebody changed beside the system, such as by `systemctl edit --runtime`, `set-property`, `mask --runtime` and
//! `portablectl attach`. A folder of units that is no longer the closure's counts too.
//!
//! A look reads a few folders that are nearly always empty, and is made at every sync, at least every 30 s. A watch would have
//! to be kept up while folders come and go.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use slipway_domain::digest::Digest;
use slipway_domain::drift::{MAX_OVERRIDE_CHARS, MAX_OVERRIDES, Override};
use slipway_domain::{AttemptId, StorePath};

use crate::boot;
use crate::config::HostConfig;
use crate::text::one_line;

/// Where a closure has its units.
const UNITS: &str = "etc/systemd/system";
/// The folders that nobody but a person fills, below `etc/systemd` and `systemd` of the runtime folder.
const BY_HAND: [&str; 2] = ["system.control", "system.attached"];
/// Of a longer file the digest is of its beginning.
const MAX_BYTES: u64 = 256 * 1024;
/// The most entries of one folder that are looked at.
const MAX_ENTRIES: usize = 1000;

/// What was changed beside this system, in the order of paths. Nothing where the system has no units of its own.
///
/// The dead-man of the one boot of the attempt under way is the agent's own. No other file has a name that hides it.
pub(crate) fn find(config: &HostConfig, live: &StorePath, under_way: Option<AttemptId>) -> Vec<Override> {
    let units = live.as_path().join(UNITS);
    let runtime = config.live_link.parent().unwrap_or(Path::new("/run"));
    let etc = runtime.parent().unwrap_or(Path::new("/")).join(UNITS);
    let mut look = Look {
        units: &units,
        ours: under_way.map_or_else(Vec::new, |attempt| boot::deadman_files(config, attempt)),
        found: Vec::new(),
    };
    look.at_closures_folder(&etc);
    for name in BY_HAND {
        look.within(&etc.with_file_name(name), Which::All);
        look.within(&runtime.join("systemd").join(name), Which::All);
    }
    look.within(&runtime.join("systemd/system"), Which::All);
    // Units of `systemd-run` and of logins are here as well, and are nobody's overrides.
    look.within(&runtime.join("systemd/transient"), Which::OfTheSystem);
    look.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    OfTheSystem,
}

struct Look<'a> {
    units: &'a Path,
    /// What the agent itself put there.
    ours: Vec<PathBuf>,
    found: Vec<Override>,
}

impl Look<'_> {
    /// Whether `/etc/systemd/system` leads to the closure's units.
    fn at_closures_folder(&mut self, etc: &Path) {
        let (Ok(expected), true) = (fs::canonicalize(self.units), etc.symlink_metadata().is_ok()) else {
            return;
        };
        if fs::canonicalize(etc).is_ok_and(|found| found == expected) {
            return;
        }
        let found = describe(etc);
        self.found
            .push(Override::unit(shown(&expected.display().to_string()), found));
    }

    /// Everything in a folder of units, and in the folders of drop-ins in it.
    fn within(&mut self, folder: &Path, which: Which) {
        for path in entries(folder) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let unit = name
                .strip_suffix(".d")
                .or_else(|| name.strip_suffix(".wants"))
                .or_else(|| name.strip_suffix(".requires"))
                .unwrap_or(&name);
            let expected = self.of_closure(unit);
            if which == Which::OfTheSystem && expected.is_none() {
                continue;
            }
            let expected =
                expected.map_or_else(|| "nothing".to_owned(), |file| shown(&file.display().to_string()));
            let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            let files = if is_folder { entries(&path) } else { vec![path] };
            let files = files.iter().filter(|file| !self.ours.contains(file));
            self.found
                .extend(files.map(|file| Override::unit(expected.clone(), describe(file))));
        }
    }

    /// The closure's own file of a unit, or of its template.
    fn of_closure(&self, unit: &str) -> Option<PathBuf> {
        let template = unit.split_once('@').and_then(|(name, instance)| {
            let (_, kind) = instance.rsplit_once('.')?;
            Some(format!("{name}@.{kind}"))
        });
        [Some(unit.to_owned()), template]
            .into_iter()
            .flatten()
            .map(|name| self.units.join(name))
            .find(|file| file.symlink_metadata().is_ok())
    }

    fn finish(mut self) -> Vec<Override> {
        self.found.sort();
        self.found.dedup();
        if let Some(more) = self
            .found
            .len()
            .checked_sub(MAX_OVERRIDES)
            .filter(|more| *more > 0)
        {
            // The rest counts as one, so that it is seen when one of them changes.
            let rest = self.found.split_off(MAX_OVERRIDES);
            let text: Vec<String> = rest
                .iter()
                .map(|one| format!("{}\n{}", one.expected, one.found))
                .collect();
            let digest = Digest::of_bytes(text.join("\n").as_bytes());
            self.found.push(Override::unit(
                "nothing".to_owned(),
                format!("{more} more, with the digest {digest}"),
            ));
        }
        self.found
    }
}

/// What is in a folder, by name. A folder that is a link is not followed: what it leads to is told instead.
fn entries(folder: &Path) -> Vec<PathBuf> {
    if !folder.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .take(MAX_ENTRIES)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// A path with what it leads to, or with the digest of its content.
fn describe(path: &Path) -> String {
    let name = path.display();
    if let Ok(target) = fs::read_link(path) {
        return shown(&format!("{name} -> {}", target.display()));
    }
    if path.is_dir() {
        return shown(&format!("{name}, a folder"));
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => shown(&format!("{name} (sha256:{})", Digest::of_bytes(&bytes).short())),
        Err(error) => shown(&format!("{name} (unreadable: {})", error.kind())),
    }
}

pub(crate) fn shown(text: &str) -> String {
    one_line(text, MAX_OVERRIDE_CHARS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::boot::BootConfig;
    use crate::config::RunnerKind;

    /// A host whose system has these units, with `/etc` as NixOS makes it.
    struct Scene {
        root: tempfile::TempDir,
        config: HostConfig,
        live: StorePath,
    }

    impl Scene {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let dir = |name: &str| root.path().join(name);
            let store = dir("store").display().to_string();
            let live: StorePath = format!("{store}/{}-system", "0".repeat(32)).parse().unwrap();
            let config = HostConfig {
                state_dir: dir("state"),
                profile: dir("profile"),
                live_link: dir("run/current-system"),
                gcroots_dir: dir("gcroots"),
                store_dir: store.parse().unwrap(),
                runner: RunnerKind::Process,
                boot: BootConfig::default(),
                keep_releases: 3,
                trust: None,
                agent_exe: dir("agent"),
                hidden_env: Vec::new(),
                unit_env: Vec::new(),
            };
            let units = live.as_path().join(UNITS);
            fs::create_dir_all(&units).unwrap();
            for unit in ["nginx.service", "getty@.service"] {
                fs::write(units.join(unit), "[Service]\n").unwrap();
            }
            fs::create_dir_all(root.path().join("etc/systemd")).unwrap();
            symlink(&units, root.path().join(UNITS)).unwrap();
            Self { root, config, live }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn found(&self) -> Vec<Override> {
            find(&self.config, &self.live, None)
        }
    }

    /// Whoever may write units could otherwise name theirs as a dead-man is named.
    #[test]
    fn only_the_deadman_of_the_attempt_under_way_is_nobodys_override() {
        let mut scene = Scene::new();
        let units = scene.root.path().join("etc/systemd/system.control");
        scene.config.boot.units = units.clone();
        let attempt = AttemptId::random();
        let files = boot::deadman_files(&scene.config, attempt);
        for file in &files {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "[Unit]\n").unwrap();
        }
        let found = |under_way| find(&scene.config, &scene.live, under_way).len();
        assert_eq!(found(Some(attempt)), 0);
        assert_eq!(found(Some(AttemptId::random())), files.len());
        assert_eq!(found(None), files.len());
        // The same name in another place, or another ending, is somebody else's.
        let name = files[0].file_name().unwrap().to_str().unwrap();
        scene.write(&format!("run/systemd/system/{name}"), "[Service]\n");
        scene.write(
            &format!("etc/systemd/system.control/{name}.d/a.conf"),
            "[Service]\n",
        );
        assert_eq!(find(&scene.config, &scene.live, Some(attempt)).len(), 2);
    }

    #[test]
    fn a_host_as_its_system_made_it_has_none() {
        let scene = Scene::new();
        // What systemd and logins make by themselves.
        scene.write("run/systemd/transient/session-1.scope", "");
        scene.write("run/systemd/transient/run-u1.service", "");
        scene.write("run/systemd/generator/nginx.service.d/x.conf", "");
        assert_eq!(scene.found(), []);
    }

    #[test]
    fn what_an_operator_types_is_told_with_both_paths() {
        let typed = [
            (
                "run/systemd/system/nginx.service.d/override.conf",
                "nginx.service",
            ),
            (
                "run/systemd/system.control/nginx.service.d/50-MemoryMax.conf",
                "nginx.service",
            ),
            (
                "etc/systemd/system.control/getty@tty1.service.d/50-CPUQuota.conf",
                "getty@.service",
            ),
            (
                "run/systemd/transient/nginx.service.d/50-TasksMax.conf",
                "nginx.service",
            ),
            ("etc/systemd/system.attached/backdoor.service", "nothing"),
            (
                "run/systemd/system/multi-user.target.wants/backdoor.service",
                "nothing",
            ),
        ];
        for (path, expected) in typed {
            let scene = Scene::new();
            scene.write(path, "[Service]\nMemoryMax=1G\n");
            let [found] = scene.found().try_into().unwrap();
            assert!(found.expected.ends_with(expected), "{found:?}");
            assert!(
                found.found.contains(path) && found.found.contains("(sha256:"),
                "{found:?}"
            );
            let before = scene.found();
            scene.write(path, "[Service]\nMemoryMax=2G\n");
            assert_ne!(scene.found(), before, "another content is another override");
        }
    }

    #[test]
    fn a_masked_unit_and_a_folder_in_the_closures_place_are_told() {
        let scene = Scene::new();
        fs::create_dir_all(scene.root.path().join("run/systemd/system")).unwrap();
        symlink(
            "/dev/null",
            scene.root.path().join("run/systemd/system/nginx.service"),
        )
        .unwrap();
        let [masked] = scene.found().try_into().unwrap();
        assert!(masked.found.ends_with("nginx.service -> /dev/null"), "{masked:?}");

        let scene = Scene::new();
        let etc = scene.root.path().join(UNITS);
        fs::remove_file(&etc).unwrap();
        fs::create_dir_all(&etc).unwrap();
        let [replaced] = scene.found().try_into().unwrap();
        assert!(replaced.expected.ends_with(UNITS), "{replaced:?}");
        assert!(
            replaced.found.ends_with("etc/systemd/system, a folder"),
            "{replaced:?}"
        );
    }

    #[test]
    fn very_many_are_bounded_and_none_of_them_changes_unseen() {
        let scene = Scene::new();
        for number in 0..200 {
            scene.write(
                &format!("run/systemd/system/nginx.service.d/{number:03}.conf"),
                "x",
            );
        }
        let found = scene.found();
        assert_eq!(found.len(), MAX_OVERRIDES + 1);
        assert!(found[MAX_OVERRIDES].found.starts_with("180 more"), "{found:?}");
        scene.write("run/systemd/system/nginx.service.d/199.conf", "y");
        assert_ne!(scene.found(), found);
    }
}
