# services.slipway.controlPlane.oidc: people sign in to the console through a provider of OpenID Connect.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  plane = config.services.slipway.controlPlane;
  cfg = plane.oidc;
  option = "services.slipway.controlPlane.oidc";
  externalPath = import ../nix/lib/external-path.nix { inherit lib; };
  besides = import ../nix/lib/plane-addresses.nix { inherit config lib; };
  role = types.enum [
    "viewer"
    "deployer"
    "approver"
    "admin"
  ];

  # The entries of OIDC_ROLES. A group's name may hold anything but what separates entries.
  entries =
    group: rights:
    lib.optional (rights.role != null) "${rights.role}=${group}"
    ++ lib.mapAttrsToList (environment: role: "${role}@${environment}=${group}") rights.environments;
  roles = lib.concatLists (lib.mapAttrsToList entries cfg.groups);
  # The api ends an entry at `;` or a line end, and trims blanks. It would read another name than the given one.
  isPlain = name: builtins.match "[^;\n\r]*" name != null && lib.trim name == name && name != "";
  reads =
    name:
    builtins.match ".*,[[:blank:]]*(viewer|deployer|approver|admin)(@[^=]*)?[[:blank:]]*=.*" name
    != null;
  unfit = lib.filter (group: !isPlain group || reads group) (lib.attrNames cfg.groups);
  isEnvironment = name: builtins.match "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" name != null;
  elsewhere = lib.unique (
    lib.concatMap (group: lib.filter (name: !isEnvironment name) (lib.attrNames group.environments)) (
      lib.attrValues cfg.groups
    )
  );
  isDomain = name: builtins.match "[A-Za-z0-9.-]+[.][A-Za-z0-9-]+" name != null;
  nothing = lib.attrNames (lib.filterAttrs (group: rights: entries group rights == [ ]) cfg.groups);
  isHere =
    builtins.match "http://(localhost|127[.]0[.]0[.]1|[[]::1])(:[0-9]+)?(/.*)?" cfg.issuer != null;
in
{
  options.services.slipway.controlPlane.oidc = {
    issuer = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://login.example.com/realms/ops";
      description = ''
        The provider's address, exactly as it calls itself in `/.well-known/openid-configuration`. The provider sends browsers
        back to `publicUrl` and `/sign-in/oidc`. Null: people sign in with tokens. See docs/console.md.
      '';
    };
    clientId = mkOption {
      type = types.str;
      default = "slipway";
      example = "7a2c6f0e-3f2b-4a0d-9a55-6f8f0c1f4f10";
      description = "The name of this control plane at the provider.";
    };
    clientSecretFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/slipway-oidc-client-secret";
      description = "A file outside the Nix store with the secret of this control plane at the provider.";
    };
    scopes = mkOption {
      type = types.nonEmptyListOf (types.strMatching "[^ \"\\\\]+");
      default = [
        "profile"
        "email"
      ];
      example = [
        "profile"
        "email"
        "groups"
      ];
      description = "What the provider is asked for besides `openid`. Some tell groups only when they are asked for a scope.";
    };
    groupsClaim = mkOption {
      type = types.str;
      default = "groups";
      example = "roles";
      description = "The claim that has a person's groups.";
    };
    groups = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            role = mkOption {
              type = types.nullOr role;
              default = null;
              example = "deployer";
              description = "What the group may do everywhere. Null: look at everything, if it may do more in an environment.";
            };
            environments = mkOption {
              type = types.attrsOf role;
              default = { };
              example = {
                prod = "approver";
              };
              description = "What the group may do in single environments, where that is more.";
            };
          };
        }
      );
      default = { };
      example = {
        platform.role = "admin";
        on-call.environments.prod = "approver";
      };
      description = ''
        What the provider's groups may do. Somebody in several of them has the strongest role of all. Nobody without one can
        sign in.
      '';
    };
    domains = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "example.com" ];
      description = "Only people with a verified e-mail address in one of these domains can sign in. Empty: all of the provider's.";
    };
    sessionSeconds = mkOption {
      type = types.ints.between 300 43200;
      default = 28800;
      example = 14400;
      description = "The longest that a session lasts after such a sign-in. An hour without a request ends it too.";
    };
    caFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/login-ca.pem";
      description = "PEM certificates that are trusted for the provider besides the host's own.";
    };
    addresses = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "any" ];
      description = ''
        The addresses that the api may connect to for the provider: IP addresses and networks, or `"any"`. A provider of
        another company has changing addresses, so it is `"any"` mostly. Empty: only this host.
      '';
    };
  };

  config = lib.mkIf (plane.enable && cfg.issuer != null) {
    services.slipway.stacks.slipway.services.api = {
      environment = lib.mapAttrs (_: lib.mkDefault) (
        {
          OIDC_ISSUER = cfg.issuer;
          OIDC_CLIENT_ID = cfg.clientId;
          OIDC_SCOPES = lib.concatStringsSep " " cfg.scopes;
          OIDC_GROUPS_CLAIM = cfg.groupsClaim;
          OIDC_ROLES = lib.concatStringsSep "; " roles;
          OIDC_SESSION_SECONDS = toString cfg.sessionSeconds;
        }
        // lib.optionalAttrs (cfg.domains != [ ]) {
          OIDC_DOMAINS = lib.concatStringsSep "," cfg.domains;
        }
        // lib.optionalAttrs (cfg.caFile != null) {
          OIDC_CA_FILE = "${cfg.caFile}";
        }
      );
      allowedAddresses = besides cfg.addresses;
      secrets = lib.optionalAttrs (cfg.clientSecretFile != null) {
        OIDC_CLIENT_SECRET = cfg.clientSecretFile;
      };
    };
    assertions = [
      {
        assertion = cfg.clientSecretFile != null;
        message = "${option}.clientSecretFile is not set, and the issuer is: name a file with the secret of this control plane at the provider.";
      }
      {
        assertion = lib.hasPrefix "https://" cfg.issuer || isHere;
        message = "${option}.issuer is ${cfg.issuer}, which is not encrypted: anybody on the way could sign in as anybody; give an https:// address.";
      }
      {
        assertion = roles != [ ];
        message = "${option}.groups gives no group a role, so nobody could sign in: name one, such as platform.role = \"admin\".";
      }
      {
        assertion = nothing == [ ];
        message = "${option}.groups.${lib.concatStringsSep ", " nothing} may do nothing: give a role, or environments, or leave it out.";
      }
      {
        assertion = unfit == [ ];
        message = "${option}.groups has the name ${
          lib.concatMapStringsSep " and the name " builtins.toJSON unfit
        }, which OIDC_ROLES cannot hold: a `;`, a line end, or `,ROLE=` would begin an entry of its own, and blanks at an end are lost. Name the group otherwise at the provider.";
      }
      {
        assertion = elsewhere == [ ];
        message = "${option}.groups names the environment ${
          lib.concatMapStringsSep " and " builtins.toJSON elsewhere
        }, which cannot exist: give 1 to 63 lower-case letters, digits and `-`.";
      }
      {
        assertion = lib.all isDomain cfg.domains;
        message = "${option}.domains has ${
          lib.concatMapStringsSep " and " builtins.toJSON (lib.filter (name: !isDomain name) cfg.domains)
        }, which is no domain: give what follows the @, such as example.com, each in an entry of its own.";
      }
    ];
  };
}
