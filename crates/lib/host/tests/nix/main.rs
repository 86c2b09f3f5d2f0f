//! The real machine with the real Nix, in a store of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod boot;
mod esp;
mod plan;
mod trust;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use slipway_domain::{AttemptId, StorePath};
use slipway_host::nix::StageError;
use slipway_host::testing::{ClosureSpec, NixRig};
use slipway_host::{HostOperations, Machine, ReleaseClaim};

const BOUND: Duration = Duration::from_mins(1);

struct MachineRig {
    nix: NixRig,
    machine: Machine,
}

impl MachineRig {
    fn new() -> Self {
        let nix = NixRig::new();
        let machine = Machine::new(nix.host_config()).unwrap();
        Self { nix, machine }
    }

    fn folder(&self, change: impl FnOnce(&mut ClosureSpec)) -> PathBuf {
        let mut spec = ClosureSpec::new("v1", &self.nix.dir().join("host"));
        change(&mut spec);
        spec.write(self.nix.dir())
    }

    /// In a cache and not in the store, signed by a key of this name; hosts trust the key `good`.
    fn cached(&self, key: Option<&str>) -> (StorePath, PathBuf) {
        let closure = self.nix.build(&self.folder(|_| {}));
        let good = self.nix.key("good-1");
        let key = key.map(|name| {
            if name == "good-1" {
                good.clone()
            } else {
                self.nix.key(name)
            }
        });
        let cache = self.nix.move_to_cache("cache", &closure, key.as_ref());
        self.nix
            .configure(&format!("file://{}", cache.display()), &good.public);
        assert!(!closure.as_path().exists());
        (closure, cache)
    }

    async fn unfit(&self, closure: &StorePath) -> String {
        let admitted = self
            .machine
            .admit_release(closure, &ReleaseClaim::unsigned(), BOUND)
            .await;
        admitted.expect_err("it is unfit").to_string()
    }

    async fn refused(&self, closure: &StorePath) -> String {
        let attempt = AttemptId::random();
        let error = self
            .machine
            .fetch(attempt, closure, BOUND)
            .await
            .expect_err("it is refused");
        error.to_string()
    }
}

#[tokio::test]
async fn a_signed_closure_comes_in_and_stays() {
    let rig = MachineRig::new();
    let (closure, _) = rig.cached(Some("good-1"));
    let attempt = AttemptId::random();
    rig.machine.fetch(attempt, &closure, BOUND).await.unwrap();
    rig.machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap();
    rig.nix.collect_garbage();
    assert!(closure.as_path().join("bin/switch-to-configuration").exists());
    rig.machine.release_closure(attempt);
    rig.nix.collect_garbage();
    assert!(!closure.as_path().exists());
}

/// A collection after a fetch that failed is none of that root's business.
#[tokio::test]
async fn a_root_of_what_is_not_there_yet_does_not_stop_a_collection() {
    let rig = MachineRig::new();
    let (closure, cache) = rig.cached(Some("good-1"));
    let narinfo = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "narinfo"))
        .unwrap();
    let away = narinfo.with_extension("away");
    fs::rename(&narinfo, &away).unwrap();
    let attempt = AttemptId::random();
    rig.machine.fetch(attempt, &closure, BOUND).await.unwrap_err();
    rig.nix.collect_garbage();
    // Asked for too early; Nix must not remember that it was not there.
    fs::rename(&away, &narinfo).unwrap();
    rig.machine.fetch(attempt, &closure, BOUND).await.unwrap();
    rig.nix.collect_garbage();
    assert!(closure.as_path().exists());
}

#[tokio::test]
async fn unsigned_and_wrongly_signed_closures_are_refused() {
    for key in [None, Some("other-1")] {
        let rig = MachineRig::new();
        let (closure, _) = rig.cached(key);
        let error = rig.refused(&closure).await;
        assert!(
            error.starts_with(&format!(
                "{closure} lacks a signature by a trusted key: sign it in the cache"
            )),
            "{error}"
        );
        assert!(!closure.as_path().exists());
    }
}

