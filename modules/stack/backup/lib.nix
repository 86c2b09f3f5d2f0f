# What the files about backups share.
{ config, lib }:
let
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.backup.enable
  ) config.services.slipway.stacks;
  day = 24 * 60 * 60;
in
rec {
  inherit stacks;
  # Reads the database and owns the backups.
  user = "slipway-backup";
  folder = name: "/var/lib/slipway-backup/${name}";
  dumps =
    name: stack:
    if stack.backup.directory == null then "${folder name}/dumps" else stack.backup.directory;
  # One server a host has one archive.
  archived = lib.filterAttrs (_: stack: stack.backup.pitr.enable) stacks;
  stanza = "main";

  # The kinds of work that a stack's backups consist of: the schedule of each, its bounds and its account.
  kinds =
    _: stack:
    let
      inherit (stack.backup)
        dump
        pitr
        offsite
        verify
        drill
        ;
    in
    lib.filterAttrs (_: kind: kind.enable) {
      dump = {
        enable = true;
        what = "dump";
        command = "now --kind dump";
        inherit (dump) schedule timeoutSeconds lateAfterSeconds;
        inherit user;
      };
      wal-base = {
        inherit (pitr)
          enable
          schedule
          timeoutSeconds
          lateAfterSeconds
          ;
        what = "base backup";
        command = "now --kind wal-base";
        # Reads the server's own files.
        user = "postgres";
      };
      offsite = {
        inherit (offsite)
          enable
          schedule
          timeoutSeconds
          lateAfterSeconds
          ;
        what = "off-site copy";
        command = "now --kind offsite";
        inherit user;
      };
      verify = {
        inherit (verify)
          enable
          schedule
          timeoutSeconds
          lateAfterSeconds
          ;
        what = "verification of what is kept";
        command = "verify";
        inherit user;
      };
      drill = {
        inherit (drill)
          enable
          schedule
          timeoutSeconds
          lateAfterSeconds
          ;
        what = "restore drill";
        command = "drill";
        inherit user;
      };
    };
  inherit day;
}
