use super::*;

const MENU: &str = r#"
if [ "${next_entry}" ]; then
  set default="${next_entry}"
fi
function savedefault {
    if [ -z "${boot_once}"]; then
    save_env saved_entry
    fi
}
menuentry "NixOS - Default" --class nixos --unrestricted {
  linux ($drive1)//kernels/k init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-new/init loglevel=4
}
submenu "NixOS - All configurations" --class submenu {
menuentry "NixOS - Configuration 7" --class nixos {
  linux ($drive1)//kernels/k init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-new/init loglevel=4
}
}
submenu "NixOS - Profile 'other'" --class submenu {
menuentry "NixOS - Configuration 1" --class nixos {
  linux ($drive1)//kernels/k init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-new/init loglevel=4
}
}
submenu "NixOS - Profile 'slipway-next'" --class submenu {
menuentry "NixOS - Configuration 2 (2026-11-30 - 26.05 > x)" --class nixos {
  linux ($drive1)//kernels/k init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-newer/init loglevel=4
}
menuentry "NixOS - Configuration 1" --class nixos {
  linux ($drive1)//kernels/k init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-new/init loglevel=4
}
}
"#;

#[test]
fn an_entry_is_found_in_our_profile_alone_and_named_with_its_menu() {
    let closure = |name: &str| {
        format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
            .parse()
            .unwrap()
    };
    assert_eq!(
        menu::entry_of(MENU, &closure("new")).as_deref(),
        Some("NixOS - Profile 'slipway-next'>NixOS - Configuration 1")
    );
    assert_eq!(
        menu::entry_of(MENU, &closure("newer")).as_deref(),
        Some("NixOS - Profile 'slipway-next'>NixOS - Configuration 2 (2026-11-30 - 26.05 >> x)")
    );
    assert_eq!(menu::entry_of(MENU, &closure("old")), None);
}

/// The menu of one entry with these lines, and the system that it boots by default.
fn default_of(lines: &str) -> Option<String> {
    let menu = format!("menuentry \"NixOS\" {{\n{lines}\n}}\n");
    let default = menu::picks(&menu, "").default.unwrap();
    default
        .closure
        .map(|closure| closure.base_name()[33..].to_owned())
}

#[test]
fn the_last_system_on_a_line_that_is_carried_out_is_booted() {
    let init = |name: &str| format!("init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}/init");
    let (old, new) = (init("old"), init("new"));
    assert_eq!(default_of(&format!("linux /k {old}")).as_deref(), Some("old"));
    assert_eq!(
        default_of(&format!("linux /k {old} {new}")).as_deref(),
        Some("new")
    );
    assert_eq!(
        default_of(&format!("linux /k {new}\n# linux /k {old}")).as_deref(),
        Some("new")
    );
    assert_eq!(
        default_of(&format!("multiboot /xen\nmodule /k {old}")).as_deref(),
        Some("old")
    );
    assert_eq!(default_of(&format!("linux /k {old} init=/bin/sh")), None);
}

#[test]
fn menus_within_menus_without_end_are_cut_off() {
    let menu = format!("{}{}", "submenu x {\n".repeat(200_000), "}\n".repeat(200_000));
    assert_eq!(
        menu::picks(&menu, "").default.map(|pick| pick.closure),
        Some(None)
    );
}

#[test]
fn a_file_system_that_grub_cannot_write_to_would_boot_it_for_ever() {
    let mounts = |boot: &str| {
        format!(
            "21 1 8:2 / / rw - btrfs /dev/sda2 rw\n22 21 0:5 / /proc rw - proc proc rw\n33 21 8:1 / /nowhere/boot rw shared:1 - {boot} rw\n"
        )
    };
    let dir = Path::new("/nowhere/boot");
    assert_eq!(unwritable(&mounts("ext4 /dev/sda1"), dir), None);
    assert_eq!(unwritable(&mounts("vfat /dev/nvme0n1p1"), dir), None);
    for (boot, on) in [
        ("btrfs /dev/sda1", "write to btrfs"),
        ("zfs boot", "write to zfs"),
        ("ext4 /dev/mapper/vg-boot", "LVM"),
        ("ext4 /dev/md0", "software RAID"),
    ] {
        let why = unwritable(&mounts(boot), dir).unwrap();
        assert!(why.contains(on) && why.contains("put /boot on ext4"), "{why}");
    }
    // Without a file system of its own it is on the root's.
    assert!(unwritable("21 1 8:2 / / rw - btrfs /dev/sda2 rw\n", dir).is_some());
}
