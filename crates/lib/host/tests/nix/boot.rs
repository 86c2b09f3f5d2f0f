//! Boot entries that are booted once, by the real Nix and GRUB's own `grub-editenv`.
//!
//! The installers are scripts that write what NixOS' own write: an entry for each generation of each profile. `bootctl`
//! wants firmware, so here a script sets the variable as `bootctl set-oneshot` does. The tests beside these run it itself.

use std::fs;
use std::path::{Path, PathBuf};

use slipway_domain::{AttemptId, StorePath};
use slipway_host::boot::{BootConfig, BootLoader, OnceJob, boot_clear, boot_once};
use slipway_host::testing::{ClosureSpec, NixRig};
use slipway_host::{HostConfig, HostOperations as _, Machine};

/// What `switch-to-configuration boot` runs first.
pub(super) const INSTALLER: &str = r#"
boot=@dir@/boot
profiles=@dir@/var/profiles
mkdir -p "$boot/grub" "$boot/loader/entries" "$boot/EFI/nixos"
rm -f "$boot"/loader/entries/*
touch "$boot/EFI/nixos/k.efi" "$boot/EFI/nixos/i.efi"
entry() {
  printf 'title NixOS%s\nsort-key nixos\nversion Generation %s x\n' "$1" "$2"
  printf 'linux /EFI/nixos/k.efi\ninitrd /EFI/nixos/i.efi\noptions init=%s/init quiet\n' "$3"
  echo 'machine-id 0123456789abcdef0123456789abcdef'
}
{
  echo 'if [ -s $prefix/grubenv ]; then load_env; fi'
  echo 'if [ "${next_entry}" ]; then set default="${next_entry}"; set next_entry=; save_env next_entry; fi'
  echo 'function savedefault {'
  echo '  true'
  echo '}'
  echo 'menuentry "NixOS - Default" --class nixos {'
  echo "  linux /kernel init=$self/init quiet"
  echo '}'
} > "$boot/grub/grub.cfg"
entry '' 1 "$self" > "$boot/loader/entries/nixos-generation-1.conf"
printf 'timeout 5\ndefault nixos-generation-1.conf\nconsole-mode keep\n' > "$boot/loader/loader.conf"
for link in "$profiles"/system-profiles/*-link; do
  [ -e "$link" ] || continue
  name=$(basename "$link" -link); number=${name##*-}; name=${name%-*}
  {
    echo "submenu \"NixOS - Profile '$name'\" --class submenu {"
    echo "menuentry \"NixOS - Configuration $number (a > b)\" --class nixos {"
    echo "  linux /kernel init=$(readlink -f "$link")/init quiet"
    echo '}'
    echo '}'
  } >> "$boot/grub/grub.cfg"
  entry " [$name]" "$number" "$(readlink -f "$link")" > "$boot/loader/entries/nixos-$name-generation-$number+3.conf"
done
"#;

/// As `bootctl --esp-path=… set-oneshot ENTRY`: attributes, then the entry in UTF-16, or no variable.
const BOOTCTL: &str = r#"#!/bin/sh
set -eu
variable=@dir@/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
if [ -z "$3" ]; then rm -f "$variable"; exit; fi
{ printf '\007\000\000\000'; printf '%s' "$3" | sed 's/./&\n/g' | tr '\n' '\000'; printf '\000\000'; } > "$variable"
"#;

pub(super) struct BootRig {
    pub(super) nix: NixRig,
    pub(super) config: HostConfig,
    pub(super) default: StorePath,
    pub(super) next: StorePath,
    pub(super) attempt: AttemptId,
}

impl BootRig {
    pub(super) async fn new(loader: BootLoader) -> Self {
        let nix = NixRig::new();
        let dir = nix.dir().to_owned();
        let spec = |version: &str| ClosureSpec::new(version, &dir.join("host")).write(&dir);
        let (default, next) = (nix.build(&spec("v1")), nix.build(&spec("v2")));
        for folder in ["boot/grub", "boot/loader/entries", "efivars", "units", "bin"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        let fill = |text: &str| text.replace("@dir@", &dir.display().to_string());
        fs::write(dir.join("host/knob-boot-v1"), fill(INSTALLER)).unwrap();
        let bootctl = dir.join("bin/bootctl");
        fs::write(&bootctl, fill(BOOTCTL)).unwrap();
        make_executable(&bootctl);
        let mut config = nix.host_config();
        config.boot = BootConfig {
            loader,
            dir: dir.join("boot"),
            esp: dir.join("boot"),
            efivars: dir.join("efivars"),
            units: dir.join("units"),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{}:{}", dir.join("bin").display(), path.display());
        config.unit_env.retain(|(name, _)| name != "PATH");
        config.unit_env.push(("PATH".to_owned(), path));
        let rig = Self {
            nix,
            config,
            default,
            next,
            attempt: AttemptId::random(),
        };
        rig.set_profile().await;
        rig
    }

    /// The default is what the profile names.
    async fn set_profile(&self) {
        let machine = Machine::new(self.config.clone()).unwrap();
        std::os::unix::fs::symlink(self.default.as_path(), &self.config.live_link).unwrap();
        let default = machine.admit_known(&self.default, true).await.unwrap();
        machine.set_profile(&default).await.unwrap();
    }

    fn job(&self) -> OnceJob {
        OnceJob {
            attempt: self.attempt,
            default: self.default.clone(),
            closure: self.next.clone(),
            prior: self.default.clone(),
            deadman_seconds: 1800,
        }
    }

    pub(super) async fn once(&self) -> Result<(), String> {
        let done = boot_once(&self.config, &self.job()).await;
        done.map_err(|error| error.to_string())
    }

    pub(super) async fn clear(&self) {
        boot_clear(&self.config, self.attempt, &self.default)
            .await
            .unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.nix.dir().join(file)).unwrap_or_default()
    }

    /// What GRUB boots once, by its own program.
    fn next_entry(&self) -> Option<String> {
        let env = self.config.boot.dir.join("grub/grubenv");
        let listed = std::process::Command::new("grub-editenv")
            .arg(env)
            .arg("list")
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let entry = listed.lines().find_map(|line| line.strip_prefix("next_entry="));
        entry.map(str::to_owned)
    }

    fn one_shot(&self) -> Option<String> {
        let variable = "efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
        let bytes = fs::read(self.nix.dir().join(variable)).ok()?;
        let text: Vec<u8> = bytes[4..].iter().copied().filter(|byte| *byte != 0).collect();
        String::from_utf8(text).ok()
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.nix.dir().join(folder)).into_iter().flatten();
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| !path.is_dir())
            .collect()
    }

    fn check_clean(&self) {
        assert_eq!((self.next_entry(), self.one_shot()), (None, None));
        for folder in [
            "units",
            "units/timers.target.wants",
            "var/profiles/system-profiles",
        ] {
            assert_eq!(self.files(folder), [""; 0].map(PathBuf::from), "{folder}");
        }
        assert!(!self.text("boot/grub/grub.cfg").contains("slipway-next"));
        assert_eq!(self.files("boot/loader/entries").len(), 1);
    }
}

pub(super) fn make_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn grub_boots_the_closure_once_and_its_menu_keeps_its_default() {
    let rig = BootRig::new(BootLoader::Grub).await;
    rig.once().await.unwrap();
    assert_eq!(
        rig.next_entry().as_deref(),
        Some("NixOS - Profile 'slipway-next'>NixOS - Configuration 1 (a >> b)")
    );
    let menu = rig.text("boot/grub/grub.cfg");
    let first = menu.find(&format!("init={}/init", rig.default)).unwrap();
    assert!(first < menu.find(&format!("init={}/init", rig.next)).unwrap());
    // A second run changes nothing, as after a kill.
    rig.once().await.unwrap();
    assert_eq!(
        menu.replace("Configuration 1", ""),
        rig.text("boot/grub/grub.cfg").replace("Configuration 1", "")
    );
    rig.clear().await;
    rig.check_clean();
    rig.clear().await;
}

#[tokio::test]
async fn systemd_boot_is_told_by_the_firmwares_variable() {
    let rig = BootRig::new(BootLoader::SystemdBoot).await;
    rig.once().await.unwrap();
    // Without the counter of boot counting.
    assert_eq!(
        rig.one_shot().as_deref(),
        Some("nixos-slipway-next-generation-1.conf")
    );
    assert_eq!(
        rig.text("boot/loader/loader.conf"),
        "timeout 5\ndefault nixos-generation-1.conf\nconsole-mode keep\n"
    );
    rig.clear().await;
    rig.check_clean();
}

#[tokio::test]
async fn the_next_boot_has_a_deadman_that_runs_the_priors_agent() {
    let rig = BootRig::new(BootLoader::Grub).await;
    rig.once().await.unwrap();
    let name = format!("slipway-deadman-{}-boot", rig.attempt);
    let service = rig.text(&format!("units/{name}.service"));
    for part in [
        format!(
            "ExecStart=\"slipway-agent\" revert {} --prior {}\n",
            rig.attempt, rig.default
        ),
        "Restart=on-failure\n".to_owned(),
        format!("Environment=\"NIX_STORE_DIR={}\"\n", rig.config.store_dir),
    ] {
        assert!(service.contains(&part), "{part:?} is not in {service}");
    }
    let timer = rig.text(&format!("units/{name}.timer"));
    assert!(timer.contains("OnBootSec=1800s\n"), "{timer}");
    let wants = rig
        .nix
        .dir()
        .join(format!("units/timers.target.wants/{name}.timer"));
    assert_eq!(
        fs::read_link(wants).unwrap(),
        rig.nix.dir().join(format!("units/{name}.timer"))
    );
    // systemd itself finds nothing to complain of.
    let checked = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(rig.nix.dir().join(format!("units/{name}.timer")))
        .output();
    if let Ok(checked) = checked {
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        let about_it: Vec<&str> = said
            .lines()
            .filter(|line| {
                line.contains(&name) && !line.contains("not executable") && !line.contains("absolute path")
            })
            .collect();
        assert_eq!(about_it, [""; 0]);
    }
}

#[tokio::test]
async fn a_commit_leaves_one_entry_for_the_closure() {
    let rig = BootRig::new(BootLoader::Grub).await;
    rig.once().await.unwrap();
    let machine = Machine::new(rig.config.clone()).unwrap();
    let next = machine.admit_known(&rig.next, true).await.unwrap();
    machine.set_profile(&next).await.unwrap();
    assert_eq!(
        rig.files("var/profiles/system-profiles"),
        [""; 0].map(PathBuf::from)
    );
}

#[tokio::test]
async fn an_installer_that_writes_no_entry_or_moves_the_default_is_found_out_before_the_boot() {
    let rig = BootRig::new(BootLoader::Grub).await;
    fs::write(rig.nix.dir().join("host/knob-boot-v1"), "").unwrap();
    fs::write(rig.nix.dir().join("boot/grub/grub.cfg"), "next_entry").unwrap();
    let error = rig.once().await.unwrap_err();
    assert!(
        error.contains("wrote no entry") && error.contains("AGENT_BOOT_DIR"),
        "{error}"
    );
    assert_eq!(rig.next_entry(), None);

    let rig = BootRig::new(BootLoader::SystemdBoot).await;
    let installer = INSTALLER.replace("@dir@", &rig.nix.dir().display().to_string());
    let moves = format!(
        "{installer}\necho 'default nixos-slipway-next-generation-1.conf' > \"$boot/loader/loader.conf\"\n"
    );
    fs::write(rig.nix.dir().join("host/knob-boot-v1"), moves).unwrap();
    let error = rig.once().await.unwrap_err();
    assert!(error.contains("the default, which it must not be"), "{error}");
    assert_eq!(rig.one_shot(), None);

    let rig = BootRig::new(BootLoader::Grub).await;
    fs::write(
        rig.nix.dir().join("host/knob-boot-v1"),
        "echo no room on /boot; exit 1",
    )
    .unwrap();
    let error = rig.once().await.unwrap_err();
    assert!(error.contains("no room on /boot"), "{error}");
}

#[tokio::test]
async fn what_somebody_else_told_the_boot_loader_stays() {
    let rig = BootRig::new(BootLoader::Grub).await;
    rig.once().await.unwrap();
    let env = rig.config.boot.dir.join("grub/grubenv");
    let set = std::process::Command::new("grub-editenv")
        .arg(&env)
        .args(["set", "next_entry=Memtest"])
        .status();
    assert!(set.unwrap().success());
    rig.clear().await;
    assert_eq!(rig.next_entry().as_deref(), Some("Memtest"));
}

#[tokio::test]
async fn what_cannot_be_told_says_why_and_what_to_do() {
    let rig = BootRig::new(BootLoader::None).await;
    // Its jobs are plain processes, as in demos: the machine is somebody else's.
    let machine = Machine::new(rig.config.clone()).unwrap();
    let obstacle = machine.boot_obstacle(&rig.default).await.unwrap();
    assert!(obstacle.contains("AGENT_RUNNER"), "{obstacle}");
    machine.reboot().await.unwrap_err();
    let mut config = rig.config.clone();
    config.runner = slipway_host::RunnerKind::Systemd;
    for (loader, cure) in [
        (BootLoader::None, "AGENT_BOOT_LOADER"),
        (BootLoader::SystemdBoot, "LoaderInfo"),
        (BootLoader::Grub, "let NixOS write it"),
    ] {
        config.boot.loader = loader;
        fs::write(rig.nix.dir().join("boot/grub/grub.cfg"), "menuentry").unwrap();
        let machine = Machine::new(config.clone()).unwrap();
        let obstacle = machine.boot_obstacle(&rig.next).await.unwrap();
        assert!(obstacle.contains(cure), "{obstacle}");
        // What boots anyway needs no boot loader.
        assert_eq!(machine.boot_obstacle(&rig.default).await, None);
    }
}
