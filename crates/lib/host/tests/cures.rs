//! Every cure that the agent prints when a closure cannot be had, followed to the letter.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use slipway_domain::{AttemptId, StorePath};
use slipway_host::testing::{ClosureSpec, NixRig, SigningKey};
use slipway_host::{HostConfig, HostOperations, Machine, ReleaseClaim};

const BOUND: Duration = Duration::from_mins(1);

struct CuresRig {
    /// Where closures are built: the same store, which the host's own part is taken out of.
    nix: NixRig,
    machine: Machine,
    cache: PathBuf,
    key: SigningKey,
}

impl CuresRig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HostConfig)) -> Self {
        let nix = NixRig::new();
        let mut config = nix.host_config();
        change(&mut config);
        let (key, cache) = (nix.key("good-1"), nix.dir().join("cache"));
        nix.configure(&format!("file://{}", cache.display()), &key.public);
        Self {
            machine: Machine::new(config).unwrap(),
            nix,
            cache,
            key,
        }
    }

    fn folder(&self, version: &str) -> PathBuf {
        ClosureSpec::new(version, &self.nix.dir().join("host")).write(self.nix.dir())
    }

    /// A closure with a part, in the cache and not in the store.
    fn cached(&self, key: Option<&SigningKey>) -> (StorePath, StorePath) {
        let closure = self.built();
        let part = self.part();
        self.nix.copy_to_cache("cache", &closure, key);
        self.nix.collect_garbage();
        assert!(!closure.as_path().exists() && !part.as_path().exists());
        (closure, part)
    }

    fn built(&self) -> StorePath {
        let part = self.part();
        let folder = self.folder("v1");
        fs::write(folder.join("reference"), part.as_str()).unwrap();
        self.nix.build_with(&folder, &part)
    }

    fn part(&self) -> StorePath {
        let folder = self.nix.dir().join("part");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), vec![b'x'; 64 * 1024]).unwrap();
        self.nix.add_unsigned(&folder)
    }

    /// As the agent does it.
    async fn stage(&self, closure: &StorePath) -> Result<(), String> {
        let attempt = AttemptId::random();
        let staged = async {
            self.machine.fetch(attempt, closure, BOUND).await?;
            let claim = ReleaseClaim::unsigned();
            self.machine.admit_release(closure, &claim, BOUND).await
        };
        let staged = staged.await;
        if staged.is_err() {
            self.machine.release_closure(attempt);
        }
        staged.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn refused(&self, closure: &StorePath, expected: &str) -> String {
        let error = self.stage(closure).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
        error
    }

    /// Runs every command that the message holds between backquotes, in order.
    fn follow(&self, error: &str) {
        let commands: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
        assert!(!commands.is_empty(), "no command in {error}");
        for command in commands {
            let command = command
                .replace("CACHE", &format!("file://{}", self.cache.display()))
                .replace("KEY", &self.key.secret.display().to_string());
            self.nix.run("sh", ["-c", &command]);
        }
    }

    /// Deletes the two files that the message names.
    fn delete_as_told(&self, error: &str) {
        let (_, after) = error.split_once("delete ").unwrap();
        let (narinfo, rest) = after.split_once(' ').unwrap();
        assert!(
            rest.starts_with("in the cache and the archive that its URL line names"),
            "{error}"
        );
        let narinfo = self.cache.join(narinfo);
        let text = fs::read_to_string(&narinfo).unwrap();
        let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
        fs::remove_file(self.cache.join(url)).unwrap();
        fs::remove_file(narinfo).unwrap();
    }

    fn archive(&self, path: &StorePath) -> PathBuf {
        let hash = path.base_name().split('-').next().unwrap();
        let text = fs::read_to_string(self.cache.join(format!("{hash}.narinfo"))).unwrap();
        let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
        self.cache.join(url)
    }
}

fn damage(file: &Path, how: &str) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    match how {
        "flipped" => bytes[middle] ^= 0xff,
        "cut" => bytes.truncate(middle),
        _ => bytes.clear(),
    }
    fs::write(file, bytes).unwrap();
}

/// The host has seen the cache's word before: it must not go by it for a month.
#[tokio::test]
async fn the_cure_for_a_closure_that_the_cache_has_unsigned_works() {
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(None);
    let error = rig.refused(&closure, "lacks a signature by a trusted key").await;
    rig.refused(&closure, "lacks a signature by a trusted key").await;
    rig.follow(&error);
    rig.stage(&closure).await.unwrap();
}

#[tokio::test]
async fn the_cure_for_a_closure_that_the_host_has_unsigned_works() {
    let rig = CuresRig::new();
    let closure = rig.built();
    rig.nix.copy_to_cache("cache", &closure, None);
    let error = rig
        .refused(&closure, "in this host's store: sign it in the cache")
        .await;
    rig.follow(&error);
    rig.stage(&closure).await.unwrap();
}

/// The host built it itself and got other bytes than the cache has.
#[tokio::test]
async fn the_cure_for_a_closure_that_the_host_built_otherwise_works() {
    let rig = CuresRig::new();
    let folder = rig.folder("v1");
    let closure = rig.nix.build_anyhow(&folder);
    rig.nix.copy_to_cache("cache", &closure, None);
    rig.nix.forget(&closure);
    assert_eq!(rig.nix.build_anyhow(&folder), closure);
    let error = rig.refused(&closure, "other content than the cache has").await;
    rig.follow(&error);
    rig.stage(&closure).await.unwrap();
}

