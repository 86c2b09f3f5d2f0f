# services.slipway.controlPlane.messages: where the control plane's messages may go, and who sends e-mail.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  plane = config.services.slipway.controlPlane;
  cfg = plane.messages;
  option = "services.slipway.controlPlane.messages";
  externalPath = import ../nix/lib/external-path.nix { inherit lib; };
  besides = import ../nix/lib/plane-addresses.nix { inherit config lib; };
  isSecure = cfg.smtp.tls != "none";

  # MESSAGES_NETWORKS separates them with commas.
  isNetwork = network: builtins.match "[0-9a-fA-F.:]+(/[0-9]+)?" network != null;

  # For api and worker: the api refuses destinations that the worker could not reach.
  shared = {
    PUBLIC_URL = plane.publicUrl;
    MESSAGES_SILENT_MINUTES = toString cfg.silentMinutes;
    MESSAGES_APPROVAL_MINUTES = toString cfg.approvalMinutes;
  }
  // lib.optionalAttrs (cfg.networks != [ ]) {
    MESSAGES_NETWORKS = lib.concatStringsSep "," cfg.networks;
  }
  // lib.optionalAttrs (cfg.smtp.host != null) (
    {
      SMTP_HOST = cfg.smtp.host;
      SMTP_PORT = toString cfg.smtp.port;
      SMTP_TLS = cfg.smtp.tls;
      SMTP_FROM = cfg.smtp.from;
    }
    // lib.optionalAttrs (cfg.smtp.user != null) {
      SMTP_USER = cfg.smtp.user;
    }
  );
in
{
  options.services.slipway.controlPlane = {
    publicUrl = mkOption {
      type = types.str;
      default = "https://${plane.domain}";
      defaultText = lib.literalMD "`https://` and `domain`";
      example = "https://deploy.example.com";
      description = "The address at which people reach the control plane: messages link to its pages.";
    };
    messages = {
      addresses = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "any" ];
        description = ''
          The addresses that the worker may connect to for messages: IP addresses and networks, or `"any"`. Servers of a chat
          or of another company have changing addresses, so it is `"any"` mostly. Empty: only this host.
        '';
      };
      networks = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "10.0.0.0/24" ];
        description = ''
          Networks that are not public to which messages may be sent all the same, also over plain HTTP. Without them, a
          destination's address must be public and encrypted. See docs/messages.md.
        '';
      };
      silentMinutes = mkOption {
        type = types.ints.between 0 1440;
        default = 5;
        example = 15;
        description = "After so many minutes an agent counts as silent, and people are told. 0: nobody is told.";
      };
      approvalMinutes = mkOption {
        type = types.ints.between 0 10080;
        default = 60;
        example = 0;
        description = "How often, in minutes, people are reminded of a rollout that waits for approval. 0: never.";
      };
      smtp = {
        host = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "smtp.example.com";
          description = "The server that takes e-mail. Null: no e-mail is sent.";
        };
        port = mkOption {
          type = types.port;
          default = 587;
          example = 465;
          description = "Its port: 587 for `starttls`, 465 for `tls`, 25 for a relay on this host.";
        };
        tls = mkOption {
          type = types.enum [
            "starttls"
            "tls"
            "none"
          ];
          default = "starttls";
          example = "tls";
          description = "How the connection is encrypted. `none` is for a server on this host.";
        };
        from = mkOption {
          type = types.str;
          default = "Slipway <slipway@${plane.domain}>";
          defaultText = lib.literalMD "`Slipway`, at the control plane's domain";
          example = "Slipway <slipway@example.com>";
          description = "Who sends e-mail.";
        };
        user = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "slipway";
          description = "The account at that server, where it asks for one.";
        };
        passwordFile = mkOption {
          type = types.nullOr externalPath;
          default = null;
          example = "/run/agenix/slipway-smtp-password";
          description = "A file outside the Nix store with the account's password.";
        };
      };
    };
  };

  config = lib.mkIf plane.enable {
    services.slipway.stacks.slipway.services = {
      api.environment = lib.mapAttrs (_: lib.mkDefault) shared;
      worker = {
        environment = lib.mapAttrs (_: lib.mkDefault) shared;
        allowedAddresses = besides cfg.addresses;
        secrets = lib.optionalAttrs (cfg.smtp.passwordFile != null) {
          SMTP_PASSWORD = cfg.smtp.passwordFile;
        };
      };
    };
    assertions = [
      {
        assertion = lib.all isNetwork cfg.networks;
        message = "${option}.networks has ${
          lib.concatMapStringsSep " and " builtins.toJSON (
            lib.filter (network: !isNetwork network) cfg.networks
          )
        }, which is no network: give each in an entry of its own, such as 10.0.0.0/24.";
      }
      {
        assertion = (cfg.smtp.user == null) == (cfg.smtp.passwordFile == null);
        message = "${option}.smtp has ${
          if cfg.smtp.user == null then "a passwordFile and no user" else "a user and no passwordFile"
        }: an account takes both; leave both out where the server asks for none.";
      }
      {
        assertion =
          cfg.smtp.host == null
          || isSecure
          || lib.elem cfg.smtp.host [
            "localhost"
            "127.0.0.1"
            "::1"
          ];
        message = "${option}.smtp.tls is none, and ${toString cfg.smtp.host} is another machine: messages would travel unencrypted; take starttls or tls.";
      }
    ];
  };
}
