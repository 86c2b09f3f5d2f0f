//! `collect` with a real Nix: what may be needed stays, whatever happens in the middle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_attempt::journal::{Attempt, JournalPhase};
use slipway_domain::{AttemptId, StorePath, Timestamp};

use crate::rig::AgentRig;

const BOUND: Duration = Duration::from_mins(1);

/// A host with its present system, one that its agent protects, and some that nobody needs.
struct Scene {
    rig: AgentRig,
    needed: Vec<StorePath>,
    dead: Vec<StorePath>,
}

impl Scene {
    fn new(dead: usize) -> Self {
        let rig = AgentRig::new();
        let dead: Vec<StorePath> = (0..dead)
            .map(|number| rig.closure(&format!("old-{number}"), |_| {}))
            .collect();
        for closure in dead.iter().chain([&rig.v1]) {
            let profile = rig.profile();
            rig.nix.run(
                "nix-env",
                ["--profile", profile.to_str().unwrap(), "--set", closure.as_str()],
            );
        }
        let roots = rig.nix.dir().join("var/gcroots/slipway");
        fs::create_dir_all(&roots).unwrap();
        std::os::unix::fs::symlink(rig.v2.as_path(), roots.join(AttemptId::random().to_string())).unwrap();
        // As NixOS has it.
        let live = rig.nix.dir().join("var/gcroots/current-system");
        std::os::unix::fs::symlink(rig.host().join("live"), live).unwrap();
        let needed = vec![rig.v1.clone(), rig.v2.clone()];
        // Something is there to read: a host that never had an attempt has an empty journal.
        rig.edit_journal(|_| ());
        Self { rig, needed, dead }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.rig.command(&["collect"]);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn collect(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        let mut command = Command::new("nix-store");
        command
            .args(["--check-validity", path.as_str()])
            .envs(self.rig.nix.env())
            .stderr(Stdio::null());
        command.status().unwrap().success() && path.as_path().join("bin/switch-to-configuration").exists()
    }

    /// What the generations of the system's profile name, the newest last.
    fn generations(&self) -> Vec<PathBuf> {
        let profile = self.rig.profile();
        let prefix = format!("{}-", profile.file_name().unwrap().to_str().unwrap());
        let entries = fs::read_dir(profile.parent().unwrap()).unwrap();
        let numbered = entries.filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix(&prefix)?.strip_suffix("-link")?;
            Some((number.parse().ok()?, fs::read_link(&path).unwrap()))
        });
        let generations: BTreeMap<u32, PathBuf> = numbered.collect();
        generations.into_values().collect()
    }

    fn assert_needed_is_whole(&self) {
        for path in &self.needed {
            assert!(self.is_valid(path), "{path} is gone");
        }
        self.rig.nix.run("nix-store", ["--verify", "--check-contents"]);
    }

    /// Nix waits for this lock before it collects.
    fn hold_nix(&self) -> File {
        let lock = File::options()
            .create(true)
            .append(true)
            .open(self.rig.nix.dir().join("var/gc.lock"))
            .unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        lock
    }

    fn begin_attempt(&self, phase: JournalPhase) -> AttemptId {
        let id = AttemptId::random();
        self.rig.edit_journal(|journal| {
            let mut attempt = Attempt::new(id, self.rig.v2.clone(), Timestamp::default(), "boot");
            attempt.phase = phase;
            journal.current = Some(attempt);
        });
        id
    }
}

