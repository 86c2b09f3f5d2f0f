//! Scripts of the cluster where something is missing, or ends at a bad moment.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

#[test]
fn redis_gets_no_file_without_its_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("rendered"), "port 0\n").unwrap();
    let copies = repository().join("deploy/cluster");
    let good = "0123456789abcdef0123";
    for (mode, stack, cluster, words) in [
        ("server", Some(good), Some(good), None),
        ("sentinel", Some(good), Some(good), None),
        ("server", None, Some(good), Some("stack.password does not exist")),
        ("sentinel", None, Some(good), Some("shop.password does not exist")),
        (
            "server",
            Some("short"),
            Some(good),
            Some("stack.password is not one word of 16"),
        ),
        (
            "server",
            Some(good),
            Some(""),
            Some("cluster.password is not one word of 16"),
        ),
        (
            "server",
            Some(good),
            Some("0123456789@abc@0123"),
            Some("cluster.password has a quote"),
        ),
    ] {
        let first = if mode == "server" { "stack" } else { "shop" };
        for (name, text) in [(first, stack), ("cluster", cluster)] {
            let file = path(&format!("{name}.password"));
            match text {
                Some(text) => fs::write(file, text).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
        }
        let secrets = if mode == "server" { "redis" } else { "sentinel" };
        let output = Command::new("bash")
            .arg(copies.join("redis-prepare.sh"))
            .arg(mode)
            .arg(format!("--state={}", path("state")))
            .arg(format!("--rendered={}", path("rendered")))
            .arg(format!(
                "--secrets={}",
                copies.join(format!("ha-1/{secrets}.secrets")).display()
            ))
            .arg(format!("--secret={first}={}", path(&format!("{first}.password"))))
            .arg(format!("--secret=cluster={}", path("cluster.password")))
            .args(["--member=127.0.0.1 1", "--self=127.0.0.1 1", "--group=shop"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let Some(words) = words else {
            assert!(output.status.success(), "{told}");
            fs::remove_file(path("state")).unwrap();
            continue;
        };
        assert!(!output.status.success(), "{mode} began without {words}");
        assert!(told.contains(words), "{words}: {told}");
        assert!(!told.contains("abc"), "a part of the password is shown: {told}");
        assert!(!Path::new(&path("state")).exists(), "{words}");
    }
}

/// A server that ends with the test.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stack_cannot_speak_to_sentinels_as_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let settings = format!(
        "port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\n",
        folder.path().display()
    );
    fs::write(path("rendered"), settings).unwrap();
    let password = "0123456789abcdef0123";
    fs::write(path("password"), password).unwrap();
    let copies = repository().join("deploy/cluster");
    let of = |option: &str, file: &Path| format!("--{option}={}", file.display());
    let prepared = Command::new("bash")
        .arg(copies.join("redis-prepare.sh"))
        .arg("server")
        .arg(of("state", &path("redis.conf")))
        .arg(of("rendered", &path("rendered")))
        .arg(of("secrets", &copies.join("ha-1/redis.secrets")))
        .arg(of("secret=stack", &path("password")))
        .arg(of("secret=cluster", &path("password")))
        .args(["--member=127.0.0.1 1", "--self=127.0.0.1 1", "--group=shop"])
        .status();
    assert!(prepared.unwrap().success());
    let log = fs::File::create(path("log")).unwrap();
    let server = Command::new("redis-server")
        .arg(path("redis.conf"))
        .stdout(log)
        .spawn();
    let _server = Redis(server.unwrap());
    let ask = |words: &[&str]| {
        let output = Command::new("redis-cli")
            .env("REDISCLI_AUTH", password)
            .args(["--no-auth-warning", "-p", &port.to_string()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let end = Instant::now() + Duration::from_mins(1);
    while ask(&["PING"]) != "PONG" {
        assert!(Instant::now() < end, "{:?}", fs::read_to_string(path("log")));
        sleep(Duration::from_millis(50));
    }
    let script = "return redis.call('PUBLISH', KEYS[1], 'x')";
    for channel in ["__sentinel__:hello", "__s"] {
        let told = ask(&["PUBLISH", channel, "x"]);
        assert!(told.starts_with("NOPERM"), "{channel}: {told}");
        let told = ask(&["EVAL", script, "1", channel]);
        // Versions of Redis say it in other words.
        assert!(
            told.contains("can't publish") || told.contains("permission"),
            "{channel}: {told}"
        );
    }
    for channel in ["jobs", "_jobs", "__jobs", "slipway:wake"] {
        assert_eq!(ask(&["PUBLISH", channel, "x"]), "0", "{channel}");
        assert_eq!(ask(&["EVAL", script, "1", channel]), "0", "{channel}");
    }
    assert_eq!(ask(&["SET", "key", "value"]), "OK");
}

/// A program that a script calls by its name.
fn stand_in(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_operators_password_reaches_patroni_whatever_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "a\"b\\c\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/switchover", listener.local_addr().unwrap());
    let patroni = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        connection
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n{}") {
            let mut some = [0; 1024];
            let length = connection.read(&mut some).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&asked));
            asked.extend(&some[..length]);
        }
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        String::from_utf8(asked).unwrap()
    });
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(r#". "$0"; operator "$1" --fail --max-time 20 --data '{}' "$2""#)
        .arg(repository().join("nix/cluster/operator.sh"))
        .arg(&password)
        .arg(url)
        .env("OPERATOR", "operator")
        .envs(["AUTHORITY", "CERTIFICATE", "KEY"].map(|name| (name, "/dev/null")))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // operator:a"b\c
    let asked = patroni.join().unwrap();
    assert!(
        asked.contains("Authorization: Basic b3BlcmF0b3I6YSJiXGM=\r\n"),
        "{asked}"
    );
    assert!(asked.starts_with("POST /switchover "), "{asked}");
}

