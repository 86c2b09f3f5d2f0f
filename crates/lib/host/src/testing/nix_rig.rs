//! A Nix of one's own: store, database, configuration and cache in a temporary folder, single-user.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use slipway_domain::{StoreDir, StorePath};
use tempfile::TempDir;

use crate::boot::BootConfig;
use crate::config::{HostConfig, RunnerKind};

/// Builds by copying: what it makes is input-addressed, so that its signatures count.
const COPY: &str = r#"
{ name, source, path, part ? "", remark ? "" }:
derivation {
  inherit name;
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = path;
  src = builtins.path { path = source; name = "source"; };
  part = if part == "" then "" else builtins.storePath part;
  args = [ "-c" "cp -r $src $out; ${remark}" ];
}
"#;

/// A signing key.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// The file with the secret half.
    pub secret: PathBuf,
    /// What hosts trust.
    pub public: String,
}

/// A Nix of one's own. Everything panics with Nix's words when Nix fails.
#[derive(Debug)]
pub struct NixRig {
    dir: TempDir,
    /// What signs whatever is put into the store as an operator would have it.
    own_key: Option<SigningKey>,
}

impl NixRig {
    /// An empty store that trusts the rig's own key alone and knows no cache.
    ///
    /// # Panics
    /// Without a folder for temporary files.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("nix-rig")
            .tempdir()
            .expect("a temporary folder");
        for name in ["store", "var", "log", "conf", "home", "host"] {
            fs::create_dir(dir.path().join(name)).expect("a new folder");
        }
        fs::write(dir.path().join("copy.nix"), COPY).expect("a new file");
        let mut rig = Self { dir, own_key: None };
        rig.configure("", "");
        rig.own_key = Some(rig.key("rig-1"));
        rig.configure("", "");
        rig
    }

    /// The folder of everything.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The store.
    ///
    /// # Panics
    /// When the folder for temporary files has an odd name.
    #[must_use]
    pub fn store_dir(&self) -> StoreDir {
        let dir = self.dir.path().join("store");
        dir.display().to_string().parse().expect("a plain path")
    }

    /// A host that lives in the rig.
    #[must_use]
    pub fn host_config(&self) -> HostConfig {
        let dir = self.dir.path();
        HostConfig {
            state_dir: dir.join("state"),
            profile: dir.join("var/profiles/system"),
            live_link: dir.join("host/live"),
            gcroots_dir: dir.join("var/gcroots/slipway"),
            store_dir: self.store_dir(),
            runner: RunnerKind::Process,
            boot: BootConfig::default(),
            keep_releases: 3,
            trust: None,
            agent_exe: "slipway-agent".into(),
            hidden_env: Vec::new(),
            unit_env: self.env(),
        }
    }

    /// What makes every Nix program use this store.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "var"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_CONF_DIR", "conf"),
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "home/cache"),
        ]
        .map(|(name, dir)| (name.to_owned(), self.dir.path().join(dir).display().to_string()))
        .into_iter()
        .chain([("NIX_REMOTE".to_owned(), String::new())])
        .collect()
    }

    /// Sets the caches and the keys that are trusted besides the rig's own, and forgets what was looked up before.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, substituters: &str, trusted_keys: &str) {
        let own_key = self.own_key.as_ref().map_or("", |key| &key.public);
        let text = format!(
            "sandbox = false\nbuild-users-group =\nexperimental-features = nix-command\n\
             substituters = {substituters}\ntrusted-public-keys = {own_key} {trusted_keys}\n\
             download-attempts = 1\nconnect-timeout = 2\n"
        );
        fs::write(self.dir.path().join("conf/nix.conf"), text).expect("the configuration is writable");
        let _ = fs::remove_dir_all(self.dir.path().join("home/cache"));
    }

    /// Runs a Nix program and gives the last line of what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self
            .spawn(program, arguments)
            .wait_with_output()
            .expect("our own child");
        assert!(
            output.status.success(),
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().last().unwrap_or_default().to_owned()
    }

    /// Starts a Nix program.
    ///
    /// # Panics
    /// Without Nix.
    pub fn spawn(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Child {
        Command::new(program)
            .args(arguments)
            .envs(self.env())
            .current_dir(self.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {program}: {error}; install Nix (apt-get install nix-bin)")
            })
    }

    fn parse(&self, path: &str) -> StorePath {
        self.store_dir().parse(path).expect("Nix prints store paths")
    }

    /// Puts a folder into the store by its content, signed with the rig's own key.
    #[must_use]
    pub fn add(&self, folder: &Path) -> StorePath {
        let path = self.add_unsigned(folder);
        if let Some(key) = &self.own_key {
            self.sign(&path, key);
        }
        path
    }

    /// Signs a closure in the store.
    pub fn sign(&self, closure: &StorePath, key: &SigningKey) {
        let secret = key.secret.display().to_string();
        self.run(
            "nix",
            [
                "store",
                "sign",
                "--key-file",
                &secret,
                "--recursive",
                closure.as_str(),
            ],
        );
    }

    /// Puts a folder into the store by its content, as any user may. Nix takes such a path from a cache unsigned.
    #[must_use]
    pub fn add_unsigned(&self, folder: &Path) -> StorePath {
        self.parse(&self.run("nix-store", [OsStr::new("--add"), folder.as_os_str()]))
    }

    /// Builds a folder into the store. Such paths need a signature to come in from a cache.
    #[must_use]
    pub fn build(&self, folder: &Path) -> StorePath {
        self.build_from(folder, None, "")
    }

    /// As [`NixRig::build`], with other content each time.
    #[must_use]
    pub fn build_anyhow(&self, folder: &Path) -> StorePath {
        self.build_from(folder, None, "chmod u+w $out; date +%N > $out/built-at")
    }

    /// As [`NixRig::build`], from a folder that names another path of the store.
    #[must_use]
    pub fn build_with(&self, folder: &Path, part: &StorePath) -> StorePath {
        self.build_from(folder, Some(part), "")
    }

    fn build_from(&self, folder: &Path, part: Option<&StorePath>, remark: &str) -> StorePath {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut arguments: Vec<&OsStr> =
            vec!["--no-out-link".as_ref(), "copy.nix".as_ref(), "--quiet".as_ref()];
        let part = part.map_or("", StorePath::as_str);
        for (argument, value) in [
            ("name", OsStr::new(&name)),
            ("source", folder.as_ref()),
            ("path", &path),
            ("part", part.as_ref()),
            ("remark", remark.as_ref()),
        ] {
            arguments.extend(["--argstr".as_ref(), argument.as_ref(), value]);
        }
        self.parse(&self.run("nix-build", arguments))
    }

    /// Makes a signing key.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn key(&self, name: &str) -> SigningKey {
        let secret = self.dir.path().join(format!("{name}.secret"));
        let public = self.dir.path().join(format!("{name}.public"));
        let files = [secret.as_os_str(), public.as_os_str()];
        let arguments = [OsStr::new("--generate-binary-cache-key"), OsStr::new(name)];
        self.run("nix-store", arguments.into_iter().chain(files));
        SigningKey {
            secret,
            public: fs::read_to_string(&public)
                .expect("the public key")
                .trim()
                .to_owned(),
        }
    }

    /// Copies a path to a cache in a folder of the rig and removes it from the store. It is signed if there is a
    /// key. Gives the cache's folder.
    #[must_use]
    pub fn move_to_cache(&self, name: &str, path: &StorePath, key: Option<&SigningKey>) -> PathBuf {
        let cache = self.copy_to_cache(name, path, key);
        self.forget(path);
        cache
    }

    /// Copies a path to a cache in a folder of the rig, signed by the key if there is one. Gives the cache's folder.
    pub fn copy_to_cache(&self, name: &str, path: &StorePath, key: Option<&SigningKey>) -> PathBuf {
        let cache = self.dir.path().join(name);
        let secret = key.map_or_else(String::new, |key| format!("?secret-key={}", key.secret.display()));
        let url = format!("file://{}{secret}", cache.display());
        self.run("nix", ["copy", "--to", &url, path.as_str()]);
        cache
    }

    /// Takes a path out of the store.
    pub fn forget(&self, path: &StorePath) {
        self.run("nix-store", ["--delete", "--ignore-liveness", path.as_str()]);
    }

    /// Collects garbage.
    pub fn collect_garbage(&self) {
        self.run("nix-store", ["--gc"]);
    }
}

impl Default for NixRig {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for NixRig {
    fn drop(&mut self) {
        // Store paths are read-only, also for the removal of the folder by anybody but root.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.dir.path())
            .status();
    }
}