#[tokio::test]
async fn a_corrupted_nar_is_refused() {
    let rig = MachineRig::new();
    let (closure, cache) = rig.cached(Some("good-1"));
    let nar = fs::read_dir(cache.join("nar"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = fs::read(&nar).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for bad in [flipped, whole[..middle].to_vec(), Vec::new()] {
        fs::write(&nar, bad).unwrap();
        let error = rig.refused(&closure).await;
        assert!(error.contains("is corrupted: delete "), "{error}");
    }
    fs::write(&nar, whole).unwrap();
    rig.machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cache_that_is_away_or_does_not_have_it_is_told_apart() {
    let rig = MachineRig::new();
    let (closure, _) = rig.cached(Some("good-1"));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    rig.nix.configure(&format!("http://{free}"), "");
    let error = rig.refused(&closure).await;
    assert!(error.starts_with("no binary cache could be reached"), "{error}");
    assert!(error.contains("connect"), "{error}");

    let empty = serve(rig.nix.dir().join("host"));
    rig.nix.configure(&empty, "");
    fs::write(
        rig.nix.dir().join("host/nix-cache-info"),
        format!("StoreDir: {}\n", rig.nix.store_dir()),
    )
    .unwrap();
    let error = rig.refused(&closure).await;
    assert!(
        error.contains("is in none of the host's binary caches: copy it there"),
        "{error}"
    );
}

#[tokio::test]
async fn a_closure_comes_in_over_http() {
    let rig = MachineRig::new();
    let (closure, cache) = rig.cached(Some("good-1"));
    let key = fs::read_to_string(rig.nix.dir().join("good-1.public")).unwrap();
    rig.nix.configure(&serve(cache), key.trim());
    rig.machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap();
    assert!(closure.as_path().exists());
}

#[tokio::test]
async fn a_cache_that_hangs_ends_at_the_bound() {
    let rig = MachineRig::new();
    let (closure, _) = rig.cached(Some("good-1"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    rig.nix
        .configure(&format!("http://{}", silent.local_addr().unwrap()), "");
    let began = Instant::now();
    let bound = Duration::from_secs(2);
    let error = rig
        .machine
        .fetch(AttemptId::random(), &closure, bound)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was not fetched within 2 s"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_closure_of_another_store_is_refused_before_nix_is_asked() {
    let rig = MachineRig::new();
    let closure = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap();
    let error = rig.refused(&closure).await;
    assert!(error.contains("is not in the store"), "{error}");
    assert!(!rig.machine.config().gcroots_dir.exists());
}

#[tokio::test]
async fn a_host_without_nix_says_so() {
    let nix = NixRig::new();
    let mut config = nix.host_config();
    config.unit_env.push(("PATH".to_owned(), "/nowhere".to_owned()));
    let machine = Machine::new(config).unwrap();
    let closure = format!("{}/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a", nix.store_dir())
        .parse()
        .unwrap();
    let error = machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap_err();
    assert!(matches!(error, StageError::NoNix { .. }), "{error}");
    assert!(error.to_string().contains("PATH"), "{error}");
}

#[tokio::test]
async fn an_unfit_closure_is_refused_by_file_and_cure() {
    for (change, expected) in [
        (
            (|spec| spec.script_mode = None) as fn(&mut ClosureSpec),
            "bin/switch-to-configuration is missing: a closure for Slipway needs",
        ),
        (|spec| spec.script_mode = Some(0o644), "is not executable"),
        (
            |spec| spec.checks = Some("{\"checks\": [".to_owned()),
            "etc/slipway/checks.json is malformed: EOF",
        ),
        (
            |spec| spec.checks = Some("{\"checks\": []}".to_owned()),
            "it has no checks",
        ),
    ] {
        let rig = MachineRig::new();
        let closure = rig.nix.add(&rig.folder(change));
        let error = rig.unfit(&closure).await;
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with(closure.as_str()), "{error}");
    }
    let rig = MachineRig::new();
    let folder = rig.folder(|_| {});
    fs::remove_file(folder.join("etc/slipway/checks.json")).unwrap();
    let closure = rig.nix.add(&folder);
    let error = rig.unfit(&closure).await;
    assert!(
        error.contains("checks.json is missing: a closure must carry its checks"),
        "{error}"
    );
}

#[tokio::test]
async fn the_profile_and_the_live_link_are_seen_through_their_links() {
    let rig = MachineRig::new();
    let closure = rig.nix.add(&rig.folder(|_| {}));
    let observation = rig.machine.observe();
    assert_eq!(
        (observation.live, observation.boot_default, observation.trouble),
        (None, None, None)
    );
    let runnable = rig
        .machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await;
    let runnable = runnable.unwrap().runnable;
    rig.machine.set_profile(&runnable).await.unwrap();
    std::os::unix::fs::symlink(closure.as_path(), rig.nix.dir().join("host/live")).unwrap();
    let observation = rig.machine.observe();
    assert_eq!(observation.live.as_ref(), Some(&closure));
    assert_eq!(observation.boot_default.as_ref(), Some(&closure));
    // Set once more: no new generation, and the same answer.
    rig.machine.set_profile(&runnable).await.unwrap();
    assert_eq!(rig.machine.observe().boot_default, Some(closure));
}

#[test]
fn a_live_link_out_of_the_store_is_told() {
    let rig = MachineRig::new();
    std::os::unix::fs::symlink("/etc/hostname", rig.nix.dir().join("host/live")).unwrap();
    let observation = rig.machine.observe();
    assert_eq!(observation.live, None);
    assert!(observation.trouble.unwrap().contains("not a path of the store"));
}

#[tokio::test]
async fn a_profile_that_cannot_be_moved_is_told_with_nixs_words() {
    let rig = MachineRig::new();
    let closure = rig.nix.add(&rig.folder(|_| {}));
    let runnable = rig
        .machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await;
    let runnable = runnable.unwrap().runnable;
    rig.nix.forget(&closure);
    let error = rig.machine.set_profile(&runnable).await.unwrap_err().to_string();
    assert!(
        error.contains("cannot set the profile") && error.contains("error:"),
        "{error}"
    );
}

#[tokio::test]
async fn tidying_keeps_one_root_for_each_wanted_closure() {
    let rig = MachineRig::new();
    let mut closures = Vec::new();
    for version in ["v1", "v2", "v3"] {
        closures.push(rig.nix.add(&rig.folder(|spec| spec.version = version.to_owned())));
    }
    for closure in closures.iter().chain(&closures) {
        let attempt = AttemptId::random();
        rig.machine.fetch(attempt, closure, BOUND).await.unwrap();
        rig.machine.protect_prior(attempt, &closures[0]).unwrap();
    }
    let roots = &rig.machine.config().gcroots_dir;
    let foreign = roots.join("somebody-elses");
    std::os::unix::fs::symlink(closures[1].as_path(), &foreign).unwrap();
    rig.machine.tidy(
        &closures[1..].iter().cloned().collect(),
        &std::collections::BTreeSet::new(),
    );
    let left: Vec<PathBuf> = fs::read_dir(roots)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&foreign));
    rig.nix.collect_garbage();
    let there: Vec<bool> = closures
        .iter()
        .map(|closure| closure.as_path().exists())
        .collect();
    assert_eq!(there, [false, true, true]);
}

/// Collections that had read the roots before the fetch began. Nix tells them of the path and its root. If one still
/// deletes it, the check before the activation says so, and a second fetch stays.
#[tokio::test]
async fn a_collection_under_way_takes_nothing_in_silence() {
    let rig = MachineRig::new();
    let (closure, _) = rig.cached(Some("good-1"));
    for _ in 0..10 {
        let collecting = rig.nix.spawn("nix-store", ["--gc"]);
        let attempt = AttemptId::random();
        let fetched = rig.machine.fetch(attempt, &closure, BOUND).await;
        assert!(collecting.wait_with_output().unwrap().status.success());
        let admitted = rig
            .machine
            .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
            .await;
        if fetched.is_err() || admitted.is_err() {
            let is_vanished = matches!(admitted, Err(StageError::Vanished { .. }));
            assert!(is_vanished, "{fetched:?} {admitted:?}");
            rig.machine.fetch(attempt, &closure, BOUND).await.unwrap();
            rig.machine
                .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
                .await
                .unwrap();
        }
        rig.nix.collect_garbage();
        assert!(closure.as_path().exists());
        rig.machine.release_closure(attempt);
        rig.nix.collect_garbage();
        assert!(!closure.as_path().exists());
    }
}

/// Whatever takes it: the message says that it was there and is gone.
#[tokio::test]
async fn a_closure_that_vanished_is_told_and_comes_in_again() {
    let rig = MachineRig::new();
    let (closure, _) = rig.cached(Some("good-1"));
    rig.machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap();
    rig.nix.forget(&closure);
    let error = rig.unfit(&closure).await;
    assert!(error.contains("vanished while it was fetched"), "{error}");
    rig.machine
        .fetch(AttemptId::random(), &closure, BOUND)
        .await
        .unwrap();
    rig.machine
        .admit_release(&closure, &ReleaseClaim::unsigned(), BOUND)
        .await
        .unwrap();
}

fn narinfo(cache: &Path, path: &StorePath) -> PathBuf {
    let hash = path.base_name().split('-').next().unwrap().to_owned();
    cache.join(format!("{hash}.narinfo"))
}

/// A file server, one request a connection.
fn serve(dir: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let dir = dir.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &dir));
        }
    });
    url
}

fn answer(mut stream: std::net::TcpStream, dir: &Path) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let line = String::from_utf8_lossy(&request);
    let path = line.split(' ').nth(1).unwrap().trim_start_matches('/');
    let (status, body) =
        fs::read(dir.join(path)).map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if !line.starts_with("HEAD") {
        let _ = stream.write_all(&body);
    }
}
