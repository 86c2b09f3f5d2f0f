//! Encrypted copies at another place.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::Cluster;

const PASSWORD: &str = "correct horse battery staple";

fn copied() -> Cluster {
    let mut cluster = Cluster::start();
    cluster.sql(
        "shop",
        "CREATE TABLE events AS SELECT generate_series(1, 1000) AS n",
    );
    let password = cluster.write("password", &format!("{PASSWORD}\n"));
    let flake = cluster.make_folder("flake");
    std::fs::write(flake.join("flake.lock"), "{}").unwrap();
    cluster.config["offsite"] = json!({
        "repository": cluster.path("restic"), "password_file": { "path": password },
        "paths": [cluster.path("dumps"), flake],
        "keep": { "hourly": 0, "daily": 7, "weekly": 5, "monthly": 12 }, "read_percent": 100,
        "times": { "timeout_seconds": 120, "late_after_seconds": 90000 }
    });
    cluster
}

#[test]
fn a_lost_host_comes_back_from_the_copy() {
    let cluster = copied();
    cluster.good(&["now", "--kind", "all"]);
    cluster.good(&["verify"]);
    assert_eq!(cluster.list()["offsite"].as_array().unwrap().len(), 1);
    let id = cluster.dumps().remove(0);
    cluster.sql("postgres", "DROP DATABASE shop");
    std::fs::remove_dir_all(cluster.path("dumps")).unwrap();

    let into = cluster.path("back");
    let printed = cluster.good(&["restore", "--offsite", "latest", "--into", into.to_str().unwrap()]);
    assert!(printed.contains("each file under the path it had"), "{printed}");
    let back = into.join(cluster.path("dumps").strip_prefix("/").unwrap());
    assert!(
        into.join(cluster.path("flake/flake.lock").strip_prefix("/").unwrap())
            .exists()
    );
    std::fs::rename(&back, cluster.path("dumps")).unwrap();
    cluster.good(&["restore", "--dump", &id, "--into", "shop"]);
    assert_eq!(cluster.sql("shop", "SELECT count(*) FROM events"), "1000");
}

#[test]
fn a_wrong_password_is_reported_without_repeating_it() {
    let cluster = copied();
    cluster.good(&["now", "--kind", "all"]);
    cluster.write("password", "hunter2hunter2");
    let printed = cluster.bad(&["now", "--kind", "offsite"]);
    assert!(
        printed.contains("another password than the repository was made with"),
        "{printed}"
    );
    let state = std::fs::read_to_string(cluster.path("state/runs/offsite.json")).unwrap();
    for text in [printed, state] {
        assert!(!text.contains("hunter2") && !text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_killed_copy_does_not_stand_in_the_way_of_the_next() {
    let cluster = copied();
    cluster.good(&["now", "--kind", "all"]);
    // Much that cannot be compressed, and a slow line, so that there is a middle to be killed in.
    let mut noise = vec![0_u8; 60 << 20];
    let mut state = 1_u64;
    for byte in &mut noise {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_be_bytes()[0];
    }
    std::fs::write(cluster.path("flake/noise"), noise).unwrap();
    let mut run = cluster
        .backup_command(&["now", "--kind", "offsite"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&run),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let whole = run.wait().unwrap().success();
    let status = cluster.status_of("offsite");
    assert!(
        whole || status["error"].as_str().unwrap().contains("cut short"),
        "{status}"
    );
    cluster.good(&["now", "--kind", "offsite"]);
    cluster.good(&["verify"]);
    assert!(cluster.status_of("offsite")["ok"].as_bool().unwrap());
}

/// A restic that was killed while it held the repository for itself: its lock is there, and nobody is behind it.
fn leave_an_exclusive_lock(cluster: &Cluster) {
    let locks = || std::fs::read_dir(cluster.path("restic/locks")).unwrap().count();
    for _ in 0..20 {
        let mut check = cluster
            .command(Path::new("restic"))
            .args(["check", "--no-cache"])
            .env("RESTIC_REPOSITORY", cluster.path("restic"))
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while locks() == 0 && check.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = check.kill();
        check.wait().unwrap();
        if locks() > 0 {
            return;
        }
    }
    panic!("restic check was never killed while it held its lock");
}

#[test]
fn a_lock_whose_holder_was_killed_stops_neither_copies_nor_checks() {
    let cluster = copied();
    cluster.good(&["now", "--kind", "all"]);
    leave_an_exclusive_lock(&cluster);
    cluster.good(&["now", "--kind", "offsite"]);
    leave_an_exclusive_lock(&cluster);
    cluster.good(&["verify"]);
    assert!(cluster.status()["ok"].as_bool().unwrap(), "{}", cluster.status());
}

#[test]
fn copies_wait_for_a_check_of_the_same_host() {
    let cluster = copied();
    cluster.good(&["now", "--kind", "all"]);
    let runs: Vec<_> = [["verify", "--here"].as_slice(), &["now", "--kind", "offsite"]]
        .into_iter()
        .cycle()
        .take(4)
        .map(|arguments| cluster.backup_command(arguments).spawn().unwrap())
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert!(cluster.status()["ok"].as_bool().unwrap(), "{}", cluster.status());
}

#[test]
fn what_is_missing_or_unreadable_is_named() {
    let mut cluster = copied();
    let printed = cluster.bad(&["restore", "--offsite", "latest"]);
    assert!(printed.contains("--offsite needs a folder"), "{printed}");
    cluster.config["offsite"]["paths"] = json!([cluster.path("dumps"), "/no/such/folder"]);
    let printed = cluster.bad(&["now", "--kind", "offsite"]);
    assert!(
        printed.contains("/no/such/folder") && printed.contains("take the path out"),
        "{printed}"
    );
    cluster.config["offsite"]["password_file"]["path"] = json!(cluster.path("nowhere"));
    let printed = cluster.bad(&["now", "--kind", "offsite"]);
    assert!(printed.contains("cannot read the secret"), "{printed}");
}

/// Debian's, or the one of the ssh in PATH.
fn sftp_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let ssh = std::env::split_paths(&path)
        .map(|folder| folder.join("ssh"))
        .find(|ssh| ssh.exists());
    let beside = ssh.and_then(|ssh| Some(ssh.canonicalize().ok()?.parent()?.join("../libexec/sftp-server")));
    std::iter::once(PathBuf::from("/usr/lib/openssh/sftp-server"))
        .chain(beside)
        .find(|server| server.exists())
}

#[test]
fn a_copy_over_sftp_goes_through_the_options() {
    // sftp without a network: the server's own program at the other end of a pipe.
    let server = sftp_server().expect("no sftp-server here; ./dev installs it");
    let mut cluster = copied();
    let script = cluster.write("sftp.sh", &format!("#!/bin/sh\nexec {}\n", server.display()));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let repository = cluster.path("over-sftp");
    cluster.config["offsite"]["repository"] =
        json!(format!("sftp:backup@elsewhere:{}", repository.display()));
    cluster.config["offsite"]["options"] = json!([format!("sftp.command={}", script.display())]);
    cluster.good(&["now", "--kind", "all"]);
    assert!(repository.join("config").exists());
    cluster.good(&["verify"]);
}

#[test]
fn a_copy_of_many_hours_does_not_drown_in_progress() {
    let cluster = copied();
    // restic prints up to 60 lines of progress a second, into a pipe too. These are those of four hours.
    let bin = cluster.make_folder("bin");
    let script = r#"#!/bin/sh
PATH=${PATH#*:}
case " $* " in
    *" --quiet "*) ;;
    *" backup "*) yes '{"message_type":"status","seconds_elapsed":1,"percent_done":0.1,"current_files":["/var/lib/dumps/shop.dump"]}' | head -n 864000 ;;
esac
exec restic "$@"
"#;
    let restic = cluster.write("bin/restic", script);
    std::fs::set_permissions(&restic, std::fs::Permissions::from_mode(0o755)).unwrap();
    let inherited = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&inherited))).unwrap();
    let mut command = cluster.backup_command(&["now", "--kind", "all"]);
    let output = command.env("PATH", path).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
}

