# Secrets from agenix: each encrypted file becomes the file that an option of Slipway needs, with the right owner. A
# changed file restarts only the units that use it. Another tool needs another module like this one, since the options
# take any path. This module also needs agenix's own module.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agenix;
  nginx = config.services.nginx;
  withStacks = options.services.slipway ? stacks;
  stacks = lib.optionalAttrs withStacks config.services.slipway.stacks;
  namesOf = import ./stack/names.nix { inherit lib; };

  ageFile = types.nullOr types.path;
  one =
    example: description:
    mkOption {
      type = ageFile;
      default = null;
      example = lib.literalExpression "../secrets/${example}.age";
      inherit description;
    };

  stackOptions.options = {
    secrets = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression "{ SECRET_KEY = ../secrets/shop-secret-key.age; }";
      description = ''
        Encrypted files by the name of the secret: they become `services.slipway.stacks.<name>.secrets`. A changed one rolls
        the stack's replicas, and no other's.
      '';
    };
    cachePassword = one "shop-redis" "For `cache.passwordFile`. A changed one restarts the stack's Redis, or the tunnel to it, and rolls the replicas.";
    databasePassword = one "shop-database" "For `database.passwordFile`. A changed one becomes the role's, and rolls the replicas.";
    tls.certificate = one "shop-certificate" "For `proxy.tls.certificate`. A changed one reloads nginx.";
    tls.key = one "shop-certificate-key" "For `proxy.tls.key`. A changed one reloads nginx.";
    domains = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.tls.certificate = one "www-certificate" "For `domains.<name>.tls.certificate`. A changed one reloads nginx.";
          options.tls.key = one "www-certificate-key" "For `domains.<name>.tls.key`. A changed one reloads nginx.";
        }
      );
      default = { };
      example = lib.literalExpression ''
        {
          "www.example.org".tls = {
            certificate = ../secrets/www-certificate.age;
            key = ../secrets/www-certificate-key.age;
          };
        }
      '';
      description = "Certificates of single domains of the stack, instead of `tls`.";
    };
    upstreamTls.certificate = one "edge-certificate" "For `proxy.upstream.tls.certificate`. A changed one reloads nginx.";
    upstreamTls.key = one "edge-key" "For `proxy.upstream.tls.key`. A changed one reloads nginx.";
  };

  fileOptions =
    { name, ... }:
    {
      options = {
        file = mkOption {
          type = types.path;
          example = lib.literalExpression "../secrets/restic.age";
          description = "The encrypted file.";
        };
        owner = mkOption {
          type = types.str;
          default = "root";
          example = "postgres";
          description = "The user who may read the decrypted file. Units with LoadCredential only need root.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          example = "nginx";
          description = "The group of the decrypted file.";
        };
        mode = mkOption {
          type = types.strMatching "0[0-7]{2}0";
          default = "0400";
          example = "0440";
          description = "The mode of the decrypted file. Users other than owner and group never get any access.";
        };
        restartUnits = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "slipway-agent" ];
          # systemd knows a service with and without `.service`; names here are without it.
          apply = map (lib.removeSuffix ".service");
          description = "Services that a switch restarts when the encrypted file's content has changed; `.service` may be left out.";
        };
        path = mkOption {
          type = types.str;
          internal = true;
          readOnly = true;
          default = "${config.age.secretsDir}/${name}";
          description = "Where the decrypted file is.";
        };
      };
    };

  # { stack, what, file, … } for each file of a stack.
  ofStack =
    name: given:
    let
      names = namesOf name stacks.${name};
      redis =
        if stacks.${name}.cache.remote.address == null then "redis-${name}" else "${name}-cache-tunnel";
      forNginx = file: {
        inherit file;
        inherit (nginx) group;
        mode = "0440";
        # This service reloads nginx.
        restartUnits = [ "nginx-config-reload" ];
      };
    in
    lib.filterAttrs (_: item: item.file != null) (
      lib.mapAttrs' (
        secret: file:
        lib.nameValuePair "${name}-${secret}" {
          inherit file;
          restartUnits = [ names.roll ];
        }
      ) given.secrets
      // {
        "${name}-cache-password" = {
          file = given.cachePassword;
          restartUnits = [
            redis
            names.roll
          ];
        };
        "${name}-database-password" = {
          file = given.databasePassword;
          restartUnits = [ names.roll ];
        };
        "${name}-tls-certificate" = forNginx given.tls.certificate;
        "${name}-tls-key" = forNginx given.tls.key;
      }
      // lib.concatMapAttrs (domain: asked: {
        "${name}-${domain}-certificate" = forNginx asked.tls.certificate;
        "${name}-${domain}-key" = forNginx asked.tls.key;
      }) given.domains
      // {
        "${name}-upstream-certificate" = forNginx given.upstreamTls.certificate;
        "${name}-upstream-key" = forNginx given.upstreamTls.key;
      }
    );

  # Stacks that exist; the others are refused below.
  known = lib.filterAttrs (name: _: stacks.${name}.enable or false) cfg.stacks;
  unknown = lib.attrNames (removeAttrs cfg.stacks (lib.attrNames known));
  wrongUnits = lib.filter (
    unit: builtins.match ".*\\.(socket|timer|target|path|mount)" unit != null
  ) (lib.concatMap (item: item.restartUnits) (lib.attrValues cfg.files));

  path = name: config.services.slipway.agenix.files.${name}.path;
  stackConfig = name: given: {
    secrets = lib.mapAttrs (secret: _: path "${name}-${secret}") given.secrets;
    cache = lib.mkIf (given.cachePassword != null) { passwordFile = path "${name}-cache-password"; };
    database = lib.mkIf (given.databasePassword != null) {
      passwordFile = path "${name}-database-password";
    };
    domains = lib.mapAttrs (domain: asked: {
      tls = {
        certificate = lib.mkIf (asked.tls.certificate != null) (path "${name}-${domain}-certificate");
        key = lib.mkIf (asked.tls.key != null) (path "${name}-${domain}-key");
      };
    }) given.domains;
    proxy = {
      tls = {
        certificate = lib.mkIf (given.tls.certificate != null) (path "${name}-tls-certificate");
        key = lib.mkIf (given.tls.key != null) (path "${name}-tls-key");
      };
      upstream.tls = {
        certificate = lib.mkIf (given.upstreamTls.certificate != null) (
          path "${name}-upstream-certificate"
        );
        key = lib.mkIf (given.upstreamTls.key != null) (path "${name}-upstream-key");
      };
    };
  };
