# Certificates on every member. An authority asks the floating address, and so whoever has it: what this member does not know
# of a challenge (HTTP-01), it asks the others. Each gets certificates of its own, and no private key travels.
{ config, lib, ... }:
let
  contract = import ../../nix/contract.nix;
  groups = import ./groups.nix { inherit config lib; };
  on = groups != { };
  peers = lib.unique (lib.concatMap (group: lib.attrValues group.peers) (lib.attrValues groups));
  served = lib.mergeAttrsList (
    map (stack: stack.proxy.served) (
      lib.filter (stack: stack.enable) (lib.attrValues config.services.slipway.stacks)
    )
  );
  challenged = lib.filterAttrs (
    _: domain:
    let
      tls = domain.tls.inUse;
    in
    tls.dnsProvider == null && (tls.isAcme || tls.useACMEHost != null)
  ) served;
  path = "^~ /.well-known/acme-challenge/";
  relay = "slipway-challenges";
in
{
  config = lib.mkIf (on && challenged != { } && peers != [ ]) {
    services.nginx = {
      upstreams.${relay}.servers =
        lib.genAttrs (map (address: "${address}:${toString contract.ports.floating}") peers)
          (_: {
            max_fails = 0;
          });
      virtualHosts =
        lib.mapAttrs (_: _: {
          acmeFallbackHost = "127.0.0.1:${toString contract.ports.floatingRelay}";
        }) challenged
        // {
          # Its files, for the others. It asks nobody, or a challenge that none knows would go round.
          slipway-floating.locations.${path} = {
            root = "/var/lib/acme/acme-challenge";
          };
          # Each of the others, until one knows the challenge.
          ${relay} = {
            serverName = relay;
            listen = [
              {
                addr = "127.0.0.1";
                port = contract.ports.floatingRelay;
                ssl = false;
              }
            ];
            locations = {
              ${path} = {
                proxyPass = "http://${relay}";
                extraConfig = ''
                  proxy_connect_timeout 2s;
                  proxy_read_timeout 5s;
                  proxy_next_upstream error timeout http_403 http_404;
                '';
              };
              "/".return = "404";
            };
            extraConfig = "access_log off;";
          };
        };
    };
  };
}
