# What all programs of a stack share: environment, secrets, and what they may reach. The contradictions are those of any
# one program, service or job, with the option and the cure.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  externalPath = import ../lib/external-path.nix { inherit lib; };
  values = import ./values.nix { inherit lib; };
  texts = import ./texts.nix { inherit lib; };
  # Servers elsewhere. A name has an address only when it is looked up, and a secret is not read here.
  inherit (config) cache database;
  reached =
    lib.optional (database.host != null) (if texts.isHost database.host then database.host else "any")
    ++ lib.optional (database.urlFile != null || cache.urlFile != null) "any";
  quoted = lib.concatMapStringsSep ", " builtins.toJSON;

  contradictions =
    {
      key,
      option,
      program,
      ...
    }:
    let
      environment = values.environment config program;
      secrets = lib.attrNames (values.secrets config program);
      twice = lib.filter (secret: environment ? ${secret}) secrets;
      asFile = lib.filter (secret: environment ? "${secret}_FILE") secrets;
      inherit (program) limits;
      # What each replica gets for itself.
      own =
        lib.optional (lib.elem (program.listen.type or "none") [
          "tcp"
          "unix"
        ]) "listen"
        ++ lib.optional ((program.metrics.port or null) != null) "metrics";
      same = lib.filter (what: environment ? ${toString program.${what}.variable}) own;
      # Those that only the platform knows: where files of a service are, and where it listens.
      known =
        lib.attrNames environment
        ++ map (secret: "${secret}_FILE") (lib.optionals program.secretFiles secrets)
        ++ [
          "CREDENTIALS_DIRECTORY"
          "HOST"
        ]
        ++ lib.optional program.stateDirectory "STATE_DIRECTORY"
        ++ lib.filter (variable: variable != null) [
          (program.listen.variable or null)
          (program.metrics.variable or null)
        ];
      unknown = lib.subtractLists known (lib.concatMap values.variables program.arguments);
      told = lib.filter (variable: variable != null) [
        (program.listen.variable or null)
        (program.metrics.variable or null)
      ];
      unnamed = lib.filter (variable: !texts.isVariable variable) (lib.attrNames environment ++ told);
      files = lib.filterAttrs (_: path: !texts.isPath path) (values.secrets config program);
      isSecret = if program.secretFiles then texts.isVariable else texts.isCredential;
      misnamed = lib.filter (secret: !isSecret secret) secrets;
      elsewhere = lib.filter (address: !texts.isAddress address) (values.allowedAddresses config program);
      folders =
        what:
        let
          wrong = lib.filter (folder: !texts.isPath folder) program.${what};
        in
        {
          assertion = wrong == [ ];
          message = "${option}.${what} has ${quoted wrong}: give the whole path from / on, without spaces, quotes, `\\`, `%` and `:`.";
        };
    in
    [
      {
        assertion = texts.isName key;
        message = "${option}: the name becomes part of units and containers; take up to 24 lower-case letters, digits and `-`, a letter first and no `-` last.";
      }
      {
        assertion = unnamed == [ ];
        message = "${option} gets the variables ${quoted unnamed} from environment, listen.variable or metrics.variable, and no program would: take letters, digits and `_`, and no digit first.";
      }
      {
        assertion = misnamed == [ ];
        message = "${option}.secrets or secrets has ${quoted misnamed}, ${
          if program.secretFiles then
            "and a variable names each file: take letters, digits and `_`, and no digit first."
          else
            "and each is a file: take letters, digits, `_`, `.` and `-`."
        }";
      }
      {
        assertion = files == { };
        message = "${option}.secrets or secrets names ${quoted (lib.attrValues files)}: give a path without spaces, quotes, `\\`, `%` and `:`.";
      }
      {
        assertion = elsewhere == [ ];
        message = "${option}.allowedAddresses or allowedAddresses has ${quoted elsewhere}, which is no address: give addresses, networks such as 10.0.0.0/24, localhost, link-local or multicast; for names take any.";
      }
      (folders "writablePaths")
      (folders "readablePaths")
      {
        assertion = unknown == [ ];
        message = "${option}.arguments names $(${lib.concatStringsSep "), $(" unknown}), which ${option}.environment does not have: set it there, or write $$(…) for the text itself.";
      }
      {
        assertion = twice == [ ];
        message = "${option}.environment or environment sets ${toString twice}, which secrets has as well; remove it there, where every user of the host can read it.";
      }
      {
        assertion = asFile == [ ];
        message = "${option}.environment or environment sets ${
          toString (map (secret: "${secret}_FILE") asFile)
        }, and secrets.${toString asFile} is set as well; a program must not get a secret twice, so remove one.";
      }
      {
        assertion = same == [ ];
        message = "${option}.environment or environment sets ${
          toString (map (what: program.${what}.variable) same)
        }, so all replicas would have one port; remove it, or name another variable in ${
          lib.concatMapStringsSep " and " (what: "${what}.variable") same
        }.";
      }
      {
        assertion = limits.memoryHighMiB == null || limits.memoryHighMiB <= limits.memoryMiB;
        message = "${option}.limits.memoryHighMiB is above memoryMiB, so it would never be reached; lower it, or leave it null.";
      }
    ];
in
{
  options = {
    environment = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.bool
        ]
      );
      default = { };
      defaultText = lib.literalMD "`APP_ENV`, and what tells the programs where database and cache are";
      example = {
        LOG_LEVEL = "info,shop=debug";
      };
      description = ''
        Environment variables of all services and jobs. They are readable by every user of the host and end up in the Nix
        store: secrets belong into `secrets`.
      '';
    };
    secrets = mkOption {
      type = types.attrsOf (types.nullOr externalPath);
      default = { };
      defaultText = lib.literalMD "those that database and cache need, such as `REDIS_PASSWORD`";
      example = {
        SECRET_KEY = "/run/agenix/shop-secret-key";
      };
      description = ''
        Secrets of all services and jobs: name to a file outside the Nix store that root can read. A unit whose file is missing
        does not start, and says which. One that only one program needs belongs into its own `secrets`.
      '';
    };
    allowedAddresses = mkOption {
      type = types.listOf types.str;
      default = [ "localhost" ];
      defaultText = lib.literalMD "`[ \"localhost\" ]`, with the address of `database.host`; `[ \"any\" ]` if that is a name, or with a `urlFile`";
      example = [
        "localhost"
        "10.0.0.0/24"
      ];
      description = ''
        What the programs may talk to over the network, as systemd's IPAddressAllow takes it: addresses, networks,
        `localhost`, or `any`. Everything else is dropped. Services of other companies need `any`. A server that a name or
        a `urlFile` says is not known when the system is built. To narrow this down, list it and the name servers.
      '';
    };
  };

  config = {
    allowedAddresses = lib.mkIf (reached != [ ]) (
      lib.mkDefault (if lib.elem "any" reached then [ "any" ] else [ "localhost" ] ++ reached)
    );
    environment.APP_ENV = lib.mkDefault "production";
    assertions = lib.concatMap contradictions (values.programs config);
  };
}
