# A host's description of its stacks for `slipway verify` matches its units.
{
  host,
  stack,
  lib,
  ...
}:
let
  facts =
    more:
    builtins.fromJSON
      (host [
        (stack { })
        more
      ]).environment.etc."slipway/stacks/shop.json".text;
  ofFirewall = lib.filter (unit: unit == "nftables.service" || unit == "firewall.service");
in
[
  {
    name = "the backups are asked where their exporter listens";
    got = map (more: (facts more).backup.statusUrl) [
      { }
      { services.slipway.backup.exporter.port = 9203; }
    ];
    want = [
      "http://127.0.0.1:9103/status"
      "http://127.0.0.1:9203/status"
    ];
  }
  {
    name = "the firewall that there is must be active";
    got = map (more: ofFirewall (facts more).units) [
      { }
      { virtualisation.docker.enable = true; }
      {
        networking.firewall.enable = false;
        services.slipway.network.enable = false;
      }
    ];
    want = [
      [ "nftables.service" ]
      [ "firewall.service" ]
      [ ]
    ];
  }
]
