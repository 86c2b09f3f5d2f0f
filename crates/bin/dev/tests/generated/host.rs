//! A folder that stands for the root of a host, and the snapshots with their paths moved into it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use slipway_dev::run::Run;
use slipway_dev::tls::Certificates;

use crate::common::Base;

/// Folders of a host that generated files name.
const MOVED: [&str; 3] = ["/etc/", "/run/", "/var/"];

/// A run whose folder has a `root`.
pub(crate) struct Host {
    _base: Base,
    pub(crate) run: Run,
    pub(crate) root: PathBuf,
}

impl Host {
    pub(crate) fn new() -> Self {
        let base = Base::new();
        let run = Run::create(base.path()).unwrap();
        let root = run.dir.folder("root", run.user.as_ref()).unwrap();
        Self {
            _base: base,
            run,
            root,
        }
    }

    /// The text with every path of a host below [`Self::root`], and every `@NAME@` of the store as well.
    pub(crate) fn moved(&self, text: &str) -> String {
        let root = self.root.display();
        let mut moved = String::new();
        let mut rest = text;
        while let Some(at) = MOVED.iter().filter_map(|folder| rest.find(folder)).min() {
            let (before, path) = rest.split_at(at);
            moved.push_str(before);
            // What goes on with a letter is the middle of an address or of another path.
            if !before.ends_with(|last: char| last.is_ascii_alphanumeric() || ".@_-".contains(last)) {
                moved.push_str(&root.to_string());
            }
            moved.push('/');
            rest = &path[1..];
        }
        moved.push_str(rest);
        self.stored(&moved)
    }

    /// The text with every `@NAME@` of the store below [`Self::root`].
    pub(crate) fn stored(&self, text: &str) -> String {
        store_paths(text).into_iter().fold(text.to_owned(), |text, name| {
            let path = self.at(&format!("/store/{name}"));
            text.replace(&format!("@{name}@"), &path.display().to_string())
        })
    }

    /// Makes a folder of the host, the service user's.
    pub(crate) fn folder(&self, path: &str) -> PathBuf {
        let folder = self.at(path);
        fs::create_dir_all(&folder).unwrap();
        for folder in folder.ancestors().take_while(|folder| *folder != self.root) {
            self.give(folder);
        }
        folder
    }

    /// Writes a file of the host, the service user's and for nobody else.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.at(path);
        self.folder(Path::new(path).parent().unwrap().to_str().unwrap());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&file);
        file
    }

    /// Puts the certificate of a fresh authority where each of `certificates` is, its key where `keys` are, and the
    /// authority's where `authorities` are.
    pub(crate) fn certify(&self, certificates: &[&str], keys: &[&str], authorities: &[&str]) -> Certificates {
        let user = self.run.user.as_ref();
        let made = Certificates::create(&self.folder("/tls"), self.run.dir.path(), user).unwrap();
        for (from, to) in [
            (&made.certificate, certificates),
            (&made.key, keys),
            (&made.ca, authorities),
        ] {
            let text = fs::read_to_string(from).unwrap();
            for path in to {
                self.write(path, &text);
            }
        }
        made
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn give(&self, path: &Path) {
        if let Some(user) = &self.run.user {
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            rustix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
}

/// The folder of the snapshots.
pub(crate) fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/eval/snapshots")
}

/// The text of one.
pub(crate) fn snapshot(name: &str) -> String {
    let file = snapshots().join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The names between two `@`, each once.
pub(crate) fn store_paths(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split_whitespace()
        .filter_map(|word| {
            let (_, after) = word.split_once('@')?;
            let (name, _) = after.split_once('@')?;
            Some(name.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn paths_of_a_host_move_and_nothing_else_does() {
    let host = Host::new();
    let root = host.root.display();
    assert_eq!(
        host.moved(
            "+@pgbackrest@/bin/x /run/a;unix:/run/b \"/etc/c\" https://d/etc/e @privileged @resources"
        ),
        format!(
            "+{root}/store/pgbackrest/bin/x {root}/run/a;unix:{root}/run/b \"{root}/etc/c\" https://d/etc/e \
             @privileged @resources"
        )
    );
}
