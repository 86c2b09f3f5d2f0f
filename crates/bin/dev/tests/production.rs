//! Runs docs/production.md: it writes the files of the page, and runs its commands in their order. The control
//! plane, the agent and Nix are real.
//!
//! Programs that need a machine to install, a host's systemd or nixpkgs are stand-ins that note how they were called.
//! `agenix` is one of them too; it does not encrypt. The flake's check `production` runs these steps with the real
//! agenix, and tests/eval/docs.nix evaluates the files with NixOS.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::Base;
use common::page::{self, Bench, blocks, checkout, of_table, printed};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::stack::DevStack;
use slipway_dev::stack::binaries::Binaries;
use slipway_dev::stack::hosts::{self, DevHost};

/// What the page asks of a machine that is not here.
const STAND_INS: [&str; 5] = [
    "dig",
    "nixos-anywhere",
    "nixos-rebuild",
    "slipway-backup",
    "systemctl",
];

const NOTE: &str = r#"#!/bin/sh
echo "${0##*/}" >>"$BENCH/called"
"#;

/// Writes what it finds out of the machine where it is told to.
const NIXOS_ANYWHERE: &str = r#"#!/bin/sh
echo nixos-anywhere >>"$BENCH/called"
while [ "$1" != nixos-generate-config ]; do shift; done
echo "{ }" >"$2"
"#;

const AGENIX: &str = r#"#!/bin/sh
set -eu
case $1 in
-e) mkdir -p "$(dirname "$2")" && cat >"$2" ;;
-d) cat "$2" ;;
*) exit 2 ;;
esac
"#;

/// No nixpkgs is here for `nix develop`; what `nix flake metadata` would fetch is this checkout.
const NIX: &str = r#"#!/bin/sh
case "$1 ${2-}" in
"develop "*) echo nix-develop >>"$BENCH/called" ;;
"flake metadata") printf '%s\n' "$CHECKOUT" ;;
*) exec "$NIX" "$@" ;;
esac
"#;

/// After a release the store is emptied, so that the agent has to fetch it.
const SLIPWAY: &str = r#"#!/bin/bash
set -euo pipefail
"$SLIPWAY" "$@"
case "${1-} ${2-}" in "release create") nix-store --gc --quiet >/dev/null 2>&1 ;; esac
"#;

struct Way {
    stack: DevStack,
    run: Run,
    page: String,
    bench: Bench,
    _base: Base,
}