fn ended_within(child: &mut Child, bound: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < bound {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn earlier_generations_go_by_age_and_all_but_the_last_when_the_disk_is_full() {
    let scene = Scene::new(3);
    let (done, said) = scene.collect(&["--keep-days", "1"]);
    assert!(done, "{said}");
    assert!(
        scene.dead.iter().all(|path| scene.is_valid(path)),
        "they are of today: {said}"
    );
    // A young collection and a disk with room: nothing is touched.
    let (done, said) = scene.collect(&["--every-hours", "1"]);
    assert!(done && said.contains("nothing to do"), "{said}");
    // No disk is so empty.
    let (done, said) = scene.collect(&["--every-hours", "1", "--min-free", "90"]);
    assert!(done, "{said}");
    if !said.contains("nothing to do") {
        let [dead @ .., last] = scene.dead.as_slice() else {
            panic!("there are three")
        };
        assert!(dead.iter().all(|path| !scene.is_valid(path)), "{said}");
        // The boot menu keeps a way back.
        assert!(scene.is_valid(last), "{said}");
        assert_eq!(scene.generations(), [last.as_path(), scene.rig.v1.as_path()]);
    }
    scene.assert_needed_is_whole();
}

#[test]
fn a_collection_that_is_killed_anywhere_leaves_all_that_is_needed_and_the_next_one_finishes() {
    let scene = Scene::new(12);
    for delay in [0, 5, 20, 60, 120, 250] {
        let mut child = scene.command(&["--min-free", "90"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        for path in &scene.needed {
            assert!(scene.is_valid(path), "{path} is gone after {delay} ms");
        }
    }
    let profile = scene.rig.profile();
    scene.rig.nix.run(
        "nix-env",
        [
            "--profile",
            profile.to_str().unwrap(),
            "--delete-generations",
            "old",
        ],
    );
    let (done, said) = scene.collect(&[]);
    assert!(done, "{said}");
    assert!(scene.dead.iter().all(|path| !scene.is_valid(path)), "{said}");
    scene.assert_needed_is_whole();
}

#[test]
fn nothing_is_collected_beside_an_attempt_and_one_that_begins_ends_it() {
    let scene = Scene::new(1);
    let attempt = scene.begin_attempt(JournalPhase::Staging);
    let (done, said) = scene.collect(&["--min-free", "90"]);
    assert!(
        done && said.contains(&format!("the attempt {attempt} is under way")),
        "{said}"
    );
    assert!(scene.is_valid(&scene.dead[0]));

    // One that waits for an approval is protected by its root, and may wait for days.
    scene.begin_attempt(JournalPhase::Staged);
    let nix = scene.hold_nix();
    let mut child = scene.command(&[]).spawn().unwrap();
    assert!(
        !ended_within(&mut child, Duration::from_secs(1)),
        "Nix cannot have collected"
    );
    // It is told to activate.
    let attempt = scene.begin_attempt(JournalPhase::Activating);
    assert!(
        ended_within(&mut child, BOUND),
        "the collection goes on beside an attempt"
    );
    drop(nix);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains(&attempt.to_string()),
        "{said}"
    );
    scene.assert_needed_is_whole();
}

#[test]
fn a_second_collection_a_damaged_journal_and_odd_numbers_are_refused() {
    let scene = Scene::new(1);
    let nix = scene.hold_nix();
    // Whichever is the first waits for Nix, and the other one says so.
    let mut both = [(); 2].map(|()| scene.command(&[]).spawn().unwrap());
    let start = Instant::now();
    let refused = loop {
        let ended = both
            .iter_mut()
            .position(|child| child.try_wait().unwrap().is_some());
        if let Some(ended) = ended {
            break ended;
        }
        assert!(start.elapsed() < BOUND, "both collect");
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    both[refused]
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("is another `slipway-agent collect` at work?"),
        "{said}"
    );
    drop(nix);
    assert!(ended_within(&mut both[1 - refused], BOUND));

    fs::write(scene.rig.state_dir().join("journal.json"), "{").unwrap();
    let (done, said) = scene.collect(&[]);
    assert!(!done && said.contains("the journal cannot be read"), "{said}");
    for wrong in [
        ["--keep-days", "-1"],
        ["--keep-days", "0"],
        ["--min-free", "91"],
        ["--every-hours", "-3"],
    ] {
        let (done, said) = scene.collect(&wrong);
        assert!(
            !done && said.contains(wrong[0]) && said.contains(wrong[1]),
            "{said}"
        );
    }
}
