# What the units of services and jobs have in common: the program, its surroundings, its bounds and its sandbox.
#
#   programOf name stack what program { environment, serviceConfig, writable, ports } -> part of a unit
{
  lib,
  utils,
}:
let
  hardening = import ../../nix/lib/hardening.nix;
  values = import ../../nix/stack/values.nix { inherit lib; };
  namesOf = import ./names.nix { inherit lib; };

  # systemd reads `%`, `$` and quotes in a command, and `%` in a variable. Its own form of `$(NAME)` is `${NAME}`.
  word =
    text:
    if builtins.match "[A-Za-z0-9_./:=@,+-]+" text != null then
      text
    else
      values.substituted "[$][$]" (variable: "\${${variable}}") (utils.escapeSystemdExecArg text);
  literal = lib.replaceStrings [ "%" ] [ "%%" ];

  # ProtectHome would close these again.
  isHome = path: builtins.match "/(home|root|run/user)(/.*)?" path != null;
in
name: stack: what: program:
{
  environment ? { },
  serviceConfig ? { },
  writable ? [ ],
  # What it may listen on, besides its extraPorts.
  ports ? [ ],
}:
let
  inherit (program) limits;
  high = if limits.memoryHighMiB != null then limits.memoryHighMiB else limits.memoryMiB * 9 / 10;
  secrets = values.secrets stack program;
  homes = lib.partition isHome program.writablePaths;
in
{
  after = [ "network.target" ] ++ stack.requires;
  partOf = [ (namesOf name stack).target ];
  inherit (program) path;
  environment =
    environment
    // lib.mapAttrs (_: literal) (values.environment stack program)
    // lib.optionalAttrs program.secretFiles (
      lib.mapAttrs' (secret: _: lib.nameValuePair "${secret}_FILE" "%d/${secret}") secrets
    );
  # No number of failures keeps it dead.
  unitConfig.StartLimitIntervalSec = 0;
  serviceConfig = lib.mapAttrs (_: lib.mkDefault) (
    hardening {
      # Metrics and ports listen on 127.0.0.1.
      addresses = values.allowedAddresses stack program;
      writable = homes.wrong ++ writable;
      # The metric process_start_time_seconds needs /proc/stat, and runtimes of languages read how much memory there is.
      kernelFacts = true;
      # Programs read their limit on descriptors with a call of @resources.
      systemCalls = [ "prlimit64" ];
    }
    // lib.optionalAttrs (program.readablePaths != [ ] || homes.right != [ ]) {
      # Only these are there.
      ProtectHome = "tmpfs";
      BindReadOnlyPaths = program.readablePaths;
      BindPaths = homes.right;
    }
    // {
      # A captured program could speak as another one that is down, to the proxy or to who reads its metrics. So each has a
      # list of its own ports, which no other stack moves (decision 88). 0 stands for any that is free.
      SocketBindDeny = "1-65535";
      SocketBindAllow = map toString (ports ++ program.extraPorts);
    }
    // lib.optionalAttrs program.stateDirectory {
      StateDirectory = "${name}-${what}";
      StateDirectoryMode = "0750";
    }
    // {
      ExecStart = lib.concatMapStringsSep " " word program.command;
      User = program.user;
      Group = stack.group;
      LoadCredential = lib.mapAttrsToList (secret: path: "${secret}:${path}") secrets;
      CPUQuota = "${toString (builtins.floor (limits.cpus * 100))}%";
      MemoryMax = "${toString limits.memoryMiB}M";
      MemoryHigh = "${toString high}M";
      TasksMax = limits.tasks;
      LimitNOFILE = limits.openFiles;
    }
    // serviceConfig
    // program.serviceConfig
  );
}
