//! A Nix store of the run's own, and the binary cache that agents fetch from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;

/// A build or copy of the whole fleet takes a few seconds.
const BOUND: Duration = Duration::from_mins(2);

/// Whether closures are signed on their way into the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// With the run's key, which agents trust.
    Signed,
    /// By nobody: agents must refuse it.
    Unsigned,
}

/// The store and the cache.
#[derive(Debug)]
pub struct Nix {
    /// Where store paths are; the same for building and for the agents.
    pub store: PathBuf,
    /// Nix's state: database, profiles, garbage collector roots.
    pub state: PathBuf,
    /// The binary cache's folder, to be served over HTTP.
    pub cache: PathBuf,
    /// The public key that agents trust, as Nix writes it.
    pub public_key: String,
    folder: PathBuf,
    secret_key: PathBuf,
}

impl Nix {
    /// Makes an empty store, an empty cache and a signing key.
    pub async fn create(run: &Run) -> Result<Self> {
        let folder = run.dir.folder("nix", None)?;
        let cache = run.dir.folder("cache", run.user.as_ref())?;
        let build = folder.join("build-conf");
        fs::create_dir(&build)?;
        fs::write(build.join("nix.conf"), format!("{COMMON}substituters =\n"))?;
        let mut nix = Self {
            // Close to the top: the kernel cuts an interpreter's path off at 255 bytes.
            store: run.dir.path().join("store"),
            state: folder.join("state"),
            cache,
            public_key: String::new(),
            secret_key: folder.join("key.secret"),
            folder,
        };
        let public = nix.folder.join("key.public");
        let name = format!("slipway-dev-{}", run.dir.id());
        let key = Spec::new("nix-key", programs::find("nix-store")?)
            .args(["--generate-binary-cache-key", name.as_str()])
            .args([&nix.secret_key, &public]);
        run.supervisor
            .run(nix.with_build_env(key), BOUND)
            .await
            .context("cannot make a signing key")?;
        fs::read_to_string(&public)?
            .trim()
            .clone_into(&mut nix.public_key);
        Ok(nix)
    }

    /// Builds the closures that `fleet` describes with the expression in `expression` and returns their
    /// store paths in the same order.
    pub async fn build<F: serde::Serialize>(
        &self,
        run: &Run,
        expression: &Path,
        fleet: &[F],
    ) -> Result<Vec<PathBuf>> {
        let list = self.folder.join("fleet.json");
        fs::write(&list, serde_json::to_vec(fleet)?)?;
        let spec = Spec::new("nix-build", programs::find("nix-build")?)
            .args(["--no-out-link".as_ref(), expression.as_os_str()])
            .args(["--argstr".as_ref(), "fleet".as_ref(), list.as_os_str()]);
        let output = run.supervisor.output(self.with_build_env(spec), BOUND).await;
        let output = output.context("cannot build the demo closures")?;
        let paths: Vec<PathBuf> = output.lines().map(PathBuf::from).collect();
        ensure!(
            paths.len() == fleet.len() && paths.iter().all(|path| path.starts_with(&self.store)),
            "nix-build printed {} paths for {} closures:\n{output}",
            paths.len(),
            fleet.len()
        );
        Ok(paths)
    }

    /// Copies closures to the cache.
    pub async fn publish(&self, run: &Run, paths: &[PathBuf], signing: Signing) -> Result<()> {
        let mut url = format!("file://{}?compression=none", self.cache.display());
        if signing == Signing::Signed {
            url.push_str("&secret-key=");
            url.push_str(&self.secret_key.display().to_string());
        }
        let spec = Spec::new("nix-copy", programs::find("nix")?)
            .args(["copy", "--to", &url])
            .args(paths);
        run.supervisor
            .run(self.with_build_env(spec), BOUND)
            .await
            .context("cannot fill the binary cache")
    }

    /// Deletes everything that was built, so that agents must fetch it.
    pub async fn forget_built(&self, run: &Run, paths: &[PathBuf]) -> Result<()> {
        let spec = Spec::new("nix-gc", programs::find("nix-store")?).args(["--gc", "--quiet"]);
        run.supervisor
            .run(self.with_build_env(spec), BOUND)
            .await
            .context("cannot empty the store")?;
        let kept = paths.iter().find(|path| path.exists());
        ensure!(
            kept.is_none(),
            "{} is still in the store",
            kept.map_or("", |p| p.to_str().unwrap_or(""))
        );
        Ok(())
    }

    /// Flips one byte of the archive of `path` in the cache, as a broken disk or a bad proxy would.
    pub fn corrupt_in_cache(&self, path: &Path) -> Result<()> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("not a store path")?;
        let hash = name.split('-').next().unwrap_or_default();
        let info = fs::read_to_string(self.cache.join(format!("{hash}.narinfo")))
            .with_context(|| format!("{} is not in the cache", path.display()))?;
        let url = info
            .lines()
            .find_map(|line| line.strip_prefix("URL: "))
            .context("no URL in the narinfo")?;
        let archive = self.cache.join(url);
        let mut bytes = fs::read(&archive)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&archive, bytes).with_context(|| format!("cannot write {}", archive.display()))
    }

    /// Writes the configuration of an agent that fetches from `cache_url` and trusts the run's key alone.
    pub fn write_agent_conf(&self, cache_url: &str) -> Result<()> {
        let folder = self.agent_conf();
        fs::create_dir_all(&folder)?;
        let text = format!(
            "{COMMON}substituters = {cache_url}\ntrusted-public-keys = {}\nrequire-sigs = true\n\
             connect-timeout = 2\ndownload-attempts = 2\nnarinfo-cache-negative-ttl = 0\n",
            self.public_key
        );
        write_private(&folder.join("nix.conf"), &text, None)
    }

    /// The variables that point Nix at this store with the agents' configuration.
    #[must_use]
    pub fn agent_env(&self) -> Vec<(&'static str, PathBuf)> {
        self.env(self.agent_conf())
    }

    fn agent_conf(&self) -> PathBuf {
        self.folder.join("agent-conf")
    }

    /// Points a process at this store, with nothing to fetch from.
    #[must_use]
    pub fn with_build_env(&self, spec: Spec) -> Spec {
        spec.envs(self.env(self.folder.join("build-conf")))
    }

    fn env(&self, conf: PathBuf) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("NIX_STORE_DIR", self.store.clone()),
            ("NIX_STATE_DIR", self.state.clone()),
            ("NIX_LOG_DIR", self.folder.join("log")),
            ("NIX_CONF_DIR", conf),
            // Never the machine's own daemon, if it has one.
            ("NIX_REMOTE", PathBuf::from("local")),
        ]
    }
}

/// No sandbox and no build users: the expressions need neither, and a normal user has neither.
const COMMON: &str = "sandbox = false\nbuild-users-group =\nexperimental-features = nix-command\n";
