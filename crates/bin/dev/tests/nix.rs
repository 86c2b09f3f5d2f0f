//! Real closures from a real cache: fetched, refused, switched.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use common::Base;
use slipway_dev::fleet::{Member, Variant, tools_path};
use slipway_dev::nginx::Nginx;
use slipway_dev::nix::{Nix, Signing};
use slipway_dev::run::Run;
use tokio::process::Command;

struct Rig {
    _base: Base,
    run: Run,
    nix: Nix,
    port: u16,
    state: PathBuf,
}

impl Rig {
    async fn new() -> Self {
        let base = Base::new();
        let run = Run::create(base.path()).unwrap();
        let nix = Nix::create(&run).await.unwrap();
        let port = run.ports.reserve().unwrap();
        let unused = run.ports.reserve().unwrap();
        let nginx = Nginx::start(&run, &[unused], &nix.cache).await.unwrap();
        nix.write_agent_conf(&nginx.cache_url()).unwrap();
        let state = run.dir.path().join("host");
        Self {
            _base: base,
            run,
            nix,
            port,
            state,
        }
    }

    fn member(&self, version: &str, variant: Variant) -> Member {
        Member {
            host: "h1".to_owned(),
            version: version.to_owned(),
            port: self.port,
            state: self.state.clone(),
            run: self.run.dir.marker().to_string_lossy().into_owned(),
            service: PathBuf::from(env!("CARGO_BIN_EXE_slipway-demo-service")),
            tools: tools_path(),
            health: 200,
            variant,
        }
    }

    async fn build(&self, members: &[Member]) -> Vec<PathBuf> {
        let expression = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../nix/demo");
        self.nix.build(&self.run, &expression, members).await.unwrap()
    }

    async fn publish(&self, paths: &[PathBuf], signing: Signing) {
        self.nix.publish(&self.run, paths, signing).await.unwrap();
        self.nix.forget_built(&self.run, paths).await.unwrap();
    }

    async fn realise(&self, path: &Path) -> Output {
        let mut command = Command::new("nix-store");
        command
            .arg("--realise")
            .arg(path)
            .envs(self.nix.agent_env())
            .env("HOME", self.run.dir.path().join("home"));
        command.output().await.unwrap()
    }

    async fn is_valid(&self, path: &Path) -> bool {
        let mut command = Command::new("nix-store");
        command
            .arg("--check-validity")
            .arg(path)
            .envs(self.nix.agent_env());
        command.output().await.unwrap().status.success()
    }

    async fn switch(&self, closure: &Path, action: &str) -> Output {
        let script = closure.join("bin/switch-to-configuration");
        // As from an agent: neither PATH nor marker may come from here.
        let mut command = Command::new(script);
        command.arg(action).env_clear().kill_on_drop(true);
        tokio::time::timeout(Duration::from_secs(20), command.output())
            .await
            .unwrap()
            .unwrap()
    }

    async fn ask(&self, what: &str) -> String {
        slipway_client::install_crypto_provider();
        let url = format!("http://127.0.0.1:{}/{what}", self.port);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        client
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .trim()
            .to_owned()
    }