/// A REST server as restic speaks to it, with a user and a password.
struct RestServer(Child, String);

impl RestServer {
    fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .unwrap()
            .to_string();
        let child = Command::new("rclone")
            .args(["serve", "restic", "--addr", &address])
            .args(["--user", "backup", "--pass", PASSWORD])
            .arg(folder)
            .env("RCLONE_CONFIG", "/dev/null")
            .stderr(Stdio::null())
            .spawn()
            .expect("no rclone here; ./dev installs it");
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < end, "rclone does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(child, address)
    }

    fn repository(&self, password: &str) -> String {
        let password = password.replace(' ', "%20");
        format!("rest:http://backup:{password}@{}/shop", self.1)
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_copy_over_rest_has_its_address_and_password_from_a_file() {
    let mut cluster = copied();
    let server = RestServer::start(&cluster.make_folder("over-rest"));
    let address = cluster.write("address", &server.repository(PASSWORD));
    let offsite = cluster.config["offsite"].as_object_mut().unwrap();
    offsite.remove("repository");
    offsite.insert("repository_file".to_owned(), json!({ "path": address }));
    cluster.good(&["now", "--kind", "all"]);
    assert!(cluster.path("over-rest/shop/config").exists());
    cluster.good(&["verify"]);
    assert_eq!(cluster.list()["offsite"].as_array().unwrap().len(), 1);
    let into = cluster.path("back");
    cluster.good(&["restore", "--offsite", "latest", "--into", into.to_str().unwrap()]);
    let dump = format!("dumps/{}.dump", cluster.dumps().remove(0));
    let back = into.join(cluster.path(&dump).strip_prefix("/").unwrap());
    assert_eq!(
        std::fs::read(back).unwrap(),
        std::fs::read(cluster.path(&dump)).unwrap()
    );

    cluster.write("address", &server.repository("hunter2hunter2"));
    let printed = cluster.bad(&["now", "--kind", "offsite"]);
    assert!(
        printed.contains("401") && printed.contains("keys are valid"),
        "{printed}"
    );
    assert!(!printed.contains("hunter2"), "{printed}");
}