impl Way {
    async fn new() -> Self {
        let base = Base::new();
        let run = Run::create(base.path()).unwrap();
        let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
        let binaries = Binaries::in_folder(folder).unwrap();
        let stack = DevStack::start(&run, binaries, &|_| ()).await.unwrap();
        let page = fs::read_to_string(checkout().join("docs/production.md")).unwrap();
        let bench = Bench::create(run.dir.path().join("bench"));
        for folder in ["home/.ssh", "flake"] {
            fs::create_dir_all(bench.at(folder)).unwrap();
        }
        for name in STAND_INS {
            bench.program(name, NOTE);
        }
        bench.program("nixos-anywhere", NIXOS_ANYWHERE);
        bench.program("agenix", AGENIX);
        bench.program("nix", NIX);
        bench.program("slipway", SLIPWAY);
        bench.program("jq", "#!/bin/sh\nexec cat\n");
        let key = bench.at("home/.ssh/id_ed25519");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()])
            .status();
        assert!(made.unwrap().success());
        Self {
            stack,
            run,
            page,
            bench,
            _base: base,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.bench.at(name)
    }

    /// Runs a block of the page, with this machine's names in place of its examples.
    async fn shell(&self, block: &str) -> Output {
        let read = self.at("flake/secrets/viewer-token.age");
        let text = block
            .replace("https://deploy.example.com", &self.stack.nginx.api_url())
            .replace("/run/agenix/viewer-token", read.to_str().unwrap())
            .replace(
                "s3://cache?endpoint=s3.example.com&region=us-east-1",
                &format!("file://{}?compression=none", self.stack.nix.cache.display()),
            );
        let spec = self
            .bench
            .shell(&text, "flake")
            .env("CHECKOUT", checkout())
            .env("NIX", programs::find("nix").unwrap())
            .env("SLIPWAY", &self.stack.binaries.cli)
            .env("SLIPWAY_CA_FILE", &self.stack.nginx.ca)
            .env("CURL_CA_BUNDLE", &self.stack.nginx.ca);
        let spec = spec.envs([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.com"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@example.com"),
        ]);
        let mut command = self
            .stack
            .nix
            .with_build_env(spec)
            .command(&self.run.dir)
            .unwrap();
        command
            // What a person types into the editor.
            .stdin(fs::File::open(self.typed()).unwrap());
        page::output(command).await
    }

    fn typed(&self) -> PathBuf {
        let path = self.at("typed");
        fs::write(&path, "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n").unwrap();
        path
    }

    /// The system that `nixosConfigurations.web-1` is here, as a flake that needs no nixpkgs.
    fn small_flake(&self, host: &DevHost) {
        let flake = self.at("flake");
        for file in ["build.sh", "closure.nix", "switch-to-configuration.sh"] {
            let text = fs::read_to_string(checkout().join("nix/demo").join(file)).unwrap();
            let system = format!("\"{}-linux\"", std::env::consts::ARCH);
            fs::write(flake.join(file), text.replace("builtins.currentSystem", &system)).unwrap();
        }
        fs::copy(&self.stack.binaries.demo_service, flake.join("service")).unwrap();
        let member = host.member(&self.run, Path::new("service"), "v1", 200);
        let mut member = serde_json::to_value(member).unwrap();
        member.as_object_mut().unwrap().remove("service");
        let text = format!(
            "{{ outputs = _: {{ nixosConfigurations.web-1.config.system.build.toplevel = import ./closure.nix \
             (builtins.fromJSON ''{member}'' // {{ service = ./service; }}); }}; }}"
        );
        fs::write(flake.join("flake.nix"), text).unwrap();
    }

    /// Installs what step 7 does, and starts the agent with the token that step 9 made.
    async fn install(&mut self) {
        let token = fs::read_to_string(self.at("flake/secrets/agent-token.age")).unwrap();
        let host =
            DevHost::registered(&self.run, &self.stack.nix, "web-1".parse().unwrap(), token.trim()).unwrap();
        let public = fs::read_to_string(self.at("flake/cache.pub")).unwrap();
        // Agents trust the key of step 6 and no other.
        public.trim().clone_into(&mut self.stack.nix.public_key);
        let conf = self.stack.nix.agent_env();
        let (_, conf) = conf.iter().find(|(name, _)| *name == "NIX_CONF_DIR").unwrap();
        fs::remove_file(conf.join("nix.conf")).unwrap();
        self.stack
            .nix
            .write_agent_conf(&self.stack.nginx.cache_url())
            .unwrap();
        let fleet = [host];
        let (stack, demo) = (&self.stack, checkout().join("nix/demo"));
        hosts::install_all(&self.run, &stack.nix, &demo, &stack.binaries.demo_service, &fleet)
            .await
            .unwrap();
        let agent = fleet[0].agent_spec(&stack.binaries.agent, &stack.nix, &stack.nginx);
        self.run.supervisor.spawn(agent).unwrap();
        hosts::wait_online(&self.run, &stack.api, &fleet).await.unwrap();
        self.small_flake(&fleet[0]);
    }
}

