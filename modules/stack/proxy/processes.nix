# How nginx runs: its processes, and how long those of a configuration that is gone may go on.
{ config, lib, ... }:
let
  contract = import ../../../nix/contract.nix;
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  proxied = lib.any (stack: stack.enable && stack.proxy.served != { }) (
    lib.attrValues config.services.slipway.stacks
  );

  ours = {
    worker_processes = "auto";
    # A long poll takes two connections.
    worker_rlimit_nofile = "65536";
    # Workers of a configuration that is gone end after the longest request.
    worker_shutdown_timeout = nginx.seconds (contract.times.requestSeconds + 10);
  };
  # nginx refuses a directive that comes twice.
  lacks =
    text: directive: _:
    builtins.match "(.*[;{}[:space:]])?${directive}[[:space:]].*" text == null;
in
{
  # What the host says itself wins, so this looks at all that was said.
  options.services.nginx.appendConfig = lib.mkOption {
    apply =
      text:
      if proxied then
        lib.concatStrings (
          lib.mapAttrsToList (directive: value: "${directive} ${value};\n") (
            lib.filterAttrs (lacks text) ours
          )
        )
        + text
      else
        text;
  };
}
