//! What systemd's own `bootctl` says of boot entries: what is booted once, and by default.
//!
//! The entries are copied to an image of a firmware's partition, made by `mkfs.vfat`. Where the kernel has no FAT, they are
//! copied out of it again, so that they went through that file system in any case. `bootctl` sees them as `/boot`, and a
//! folder as the firmware's variables, within a mount namespace of its own. It takes no image for a disk with partitions, so
//! `SYSTEMD_RELAX_ESP_CHECKS` is set. No firmware runs: a test deletes `LoaderEntryOneShot`, as systemd-boot does first.

use std::fs;
use std::path::Path;
use std::process::Command;

use slipway_domain::AttemptId;
use slipway_domain::drift::Override;
use slipway_host::boot::BootLoader;
use slipway_host::{HostOperations as _, Machine};

use super::boot::{BootRig, INSTALLER, make_executable};

/// As `bootctl`, of the rig's files. Its arguments come after the rig's folder.
const BOOTCTL: &str = r#"#!/bin/sh
set -eu
dir=@dir@
image=$(mktemp "$dir/esp.XXXXXX")
truncate -s 40M "$image"
mkfs.vfat -F 32 "$image" >/dev/null
mcopy -s -i "$image" "$dir/boot/EFI" "$dir/boot/loader" ::/
export image dir SYSTEMD_RELAX_ESP_CHECKS=1 MTOOLS_SKIP_CHECK=1
more=--user
[ "$(id -u)" != 0 ] || more=
exec unshare $more ${more:+--map-root-user} --mount --pid --fork sh -eu -c '
  root=$dir/root
  mkdir -p "$root"
  mount -t tmpfs tmpfs "$root"
  # Without the mark of a container in its root, in which bootctl takes no firmware for its own.
  for entry in /*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
    elif [ "$entry" = /boot ]; then mkdir "$root/boot"
    elif [ -d "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"; fi
  done
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/sys/firmware"
  mkdir -p "$root/sys/firmware/efi/efivars" "$root/boot"
  mount --bind "$dir/efivars" "$root/sys/firmware/efi/efivars"
  if ! mount -t vfat -o loop "$image" "$root/boot" 2>/dev/null; then
    mount -t tmpfs tmpfs "$root/boot"
    mcopy -s -n -i "$image" ::/EFI ::/loader "$root/boot"
  fi
  rm -f "$image"
  for word; do
    shift
    case "$word" in --esp-path=*) word=--esp-path=/boot ;; esac
    set -- "$@" "$word"
  done
  exec chroot "$root" @bootctl@ --no-pager "$@"
' sh "$@"
"#;

const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The rig with the real `bootctl` in the place of the stand-in.
async fn rig() -> BootRig {
    let rig = BootRig::new(BootLoader::SystemdBoot).await;
    let script = rig.nix.dir().join("bin/bootctl");
    // By its path: the script itself comes first where the agent's programs are looked up.
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("bootctl"));
    let real = found.into_iter().find(|file| file.exists());
    let real = real.expect("there is no bootctl: ./dev test gets it");
    let text = BOOTCTL
        .replace("@dir@", &rig.nix.dir().display().to_string())
        .replace("@bootctl@", &real.display().to_string());
    fs::write(&script, text).unwrap();
    make_executable(&script);
    let installer = INSTALLER.replace("@dir@", &rig.nix.dir().display().to_string());
    fs::write(rig.nix.dir().join("host/knob-boot-v2"), &installer).unwrap();
    // What systemd-boot leaves for who comes after it.
    set(&rig, "LoaderInfo", &utf16("systemd-boot 252"));
    set(&rig, "LoaderFeatures", &0xff_u64.to_le_bytes());
    switch_boot(rig.default.as_path());
    rig
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn variable(rig: &BootRig, name: &str) -> std::path::PathBuf {
    rig.nix.dir().join(format!("efivars/{name}-{VENDOR}"))
}

fn set(rig: &BootRig, name: &str, value: &[u8]) {
    fs::write(variable(rig, name), [&[7, 0, 0, 0], value].concat()).unwrap();
}

fn bootctl(rig: &BootRig, arguments: &[&str]) -> String {
    let ran = Command::new(rig.nix.dir().join("bin/bootctl"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{arguments:?}: {text}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    text
}

fn switch_boot(closure: &Path) {
    let script = closure.join("bin/switch-to-configuration");
    let status = Command::new(script).arg("boot").status().unwrap();
    assert!(status.success());
}

/// The system that the next boot brings, by `bootctl status`.
fn boots(rig: &BootRig) -> String {
    let said = bootctl(rig, &["--esp-path=x", "status"]);
    let default = said.split("Default Boot Loader Entry").nth(1).unwrap_or_default();
    let line = default.lines().find(|line| line.trim().starts_with("options:"));
    let init = line.and_then(|line| line.split("init=").nth(1));
    let init = init.and_then(|init| init.split("/init").next());
    init.unwrap_or_else(|| panic!("bootctl knows no default: {said}"))
        .to_owned()
}

/// systemd-boot forgets it before it starts it.
fn power_cycle(rig: &BootRig) -> String {
    let booted = boots(rig);
    let _ = fs::remove_file(variable(rig, "LoaderEntryOneShot"));
    booted
}

fn seen(rig: &BootRig, under_way: Option<AttemptId>) -> Vec<Override> {
    let machine = Machine::new(rig.config.clone()).unwrap();
    let found = machine.overrides(&machine.observe(), under_way).unwrap();
    found.into_iter().filter(|one| one.boot).collect()
}

#[tokio::test]
async fn bootctl_says_what_is_booted_once_after_a_power_cut_and_after_a_commit() {
    let rig = rig().await;
    let (default, next) = (rig.default.to_string(), rig.next.to_string());
    assert_eq!(boots(&rig), default);
    let listed = bootctl(&rig, &["--esp-path=x", "list", "--json=short"]);
    assert!(listed.contains("nixos-generation-1.conf"), "{listed}");

    rig.once().await.unwrap();
    assert_eq!(boots(&rig), next, "the release, once");
    assert_eq!(seen(&rig, Some(rig.attempt)), [], "the agent's own");
    let leftover = seen(&rig, None);
    assert_eq!(leftover[0].found, format!("{next}, once"));
    let listed = bootctl(&rig, &["--esp-path=x", "list", "--json=short"]);
    assert!(
        listed.contains("nixos-slipway-next-generation-1.conf"),
        "without its tries: {listed}"
    );

    // The release hangs, and somebody cycles the power: the prior comes back.
    assert_eq!(power_cycle(&rig), next);
    assert_eq!(power_cycle(&rig), default);
    rig.clear().await;
    assert_eq!(boots(&rig), default);

    // The release comes up and is committed.
    rig.once().await.unwrap();
    assert_eq!(power_cycle(&rig), next);
    let machine = Machine::new(rig.config.clone()).unwrap();
    let committed = machine.admit_known(&rig.next, true).await.unwrap();
    machine.set_profile(&committed).await.unwrap();
    // The profile names it and the boot loader does not yet: a power cut here brings the prior.
    assert_eq!(boots(&rig), default);
    switch_boot(rig.next.as_path());
    assert_eq!(boots(&rig), next, "by default");
    assert_eq!(seen(&rig, None), []);
}

#[tokio::test]
async fn what_somebody_tells_systemd_boot_is_found_as_bootctl_says_it() {
    let rig = rig().await;
    let (default, next) = (rig.default.to_string(), rig.next.to_string());
    assert_eq!(seen(&rig, None), []);
    // An entry of another system, and one that is none.
    let folder = rig.nix.dir().join("boot/loader/entries");
    let entry = |init: &str| {
        format!("title x\nsort-key nixos\nversion Generation 9 x\nlinux /EFI/nixos/k.efi\n{init}\n")
    };
    fs::write(
        folder.join("nixos-generation-9.conf"),
        entry(&format!("options init={next}/init")),
    )
    .unwrap();
    fs::write(folder.join("memtest.conf"), entry("")).unwrap();
    let other = [Override::boot(default.clone(), next.clone())];

    // The variable, a pattern, and the file, which somebody edits.
    for id in ["nixos-generation-9.conf", "nixos-generation-[2-9].conf"] {
        bootctl(&rig, &["--esp-path=x", "set-default", id]);
        assert_eq!(
            (seen(&rig, None), boots(&rig)),
            (other.to_vec(), next.clone()),
            "{id}"
        );
    }
    bootctl(&rig, &["--esp-path=x", "set-default", ""]);
    assert_eq!((seen(&rig, None), boots(&rig)), (Vec::new(), default.clone()));
    let conf = rig.nix.dir().join("boot/loader/loader.conf");
    for text in [
        "timeout 5\ndefault nixos-generation-9.conf\n",
        "timeout 5\n",
        "default nothing.conf\n",
    ] {
        fs::write(&conf, text).unwrap();
        assert_eq!(
            (seen(&rig, None), boots(&rig)),
            (other.to_vec(), next.clone()),
            "{text}"
        );
    }
    switch_boot(rig.default.as_path());
    assert_eq!((seen(&rig, None), boots(&rig)), (Vec::new(), default.clone()));

    fs::write(folder.join("memtest.conf"), entry("")).unwrap();
    bootctl(&rig, &["--esp-path=x", "set-oneshot", "memtest.conf"]);
    let once = "the boot entry memtest.conf, once".to_owned();
    assert_eq!(seen(&rig, None), [Override::boot(default.clone(), once)]);
    let _ = fs::remove_file(variable(&rig, "LoaderEntryOneShot"));
    assert_eq!((seen(&rig, None), boots(&rig)), (Vec::new(), default));
}

#[tokio::test]
async fn what_somebody_tells_grub_is_found_by_its_own_programs_file() {
    let rig = BootRig::new(BootLoader::Grub).await;
    let (default, next) = (rig.default.to_string(), rig.next.to_string());
    switch_boot(rig.default.as_path());
    assert_eq!(seen(&rig, None), []);
    let menu = rig.nix.dir().join("boot/grub/grub.cfg");
    let usual = fs::read_to_string(&menu).unwrap();
    let more = format!(
        "{usual}menuentry 'Memory test' --id memtest {{\n linux /memtest\n}}\nsubmenu \"Old > older\" {{\nmenuentry \"One\" {{\n linux /k init={next}/init\n}}\n}}\n"
    );
    fs::write(&menu, &more).unwrap();
    let env = rig.config.boot.dir.join("grub/grubenv");
    let made = Command::new("grub-editenv").arg(&env).arg("create").status();
    assert!(made.unwrap().success());
    let tell = |name: &str, value: &str| {
        let set = format!("{name}={value}");
        let status = Command::new("grub-editenv")
            .arg(&env)
            .args(["set", &set])
            .status();
        assert!(status.unwrap().success());
    };
    let once = |found: &str| [Override::boot(default.clone(), format!("{found}, once"))];
    for (entry, found) in [
        ("memtest", "the boot entry Memory test".to_owned()),
        ("Memory test", "the boot entry Memory test".to_owned()),
        ("Old >> older>One", next.clone()),
        ("2", next.clone()),
        ("2>0", next.clone()),
    ] {
        tell("next_entry", entry);
        assert_eq!(seen(&rig, None), once(&found), "{entry}");
    }
    // The first entry is what boots anyway, and what GRUB takes for one that there is not.
    for entry in ["0", "NixOS - Default", "nothing", ""] {
        tell("next_entry", entry);
        assert_eq!(seen(&rig, None), [], "{entry}");
    }
    // A saved entry counts where the menu asks for it.
    tell("saved_entry", "Old >> older>One");
    assert_eq!(seen(&rig, None), []);
    let other = [Override::boot(default.clone(), next)];
    for set in [
        "set default=\"${saved_entry}\"",
        "set default=2",
        "set default=\"2>One\"",
    ] {
        fs::write(&menu, format!("{set}\n{more}")).unwrap();
        assert_eq!(seen(&rig, None), other, "{set}");
    }
}
