# /etc/slipway/stacks/<name>.json: what `slipway verify` looks at when it runs on this host.
{ config, lib, ... }:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  contract = import ../../nix/contract.nix;

  facts =
    name: stack:
    let
      names = namesOf name stack;
      proxy = stack.proxy or { enable = false; };
      domain = if proxy.enable then proxy.domain else null;
    in
    {
      inherit name domain;
      health_url = lib.mapNullable (domain: "https://${domain}${contract.paths.health}") domain;
      local_health_url =
        if proxy.enable then
          "http://127.0.0.1:${toString proxy.pingPort}${contract.paths.health}"
        else
          null;
      units =
        stack.units
        ++ lib.optional stack.migrations.enable "${names.migrate}.service"
        ++ [ "${names.roll}.service" ];
      inherit (stack.api) sockets;
      metrics = lib.mapAttrsToList (unit: address: {
        inherit unit address;
        url = "http://${address}${contract.paths.metrics}";
      }) stack.metrics.addresses;
      backup_status_url =
        if (stack.backup.enable or false) then
          "http://127.0.0.1:${toString (contract.ports.backupMetrics or 9103)}/status"
        else
          null;
    };
in
{
  environment.etc = lib.mapAttrs' (
    name: stack:
    lib.nameValuePair "slipway/stacks/${name}.json" { text = builtins.toJSON (facts name stack); }
  ) stacks;
}
