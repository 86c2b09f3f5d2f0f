# The unit of a door: an nginx with one configuration, the files that it needs, and the firewall's line. A renewed file is
# taken at once. The doors of metrics and of logs are made of this.
{
  config,
  lib,
  pkgs,
}:
{
  # Of the unit and of its folder below /run.
  name,
  # What is behind it, for people.
  behind,
  # The option whose names `files` has.
  option,
  # By the option's names: certificate and key, perhaps authority and passwordsFile. None without TLS.
  files,
  configuration,
  # Who comes in from other hosts, and at which port.
  clients,
  port,
  memoryMax,
}:
let
  hardening = import ../../nix/lib/hardening.nix;
  folder = "/run/${name}";
  nginx = "${lib.getExe config.services.nginx.package} -e stderr -c ${pkgs.writeText "${name}.conf" configuration}";

  # Names a file that is missing, which systemd's own error does not. As root, into the unit's own folder.
  take = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "${name}-files";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.openssl
    ];
    text = builtins.readFile ./door-files.sh;
  };
  takes = lib.optional (files != { }) (
    "+"
    + lib.escapeShellArgs (
      [
        (lib.getExe take)
        option
        folder
      ]
      ++ lib.mapAttrsToList (what: file: "${what}=${file}") files
    )
  );
in
{
  systemd.services = {
    ${name} = {
      description = "Door to ${behind}";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening {
          # A second lock behind the firewall's.
          addresses = [ "localhost" ] ++ clients;
        }
        // {
          Type = "exec";
          DynamicUser = true;
          ExecStartPre = takes;
          ExecStart = nginx;
          ExecReload = takes ++ [ "${nginx} -s reload" ];
          RuntimeDirectory = name;
          RuntimeDirectoryMode = "0700";
          Restart = "always";
          RestartSec = 5;
          MemoryMax = memoryMax;
          TasksMax = 16;
        };
    };
    "${name}-renew" = lib.mkIf (files != { }) {
      description = "New certificate for the door to ${behind}";
      serviceConfig = hardening { capabilities = [ ]; } // {
        Type = "oneshot";
        ExecStart = "${config.systemd.package}/bin/systemctl try-reload-or-restart ${name}.service";
      };
    };
  };
  systemd.paths."${name}-renew" = lib.mkIf (files != { }) {
    description = "Another certificate of the door to ${behind}";
    wantedBy = [ "multi-user.target" ];
    pathConfig.PathChanged = map (file: "${file}") (lib.attrValues files);
  };
  networking.firewall = lib.mkIf (clients != [ ]) (
    import ../allow.nix { inherit config lib; } {
      inherit clients;
      ports = [ port ];
    }
  );
}