#[tokio::test]
async fn the_cure_for_a_corrupted_archive_works() {
    for how in ["flipped", "cut", "emptied"] {
        for of_part in [false, true] {
            let rig = CuresRig::new();
            let (closure, part) = rig.cached(Some(&rig.key));
            damage(&rig.archive(if of_part { &part } else { &closure }), how);
            let error = rig.refused(&closure, "is corrupted").await;
            rig.refused(&closure, "is corrupted").await;
            // Where it is copied from it is there, built again.
            rig.delete_as_told(&error);
            assert_eq!(rig.built(), closure);
            rig.follow(&error);
            rig.nix.collect_garbage();
            assert!(!closure.as_path().exists());
            rig.stage(&closure).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_cure_for_a_closure_that_no_cache_has_works() {
    let rig = CuresRig::new();
    let (first, _) = rig.cached(Some(&rig.key));
    rig.stage(&first).await.unwrap();
    let closure = rig.nix.build(&rig.folder("v2"));
    let elsewhere = rig.nix.copy_to_cache("elsewhere", &closure, Some(&rig.key));
    rig.nix.forget(&closure);
    let error = rig
        .refused(&closure, "is in none of the host's binary caches")
        .await;
    // It is copied from where it is.
    let from = format!("copy --from file://{}", elsewhere.display());
    rig.follow(&error.replace("nix copy", &format!("nix {from}")));
    rig.stage(&closure).await.unwrap();
}

#[tokio::test]
async fn the_cure_for_a_closure_that_vanished_works() {
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(Some(&rig.key));
    rig.machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap();
    rig.nix.forget(&closure);
    let error = rig
        .machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("release it again, it is fetched anew"),
        "{error}"
    );
    rig.stage(&closure).await.unwrap();
}

/// A wrong address of the cache, and the right one.
#[tokio::test]
async fn the_cure_for_a_cache_that_cannot_be_reached_works() {
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(Some(&rig.key));
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    rig.nix.configure(&format!("http://{free}"), &rig.key.public);
    rig.refused(
        &closure,
        "look at the cache and at the host's substituters and network",
    )
    .await;
    rig.nix
        .configure(&format!("file://{}", rig.cache.display()), &rig.key.public);
    rig.stage(&closure).await.unwrap();
}

/// A cache that says nothing, and a bound that is raised once it speaks.
#[tokio::test]
async fn the_cure_for_a_fetch_that_takes_too_long_works() {
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(Some(&rig.key));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    rig.nix.configure(&format!("http://{silent}"), &rig.key.public);
    let short = Duration::from_secs(1);
    let error = rig.machine.fetch(AttemptId::random(), &closure, short).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("raise the bound or look at the cache"), "{error}");
    rig.nix
        .configure(&format!("file://{}", rig.cache.display()), &rig.key.public);
    rig.stage(&closure).await.unwrap();
}

#[tokio::test]
async fn the_cure_for_an_agent_without_nix_works() {
    let nowhere = CuresRig::with(|config| config.unit_env.push(("PATH".to_owned(), "/nowhere".to_owned())));
    let (closure, _) = nowhere.cached(Some(&nowhere.key));
    nowhere.refused(&closure, "is it in the agent's PATH?").await;
    let machine = Machine::new(nowhere.nix.host_config()).unwrap();
    let there = CuresRig { machine, ..nowhere };
    there.stage(&closure).await.unwrap();
}

#[tokio::test]
async fn the_cure_for_roots_that_cannot_be_made_works() {
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(Some(&rig.key));
    let roots = rig.machine.config().gcroots_dir.clone();
    // A file in the folder's place: root may write to a folder that is read-only.
    fs::create_dir_all(roots.parent().unwrap()).unwrap();
    fs::write(&roots, "").unwrap();
    rig.refused(&closure, "is AGENT_GCROOTS_DIR writable?").await;
    fs::remove_file(&roots).unwrap();
    rig.stage(&closure).await.unwrap();
}

/// A real disk of the store's own, full of what nobody needs.
#[tokio::test]
async fn the_cure_for_a_full_disk_works() {
    const INSIDE: &str = "SLIPWAY_TEST_IN_NAMESPACE";
    if std::env::var_os(INSIDE).is_none() {
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            unshare.arg("--map-root-user");
        }
        let output = unshare
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "the_cure_for_a_full_disk_works", "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let printed =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && printed.contains("1 passed"),
            "{printed}"
        );
        return;
    }
    let rig = CuresRig::new();
    let (closure, _) = rig.cached(Some(&rig.key));
    let store = rig.nix.store_dir();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", store.as_str()])
        .status()
        .unwrap();
    assert!(mounted.success());
    rig.nix.run("nix-store", ["--verify", "--check-contents"]);
    let rubbish = rig.nix.dir().join("rubbish");
    fs::write(&rubbish, vec![1; 980 * 1024]).unwrap();
    let rubbish = rig.nix.add_unsigned(&rubbish);
    let error = rig.refused(&closure, "the disk is full").await;
    rig.follow(&error);
    assert!(!rubbish.as_path().exists());
    rig.stage(&closure).await.unwrap();
    let _ = Command::new("umount").args(["--lazy", store.as_str()]).status();
}