#[tokio::test]
async fn the_way_to_production_works_as_it_is_written() {
    let mut bench = Way::new().await;
    let page = bench.page.clone();
    let (first, several) = page.split_once("\n## Several hosts\n").unwrap();

    for block in blocks(first, "nix") {
        let path = block.lines().next().unwrap().strip_prefix("# ").unwrap();
        let file = bench.at("flake").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, &block).unwrap();
    }
    let commands = blocks(first, "sh");
    assert!(commands.len() > 15, "{}", commands.len());
    for block in &commands {
        if block.contains("slipway login") {
            // The control plane runs already, with a password of its own.
            let password = bench.run.dir.path().join("secrets/admin-password");
            fs::copy(password, bench.at("flake/secrets/admin-password.age")).unwrap();
        }
        let ran = bench.shell(block).await;
        if block.contains("slipway verify") {
            // No backups are here: that is not checked, and nothing else may be amiss.
            assert_eq!(ran.status.code(), Some(31), "{block}\n{}", printed(&ran));
            assert!(printed(&ran).contains(" 0 failed"), "{}", printed(&ran));
            continue;
        }
        assert!(ran.status.success(), "{block}\n{}", printed(&ran));
        if block.contains("slipway host create") {
            bench.install().await;
        }
        if block.contains("slipway status") {
            assert!(printed(&ran).contains("web-1"), "{}", printed(&ran));
        }
        if block.contains("slipway rollout start") {
            assert!(printed(&ran).contains("succeeded"), "{}", printed(&ran));
        }
    }

    let tables = ["\n## Before a deploy\n", "\n## After a deploy\n"].map(|heading| of_table(&page, heading));
    let mut looked = 0;
    for command in tables.concat() {
        let here = command.starts_with("curl ") || command.starts_with("slipway ");
        let named = command
            .split(' ')
            .any(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
        if here && !named && !command.starts_with("slipway verify") {
            looked += 1;
            let ran = bench.shell(&command).await;
            assert!(ran.status.success(), "{command}\n{}", printed(&ran));
            if command.contains("/metrics") {
                assert!(printed(&ran).contains("404"), "{}", printed(&ran));
            }
        }
    }
    assert!(looked > 4, "only {looked} commands of the tables were run");

    // The first part's environment is there already.
    let several = several.split("\n## ").next().unwrap();
    for block in blocks(several, "sh") {
        let block = block
            .replace("env create prod", "env create fleet")
            .replace("--env prod", "--env fleet");
        let ran = bench.shell(&block).await;
        assert!(ran.status.success(), "{block}\n{}", printed(&ran));
    }
    for host in ["edge", "app-1", "app-2", "db", "monitor"] {
        let token = bench.at(&format!("flake/secrets/prod/{host}-agent-token.age"));
        let token = fs::read_to_string(token).unwrap();
        assert!(token.len() > 20 && token != "not yet\n", "{host}");
        let certificate = bench.at(&format!("flake/hosts/prod/certificates/{host}.pem"));
        assert!(fs::read_to_string(certificate).unwrap().contains("CERTIFICATE"));
    }

    let called: BTreeSet<String> = fs::read_to_string(bench.at("called"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let all = STAND_INS.iter().map(|name| (*name).to_owned());
    let all: BTreeSet<String> = all.chain(["nix-develop".to_owned()]).collect();
    assert_eq!(called, all, "a stand-in that nothing calls hides nothing");
    bench.run.close().await.unwrap();
}

#[test]
fn every_nix_block_of_the_pages_parses() {
    let mut found = 0;
    for page in [
        "README.md",
        "docs/agent.md",
        "docs/backup-and-restore.md",
        "docs/production.md",
    ] {
        let text = fs::read_to_string(checkout().join(page)).unwrap();
        for block in blocks(&text, "nix") {
            found += 1;
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("block.nix");
            // A part of a file, as its first line says, has names from around it.
            let part = block.lines().next().is_some_and(|line| line.contains(".nix: "));
            let around = if part {
                "{ host, hosts, readableBy }:\n"
            } else {
                ""
            };
            fs::write(&file, format!("{around}{block}")).unwrap();
            let parse = Command::new(programs::find("nix-instantiate").unwrap())
                .arg("--parse")
                .arg(&file)
                .env("NIX_STORE_DIR", folder.path().join("store"))
                .env("NIX_STATE_DIR", folder.path().join("state"))
                .env("NIX_REMOTE", "local")
                .output()
                .unwrap();
            assert!(parse.status.success(), "{page}:\n{block}\n{}", printed(&parse));
        }
    }
    assert!(found > 12, "only {found} blocks were found");
}