#[test]
fn the_timer_that_takes_the_tag_back_is_there_before_the_tag() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let tag = root.join("slipway-patroni/conf/50-aside.yaml");
    fs::create_dir_all(tag.parent().unwrap()).unwrap();
    // As the program has them.
    let script = [
        "nix/cluster/operator.sh",
        "modules/cluster/restarts.sh",
        "modules/cluster/cluster.sh",
    ]
    .map(|name| fs::read_to_string(repository().join(name)).unwrap())
    .concat();
    let file = root.join("cluster.sh");
    fs::write(&file, script.replace("/run/", &format!("{}/", root.display()))).unwrap();
    // Only systemd and Patroni, which need a booted host.
    let bin = root.join("bin");
    fs::create_dir(&bin).unwrap();
    let tagged = tag.display();
    stand_in(
        &bin,
        "curl",
        &format!(
            r#"[ -e {tagged} ] && tags='{{"slipway_aside":true}}' || tags='{{}}'
echo '{{"members":[{{"name":"a","role":"replica","state":"streaming","lag":0,"tags":'"$tags"'}},
{{"name":"b","role":"leader","state":"running"}},{{"name":"c","role":"sync_standby","state":"streaming","lag":0}}]}}'"#
        ),
    );
    stand_in(&bin, "systemctl", "exit 0");
    let armed = root.join("armed");
    stand_in(
        &bin,
        "systemd-run",
        &format!(
            "[ ! -e {tagged} ] && [ ! -e {0}/refuse ] && echo \"$@\" > {0}/armed",
            root.display()
        ),
    );
    let closure = root.join("closure/etc/systemd/system");
    fs::create_dir_all(&closure).unwrap();
    fs::write(closure.join("slipway-etcd.service"), "[Unit]\n").unwrap();
    let step_aside = || {
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", r#"PATH=$1:$PATH; shift; . "$0""#])
            .args([&file, &bin])
            .args(["step-aside", "30"])
            .env("SLIPWAY_CLOSURE", root.join("closure"))
            .env("UNITS", "slipway-etcd.service")
            .env("MEMBER", "a")
            .env("MEMBERS", "a b c")
            .env("URLS", "https://a https://b https://c")
            .env("SYNCHRONOUS", "on")
            .env("AUTHORITY", "/none")
            .output()
            .unwrap()
    };
    let output = step_aside();
    assert!(output.status.success(), "{output:?}");
    assert!(tag.exists());
    let words = fs::read_to_string(&armed).unwrap();
    assert!(
        words.contains("--on-active=30min") && words.contains("come-back"),
        "{words}"
    );

    // Without a timer nobody would take the tag back from a program that was killed.
    fs::remove_file(&tag).unwrap();
    fs::write(root.join("refuse"), "").unwrap();
    let output = step_aside();
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not take the timer"));
    assert!(!tag.exists());
}

#[test]
fn a_member_that_restarts_nothing_goes_on_as_it_is_with_the_programs_of_its_unit() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let script = ["restarts.sh", "cluster.sh"]
        .map(|name| fs::read_to_string(repository().join("modules/cluster").join(name)).unwrap())
        .concat();
    let file = root.join("cluster.sh");
    fs::write(&file, script.replace("/run/", &format!("{}/", root.display()))).unwrap();
    // A hook has the programs that its module names, and no others.
    let bin = root.join("bin");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let mut folders = std::env::split_paths(&path);
    let grep = folders.find(|folder| folder.join("grep").exists()).unwrap();
    std::os::unix::fs::symlink(grep.join("grep"), bin.join("grep")).unwrap();
    let unit = |generation: &str, text: &str| {
        let units = root.join(generation).join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join("slipway-etcd.service"), text).unwrap();
    };
    unit("current-system", "[Unit]\nX-Reload-Triggers=a\n");
    for (new, goes_on) in [
        ("[Unit]\nX-Reload-Triggers=b\n", true),
        ("[Unit]\nX-Restart-Triggers=b\n", false),
    ] {
        unit("closure", new);
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", r#"PATH=$1; shift; . "$0""#])
            .args([&file, &bin])
            .args(["step-aside", "30"])
            .env("SLIPWAY_CLOSURE", root.join("closure"))
            .env("UNITS", "slipway-etcd.service")
            .env("MEMBER", "a")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told.contains("it goes on as it is"), goes_on, "{new}: {output:?}");
        assert_eq!(output.status.success(), goes_on, "{new}: {output:?}");
    }
}

#[test]
fn a_stacks_wait_for_the_leader_has_an_end() {
    let script = repository().join("modules/stack/database/let-in.sh");
    // One that takes connections and says nothing, as a frozen member does.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    for (port, words) in [
        (closed, "Connection refused"),
        (silent.local_addr().unwrap().port(), "timeout expired"),
    ] {
        let output = Command::new("timeout")
            .args(["60", "bash", "-euo", "pipefail", "-c"])
            .args([r#". "$0"; let_in 2 main"#])
            .arg(&script)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", port.to_string())
            .env("PGUSER", "shop")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            told.contains("has not let shop in for 2 s") && told.contains(words),
            "{told}"
        );
    }
}