in
{
  options.services.slipway.agenix = {
    stacks = mkOption {
      type = types.attrsOf (types.submodule stackOptions);
      default = { };
      example = lib.literalExpression "{ shop.secrets.SECRET_KEY = ../secrets/shop-secret-key.age; }";
      description = "Encrypted files for the options of stacks, by the stack's name.";
    };
    files = mkOption {
      type = types.attrsOf (types.submodule fileOptions);
      default = { };
      example = lib.literalExpression ''
        {
          agent-token = {
            file = ../secrets/agent-token.age;
            restartUnits = [ "slipway-agent" ];
          };
        }
      '';
      description = ''
        Encrypted files for everything else that takes a path: give `config.services.slipway.agenix.files.<name>.path`
        there.
      '';
    };
  };

  config = {
    services.slipway = {
      agenix.files = lib.mkMerge (lib.mapAttrsToList ofStack known);
    }
    // lib.optionalAttrs withStacks { stacks = lib.mapAttrs stackConfig cfg.stacks; };

    age.secrets = lib.mapAttrs (_: item: {
      inherit (item)
        file
        owner
        group
        mode
        ;
    }) cfg.files;

    # By content: the path changes with every commit of the flake.
    systemd.services = lib.mkMerge (
      lib.concatLists (
        lib.mapAttrsToList (
          _: item:
          map (unit: {
            ${unit}.restartTriggers = [ (builtins.hashFile "sha256" item.file) ];
          }) item.restartUnits
        ) cfg.files
      )
    );

    assertions = [
      {
        assertion = unknown == [ ];
        message = "services.slipway.agenix.stacks has ${toString unknown}, which is no stack of this host: add it to services.slipway.stacks (it needs nixosModules.stack), or remove it.";
      }
      {
        assertion = wrongUnits == [ ];
        message = "services.slipway.agenix.files.*.restartUnits has ${toString wrongUnits}, which is no service: name the service that uses the file.";
      }
    ];

    # The files are in the store, where everybody can read them.
    system.checks = lib.optional (cfg.files != { }) (
      pkgs.runCommand "agenix-files-are-encrypted" { } (
        lib.concatLines (
          lib.mapAttrsToList (name: item: ''
            head -c 64 ${item.file} | grep -Eaq '^(age-encryption\.org/v1$|-----BEGIN AGE ENCRYPTED FILE-----)' \
              || { echo "services.slipway.agenix.files.${name}.file is not encrypted with age: make a new secret (this one is in the Nix store now), and encrypt it with agenix -e" >&2; exit 1; }
          '') cfg.files
        )
        + "touch $out"
      )
    );
  };
}
