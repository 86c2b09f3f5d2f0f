# The programs of a stack: how many of each, with which limits. services.nix makes units of them.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../nix/contract.nix;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };

  limits = {
    cpus = mkOption {
      type = types.numbers.positive;
      default = contract.limits.cpus;
      example = 1.5;
      description = "Processors that one replica may use (CPUQuota); beyond that it waits.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = contract.limits.memoryMiB;
      example = 512;
      description = "Memory of one replica in MiB (MemoryMax). A replica that needs more is killed and started again.";
    };
    memoryHighMiB = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 400;
      description = ''
        Memory of one replica in MiB beyond which the kernel slows it down and takes its caches (MemoryHigh). So it
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
      description = ''
        File descriptors of one replica (LimitNOFILE). Every connection takes one; Slipway's api lets waiting agents have
        three eighths of them and answers 503 beyond that.
      '';
    };
  };

  process =
    {
      role,
      arguments,
      replicas,
      replicasType,
    }:
    types.submodule (
      { config, ... }:
      {
        options = {
          inherit limits;
          package = mkOption {
            type = types.package;
            example = lib.literalExpression "inputs.shop.packages.\${system}.shop-${role}";
            description = "The package of the ${role}. A changed package is rolled out replica by replica.";
          };
          command = mkOption {
            type = types.listOf types.str;
            default = [ (lib.getExe config.package) ] ++ arguments;
            defaultText = lib.literalMD "the package's main program with `${toString arguments}`";
            example = [
              "/nix/store/…-shop/bin/shop"
              role
            ];
            description = "The program with its arguments, as they are: no shell, and nothing secret.";
          };
          replicas = mkOption {
            type = replicasType;
            default = replicas;
            example = replicas + 1;
            description = ''
              Processes of the ${role} on this host. With one alone a restart makes requests wait until it is ready; they are
              not refused.
            '';
          };
          environment = mkOption {
            type = types.attrsOf types.str;
            default = { };
            example.LOG_LEVEL = "debug";
            description = "Environment variables of the ${role} alone; they win over those of the stack. Nothing secret.";
          };
          trial = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = ''
              Whether a rolling restart starts one more ${role} of the new generation first, without traffic, and touches no
              replica unless it becomes ready. For that time the host needs room for one more.
            '';
          };
          startSeconds = mkOption {
            type = types.ints.positive;
            default = contract.health.startSeconds;
            example = 120;
            description = "Seconds within which a started ${role} must say that it is ready (TimeoutStartSec); otherwise it is ended.";
          };
          stopSeconds = mkOption {
            type = types.ints.positive;
            default = contract.times.killSeconds;
            example = 90;
            description = ''
              Seconds between SIGTERM and SIGKILL (TimeoutStopSec). Must be longer than the ${role} takes to finish what is
              under way.
            '';
          };
          watchdogSeconds = mkOption {
            type = types.ints.unsigned;
            default = 30;
            example = 0;
            description = ''
              Seconds without a sign of life (WATCHDOG=1) after which the ${role} is ended and started again. 0 switches
              this off.
            '';
          };
        };
      }
    );

  stackOptions =
    { config, ... }:
    {
      options = {
        api = mkOption {
          type = process {
            role = "api";
            arguments = [ "serve" ];
            replicas = contract.replicas.api;
            replicasType = types.ints.between 0 64;
          };
          default = { };
          description = "The process that answers requests, on a Unix socket that systemd hands to it.";
        };
        worker = mkOption {
          type = process {
            role = "worker";
            arguments = [ "run" ];
            replicas = contract.replicas.worker;
            replicasType = types.ints.between 0 64;
          };
          default = { };
          description = "The process that works in the background.";
        };
        migrations = {
          enable = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = ''
              Whether to run `migrations.command` before replicas are restarted, at boot and whenever it has changed. When it
              fails, no replica is touched and the switch fails.
            '';
          };
          command = mkOption {
            type = types.listOf types.str;
            default = [
              (lib.getExe config.api.package)
              "migrate"
            ];
            defaultText = lib.literalMD "the api's main program with `migrate`";
            example = [
              "/nix/store/…-shop/bin/shop"
              "migrate"
            ];
            description = ''
              The program that brings the database's schema up to date. It must do nothing when there is nothing to do, and
              the generation before must be able to run on what it leaves.
            '';
          };
          user = mkOption {
            type = types.str;
            default = config.user;
            defaultText = lib.literalMD "`user`";
            example = "shop-owner";
            description = "The system user that migrations run as. `database.owner.role` sets it.";
          };
          environment = mkOption {
            type = types.attrsOf types.str;
            default = { };
            example.LOG_LEVEL = "debug";
            description = "Environment variables of migrations alone; they win over those of the api. Nothing secret.";
          };
          secrets = mkOption {
            type = types.attrsOf externalPath;
            default = { };
            example.DATABASE_URL = "/run/agenix/shop-database-owner-url";
            description = "Secrets of migrations alone; they win over those of the stack. No other process gets them.";
          };
          timeoutSeconds = mkOption {
            type = types.ints.positive;
            default = contract.times.migrateSeconds;
            example = 3600;
            description = "Seconds until migrations that have not ended are ended, and the switch fails.";
          };
        };
        metrics.firstPort = mkOption {
          type = types.port;
          default = contract.ports.stackMetrics;
          example = 9400;
          description = ''
            The port of the first api replica's metrics on 127.0.0.1. The others follow; the workers' begin 64 ports later, so
            that another number of replicas moves nobody. Two stacks on a host need 128 ports between them.
          '';
        };
        allowedAddresses = mkOption {
          type = types.listOf types.str;
          default = if config.database.urlFile != null then [ "any" ] else [ "localhost" ];
          defaultText = lib.literalMD "`[ \"localhost\" ]`, and `[ \"any\" ]` where `database.urlFile` is set";
          example = [
            "localhost"
            "10.0.0.0/24"
          ];
          description = ''
            What the processes may talk to over the network, as systemd's IPAddressAllow takes it: addresses, networks,
            `localhost`, or `any`. Everything else is dropped. Services of other companies need `any`. The server that
            `database.urlFile` names is not known when the system is built: list it and the name servers to narrow this down.
          '';
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
}
