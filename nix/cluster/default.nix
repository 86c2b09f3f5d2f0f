# Postgres that survives the loss of any one of three hosts, as data: etcd, Patroni and HAProxy. Only builtins, so that it
# is evaluated without NixOS. modules/cluster runs it on hosts; deploy/cluster has it for three members on one machine.
let
  defaults = import ./defaults.nix;
  lib = import ./lib.nix;
  yaml = import ../lib/yaml.nix;
  dynamic = import ./dynamic.nix;

  # What callers leave out. { name, members = { ha-1 = { address = …; }; … }, files, … }
  complete =
    given:
    {
      serverName = "${given.name}.cluster.internal";
      synchronous = "on";
      watchdog = "automatic";
      sources = [ ];
      account = "postgres";
      settings = { };
      hba = [ ];
      identities = [ ];
      archive = null;
      initdb = [
        "data-checksums"
        { encoding = "UTF8"; }
        { locale = "C"; }
      ];
      listen = "127.0.0.1";
      metricsOf = null;
      maxConnections = 4000;
    }
    // defaults
    // given
    // {
      ports = defaults.ports // (given.ports or { });
      times = defaults.times // (given.times or { });
      disk = defaults.disk // (given.disk or { });
    };
  # The configuration takes of it what it knows.
  call =
    file: given:
    let
      function = import file;
      all = complete given;
    in
    function (builtins.intersectAttrs (builtins.functionArgs function) all);

  etcd = call ./etcd.nix;
  patroni = call ./patroni.nix;
  haproxy = call ./haproxy.nix;
  diskGuard = {
    environment = call ./disk-guard.nix;
    # Changes to the cluster need operator.sh.
    script = builtins.readFile ./operator.sh + builtins.readFile ./disk-guard.sh;
  };
  example = import ./example.nix;
in
{
  inherit
    complete
    defaults
    diskGuard
    dynamic
    etcd
    haproxy
    lib
    patroni
    ;
  # By path in deploy/cluster/.
  files =
    builtins.listToAttrs (
      builtins.concatMap (
        member:
        let
          of = example // {
            inherit member;
            files = example.files member;
          };
        in
        [
          {
            name = "${member}/etcd.env";
            value = lib.environmentFile (etcd of);
          }
          {
            name = "${member}/patroni.yaml";
            value = yaml.document (patroni of);
          }
          {
            name = "${member}/haproxy.cfg";
            value = haproxy of;
          }
          {
            name = "${member}/disk-guard.env";
            value = lib.environmentFile (diskGuard.environment of);
          }
        ]
      ) (lib.names example.members)
    )
    // {
      "disk-guard.sh" = diskGuard.script;
    }
    // import ./redis-example.nix;
}
