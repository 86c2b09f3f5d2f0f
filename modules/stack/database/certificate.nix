# slipway-database-certificate.service: gives the server its certificate, at its start and when the files change, as
# after a renewal by ACME. The server loads it without a restart.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  hardening = import ../../../nix/lib/hardening.nix;
  files = import ./certificate-files.nix;
  inherit (database.server.network) certificateFile keyFile;
  # A member of a cluster has that cluster's certificate.
  used =
    !database.cluster.member
    && lib.any (stack: stack.database.network.tls) (lib.attrValues database.networked);

  script = import ../../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-database-certificate";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.openssl
      config.services.postgresql.finalPackage
    ];
    text = ''
      given=$CREDENTIALS_DIRECTORY
      # The two files do not change in one step: the unit never passes on a pair that does not
      # match.
      if ! cmp --silent <(openssl x509 -in "$given/certificate" -noout -pubkey) <(openssl pkey -in "$given/key" -pubout); then
        echo "services.slipway.database.network: ${toString certificateFile} is not of the key ${toString keyFile}; the server keeps the one that it has" >&2
        exit 1
      fi
      for name in certificate key; do
        install --mode=0600 "$given/$name" "${files.folder}/$name.pem.new"
      done
      mv ${files.key}.new ${files.key}
      mv ${files.certificate}.new ${files.certificate}
      # A server that is not up yet reads it at its start.
      psql --dbname=postgres --no-psqlrc --quiet -tAc 'SELECT pg_reload_conf()' > /dev/null 2>&1 || true
    '';
  };
in
{
  config = lib.mkIf used {
    systemd.services.slipway-database-certificate = {
      description = "Certificate of Postgres";
      before = [ "postgresql.service" ];
      wantedBy = [ "postgresql.service" ];
      environment.PGPORT = toString database.port;
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening { } // {
        Type = "oneshot";
        ExecStart = lib.getExe script;
        User = "postgres";
        Group = "postgres";
        LoadCredential = [
          "certificate:${toString certificateFile}"
          "key:${toString keyFile}"
        ];
        RuntimeDirectory = baseNameOf files.folder;
        RuntimeDirectoryMode = "0700";
        RuntimeDirectoryPreserve = true;
        # The other file of the pair, or a mount, may be a moment late.
        Restart = "on-failure";
        RestartSec = 5;
        TimeoutStartSec = 60;
      };
    };
    systemd.paths.slipway-database-certificate = {
      description = "A new certificate for Postgres";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = [
        (toString certificateFile)
        (toString keyFile)
      ];
    };
  };
}