    fn link(&self, name: &str) -> Option<PathBuf> {
        std::fs::read_link(self.state.join(name)).ok()
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn switching_replaces_the_process_and_moves_the_links() {
    let rig = Rig::new().await;
    let closures = rig
        .build(&[rig.member("v1", Variant::Works), rig.member("v2", Variant::Works)])
        .await;
    rig.publish(&closures, Signing::Signed).await;
    let [v1, v2] = &closures[..] else {
        panic!("two closures")
    };
    assert!(!v1.exists(), "what an agent runs it must fetch");
    for path in &closures {
        let realised = rig.realise(path).await;
        assert!(
            realised.status.success() && rig.is_valid(path).await,
            "{}",
            printed(&realised)
        );
    }

    let first = rig.switch(v1, "test").await;
    assert!(first.status.success(), "{}", printed(&first));
    assert_eq!(rig.ask("version").await, "v1");
    assert_eq!(
        (rig.link("current-system").as_deref(), rig.link("boot-system")),
        (Some(v1.as_path()), None)
    );
    let old = rig.ask("pid").await;

    let second = rig.switch(v2, "test").await;
    assert!(second.status.success(), "{}", printed(&second));
    assert_eq!(rig.ask("version").await, "v2");
    assert_ne!(rig.ask("pid").await, old);
    let old = slipway_process::ProcessId::of(old.parse().unwrap());
    assert!(
        !old.is_some_and(|old| old.is_alive()),
        "the old process must have ended"
    );
    assert_eq!(rig.link("current-system").as_deref(), Some(v2.as_path()));

    assert!(rig.switch(v2, "boot").await.status.success());
    assert_eq!(rig.link("boot-system").as_deref(), Some(v2.as_path()));
    let wrong = rig.switch(v2, "dry-run").await;
    assert!(!wrong.status.success() && printed(&wrong).contains("say test, boot or switch"));

    let (id, path) = (rig.run.dir.id().to_owned(), rig.run.dir.path().to_owned());
    rig.run.close().await.unwrap();
    assert_eq!(
        slipway_dev::leftovers::find(&id, &path),
        [],
        "the detached service ends with the run"
    );
}

#[tokio::test]
async fn a_closure_that_nobody_signed_or_that_was_changed_is_refused() {
    let rig = Rig::new().await;
    let closures = rig
        .build(&[rig.member("v1", Variant::Works), rig.member("v2", Variant::Works)])
        .await;
    rig.nix
        .publish(&rig.run, &closures[..1], Signing::Signed)
        .await
        .unwrap();
    rig.publish(&closures[1..], Signing::Unsigned).await;
    rig.nix.corrupt_in_cache(&closures[0]).unwrap();

    let changed = rig.realise(&closures[0]).await;
    assert!(
        !changed.status.success() && printed(&changed).contains("hash mismatch"),
        "{}",
        printed(&changed)
    );
    let unsigned = rig.realise(&closures[1]).await;
    assert!(
        !unsigned.status.success() && printed(&unsigned).contains("sign"),
        "{}",
        printed(&unsigned)
    );
    for path in &closures {
        // What a failed fetch left on the disk does not count: Nix must not know it as valid.
        assert!(!rig.is_valid(path).await, "{}", path.display());
    }
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn the_bad_variants_are_bad_in_the_way_they_say() {
    let rig = Rig::new().await;
    let variants = [
        Variant::Fails,
        Variant::NoScript,
        Variant::NoChecks,
        Variant::BadChecks,
        Variant::Hangs,
    ];
    let members: Vec<Member> = variants
        .iter()
        .map(|variant| rig.member(&format!("{variant:?}"), *variant))
        .collect();
    let closures = rig.build(&members).await;
    let [fails, no_script, no_checks, bad_checks, hangs] = &closures[..] else {
        panic!("five closures")
    };

    let failed = rig.switch(fails, "test").await;
    assert!(
        !failed.status.success() && printed(&failed).contains("made to fail"),
        "{}",
        printed(&failed)
    );
    assert_eq!(rig.link("current-system"), None);
    assert!(!no_script.join("bin/switch-to-configuration").exists());
    assert!(!no_checks.join("etc/slipway/checks.json").exists());
    let text = std::fs::read_to_string(bad_checks.join("etc/slipway/checks.json")).unwrap();
    assert_eq!(text.trim(), r#"{"checks": 7}"#);

    let script = hangs.join("bin/switch-to-configuration");
    let mut hanging = Command::new(script).arg("test").process_group(0).spawn().unwrap();
    let early = tokio::time::timeout(Duration::from_secs(1), hanging.wait()).await;
    assert!(early.is_err(), "it must hang");
    let group = rustix::process::Pid::from_raw(i32::try_from(hanging.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    hanging.wait().await.unwrap();
    assert!(
        rig.switch(no_checks, "test").await.status.success(),
        "a killed switch leaves no lock behind"
    );
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_second_switch_waits_for_the_first() {
    let rig = Rig::new().await;
    let closures = rig
        .build(&[rig.member("v1", Variant::Works), rig.member("v2", Variant::Works)])
        .await;
    let (one, two) = tokio::join!(
        rig.switch(&closures[0], "switch"),
        rig.switch(&closures[1], "switch")
    );
    assert!(
        one.status.success() && two.status.success(),
        "{} {}",
        printed(&one),
        printed(&two)
    );
    let live = rig.link("current-system").unwrap();
    let running = if live == closures[0] { "v1" } else { "v2" };
    assert_eq!(
        rig.ask("version").await,
        running,
        "the link and the process are of one closure"
    );
    assert_eq!(rig.link("boot-system").unwrap(), live);
    rig.run.close().await.unwrap();
}
