# What the modules make of options: a list of what is wrong, which must be empty. A suite is a file with a function to a
# list of { name, got, want }; it gets
#
#   host MODULES      the configuration of a host with the modules and stand-ins for our packages
#   plain MODULES     the same without our modules
#   nixosModules      what the flake exports
#   refused MODULES   the messages of the assertions that fail on it
#   says NAME WORDS MODULES   the case that exactly one assertion fails, and its message has all these words
#   saysAmong NAME WORDS MODULES   the same, but other assertions may fail as well
#   stack OPTIONS     a module with the stack `shop`, which runs, with these options on top
#   mkWorkspace       of the flake's lib; `workspaceProblems` gives the mistakes that it throws
#   standIn NAME      a package with a program of that name, and nothing inside
{
  pkgs,
  agenix,
  mkWorkspace,
  workspaceProblems,
}:
let
  inherit (pkgs) lib;

  suites = [
    ./stack.nix
    ./shapes.nix
    ./captured.nix
    ./assertions.nix
    ./names.nix
    ./jobs.nix
    ./agent.nix
    ./control-plane.nix
    ./hosts.nix
    ./hosts-ha.nix
    ./template.nix
    ./images.nix
    ./environment.nix
    ./proxy.nix
    ./routes.nix
    ./routes-certificates.nix
    ./routes-refused.nix
    ./cache.nix
    ./network.nix
    ./cluster.nix
    ./cluster-agent.nix
    ./cluster-backup.nix
    ./cluster-refused.nix
    ./cluster-redis.nix
    ./secrets.nix
    ./snapshots.nix
    ./database.nix
    ./database-rights.nix
    ./database-refused.nix
    ./backup.nix
    ./backup-archive.nix
    ./facts.nix
    ./monitoring-rules.nix
    ./monitoring.nix
    ./monitoring-refused.nix
    ./grafana.nix
    ./logs.nix
    ./traces.nix
    ./store.nix
    ./telemetry.nix
    ./options.nix
    ./renderings.nix
    ./renderings-proxy.nix
    ./renderings-refused.nix
    ./modules.nix
    ./neighbours.nix
    ./docs.nix
    ./workspaces.nix
  ];

  tools = import ./tools.nix { inherit pkgs agenix; } // {
    inherit mkWorkspace workspaceProblems;
  };

  verdict =
    {
      name,
      got,
      want,
    }:
    lib.optional (got != want) "${name}: got ${builtins.toJSON got}, want ${builtins.toJSON want}";
  run =
    suite:
    let
      cases = import suite tools;
    in
    # A suite without cases would pass for ever.
    if cases == [ ] then [ "${toString suite}: has no cases" ] else lib.concatMap verdict cases;
in
lib.concatMap run suites
