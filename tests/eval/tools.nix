# What suites and snapshots share: hosts with the modules, and stand-ins for our packages.
{
  pkgs,
  agenix ? null,
}:
let
  inherit (pkgs) lib;

  # With a name to run, and nothing inside: no test builds anything.
  standIn = name: (pkgs.writeText name "") // { meta.mainProgram = name; };
  packages = lib.genAttrs [
    "slipway"
    "slipway-agent"
    "slipway-api"
    "slipway-backup"
    "slipway-worker"
  ] standIn;
  bare = {
    imports = [ ../../hosts/placeholder.nix ];
    networking.hostName = lib.mkDefault "host-1";
    documentation.enable = false;
  };
  base = {
    imports = [
      bare
      ../../modules
    ];
    services.slipway = { inherit packages; };
  };
in
rec {
  inherit
    agenix
    lib
    pkgs
    standIn
    ;
  # As the flake exports them, around the stand-ins.
  nixosModules = import ../../nix/modules.nix {
    self.packages.${pkgs.stdenv.hostPlatform.system} = packages;
    inherit agenix;
  };
  # With nothing of ours but what is given.
  plain = modules: (pkgs.nixos ([ bare ] ++ modules)).config;
  host = modules: (pkgs.nixos ([ base ] ++ modules)).config;
  refused =
    modules: map (failed: failed.message) (lib.filter (a: !a.assertion) (host modules).assertions);
  # It does not end with two marks, or with a list of nothing.
  isSentence = message: builtins.match ".*[ .?][.]" message == null;
  # The host is refused with exactly one message, which has all these words.
  says = name: words: modules: {
    inherit name;
    got =
      let
        messages = refused modules;
      in
      if
        lib.length messages == 1
        && lib.all (word: lib.hasInfix word (lib.head messages)) words
        && isSentence (lib.head messages)
      then
        "refused"
      else
        messages;
    want = "refused";
  };
  # As `says`, but the host may be refused for more than that.
  saysAmong = name: words: modules: {
    inherit name;
    got =
      let
        messages = refused modules;
      in
      if lib.any (message: lib.all (word: lib.hasInfix word message) words) messages then
        "refused"
      else
        messages;
    want = "refused";
  };
  stack = options: {
    services.slipway.stacks.shop = lib.mkMerge [
      {
        services.api = {
          preset = "api";
          package = standIn "shop";
        };
        services.worker = {
          preset = "worker";
          package = standIn "shop";
        };
      }
      options
    ];
  };
}
