# What a service and a job have in common: a program, its surroundings, and its bounds.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;
  externalPath = import ../lib/external-path.nix { inherit lib; };
in
{
  options = {
    package = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = lib.literalExpression "inputs.shop.packages.\${system}.shop";
      description = "The package of the program. Containers take it from an image instead.";
    };
    image = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "registry.example.org/shop@sha256:…";
      description = "The image of the program for compose and Kubernetes, by digest. NixOS does not use it.";
    };
    arguments = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "serve"
        "--listen=$(HOST):$(PORT)"
      ];
      description = ''
        The program's arguments: no shell, and nothing secret. `$(NAME)` stands for the value of an environment variable, such
        as `--listen=$(HOST):$(PORT)` or `--key-file=$(KEY_FILE)`; `$$(NAME)` is the text itself.
      '';
    };
    command = mkOption {
      type = types.listOf types.str;
      default =
        # Without any, a host refuses it.
        lib.optionals (config.package != null) (
          [
            # Many packages do not say which program is theirs; it has their name then.
            (lib.getExe' config.package (config.package.meta.mainProgram or (lib.getName config.package)))
          ]
          ++ config.arguments
        );
      defaultText = lib.literalMD "the package's main program, or the one with its name, with `arguments`";
      example = [
        "/nix/store/…-shop/bin/shop"
        "serve"
      ];
      description = "The program with its arguments under NixOS. Containers use the image's program with `arguments`.";
    };
    environment = mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.int
            types.bool
          ]
        )
      );
      default = { };
      example = {
        LOG_LEVEL = "debug";
        WORKERS = 4;
        REDIS_HOST = null;
      };
      description = ''
        Environment variables of this program alone; they win over those of the stack. Numbers and true or false are written
        as text; null removes a variable of the stack. Every user of the host can read them: secrets belong into `secrets`.
      '';
    };
    secrets = mkOption {
      type = types.attrsOf (types.nullOr externalPath);
      default = { };
      example = {
        PAYMENT_KEY = "/run/agenix/shop-payment-key";
      };
      description = ''
        Secrets of this program alone: name to a file outside the Nix store that root can read. Under NixOS each is a systemd
        credential of that name, in compose and Kubernetes a file. No other program can read it. Null removes a secret of the
        stack.
      '';
    };
    secretFiles = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the variable `NAME_FILE` tells the program where the file of each secret is. Programs that look into
        `$CREDENTIALS_DIRECTORY` themselves do without.
      '';
    };
    limits = {
      cpus = mkOption {
        type = types.numbers.positive;
        default = contract.limits.cpus;
        example = 1.5;
        description = "Processors that one process may use (CPUQuota); beyond that it waits.";
      };
      memoryMiB = mkOption {
        type = types.ints.positive;
        default = contract.limits.memoryMiB;
        example = 512;
        description = "Memory of one process in MiB (MemoryMax). A process that needs more is killed.";
      };
      memoryHighMiB = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 400;
        description = ''
          Memory of one process in MiB beyond which the kernel slows it down and takes its caches (MemoryHigh). So it
          reaches `memoryMiB` late or never. Null means nine tenths of `memoryMiB`.
        '';
      };
      tasks = mkOption {
        type = types.ints.positive;
        default = 512;
        example = 2048;
        description = "Threads and processes of one replica (TasksMax). Beyond that it cannot start more.";
      };
      openFiles = mkOption {
        type = types.ints.between 64 1048576;
        default = 65536;
        example = 16384;
        description = "File descriptors of one replica (LimitNOFILE). Every connection takes one.";
      };
    };
    allowedAddresses = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      example = [ "any" ];
      description = "What this program may talk to over the network, instead of the stack's `allowedAddresses`. Null: as the stack.";
    };
    extraPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 9464 ];
      description = ''
        Ports that the program opens besides `listen.port` and `metrics.port`. systemd refuses all others on a host, so that no
        program takes the port of another one that is down (SocketBindDeny). Port 0, which means any free one, is open to all.
      '';
    };
    stateDirectory = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether the program keeps files: `/var/lib/<stack>-<service>`, which its replicas share and a new generation finds
        again. `STATE_DIRECTORY` names it. In Compose it is a folder beside the files, in Kubernetes a volume.
      '';
    };
    writablePaths = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/srv/shop/uploads" ];
      description = "Further folders of the host that the program may write (ReadWritePaths). Its user must have the right, too.";
    };
    readablePaths = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/home/media" ];
      description = "Folders of the host below /home, /root and /run/user that the program may read (BindReadOnlyPaths).";
    };
    serviceConfig = mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
      example = {
        MemoryDenyWriteExecute = false;
      };
      description = ''
        systemd's settings of this program's units, merged over those that Slipway makes: the way out of the sandbox. Programs
        that compile while they run need the example.
      '';
    };
  };
}
