# hosts/team: two stacks side by side, and what the host has apart from them.
{
  host,
  refused,
  lib,
  pkgs,
  ...
}:
let
  inherit (import ../../nix/containers) compose;
  common = {
    security.acme = {
      acceptTerms = true;
      defaults.email = "ops@example.com";
    };
    # It covers the whole server, and goes with the backups of one stack.
    services.slipway.backup.archive.enable = false;
  };
  both = host [ ../../hosts/team ];
  alone = host [
    common
    ../../hosts/team/desk.nix
    ../../hosts/team/grafana.nix
  ];
  beside = host [
    common
    ../../hosts/team
  ];
  # Everything of the stack `desk`: units with their text, files in /etc, and what nginx makes of its domains.
  ofDesk =
    config:
    let
      units = lib.filterAttrs (name: _: lib.hasPrefix "desk" name) config.systemd.units;
      domains = lib.attrNames config.services.slipway.stacks.desk.domains;
    in
    {
      units = lib.mapAttrs (_: unit: unit.text) units;
      facts = config.environment.etc."slipway/stacks/desk.json".text;
      sites = lib.mapAttrs (_: site: {
        inherit (site) locations extraConfig;
      }) (lib.filterAttrs (name: _: lib.elem name domains) config.services.nginx.virtualHosts);
    };
  # What differs, by name.
  changed =
    one: other:
    lib.filterAttrs (_: different: different != [ ]) (
      lib.mapAttrs (
        kind: values:
        if lib.isAttrs values then
          lib.filter (name: (values.${name} or null) != (other.${kind}.${name} or null)) (
            lib.attrNames (values // other.${kind})
          )
        else
          lib.optional (values != other.${kind}) kind
      ) one
    );
in
[
  {
    name = "hosts/team has no contradictions";
    got = refused [ ../../hosts/team ];
    want = [ ];
  }
  {
    name = "hosts/team: each stack has its units, and the names say whose they are";
    got = lib.mapAttrs (_: stack: stack.units) both.services.slipway.stacks;
    want = {
      reader = [
        "reader-hooks-1.service"
        "reader-pushgateway-1.service"
        "reader-web-1.service"
        "reader-jobs.service"
        "reader-cleanup.timer"
      ];
      desk = [
        "desk-calendar-1.service"
        "desk-history-1.service"
        "desk-notices-1.service"
      ];
    };
  }
  {
    name = "hosts/team: a second stack changes nothing of the first";
    got = changed (ofDesk alone) (ofDesk beside);
    want = { };
  }
  {
    name = "hosts/team: a second stack reloads the database server, and does not restart it";
    got =
      let
        lines =
          config:
          lib.partition (lib.hasPrefix "X-Reload") (
            lib.splitString "\n" config.systemd.units."postgresql.service".text
          );
      in
      {
        restarted = (lines alone).wrong != (lines beside).wrong;
        reloaded = (lines alone).right != (lines beside).right;
      };
    want = {
      restarted = false;
      reloaded = true;
    };
  }
  {
    name = "hosts/team: its stacks become containers once they have ports there";
    got =
      lib.mapAttrs
        (
          name: file:
          (compose {
            inherit pkgs name;
            stack = (import file { inherit lib pkgs; }).services.slipway.stacks.${name};
          }).problems
        )
        {
          reader = ../../hosts/team/reader.nix;
          desk = ../../hosts/team/desk.nix;
        };
    want = {
      reader = [
        "services.web.listen.port is not set, and in containers every service is reached by a port: set it."
      ];
      desk = [
        "services.notices.listen.port is not set, and in containers every service is reached by a port: set it."
      ];
    };
  }
  {
    name = "hosts/team: Grafana's site and database are beside those of the stacks";
    got = {
      site = both.services.nginx.virtualHosts."grafana.example.com".locations."/".proxyPass;
      databases = both.services.postgresql.ensureDatabases;
    };
    want = {
      site = "http://127.0.0.1:3000";
      databases = [ "grafana" ];
    };
  }
]
