# Whom Alertmanager can tell: by e-mail, by a request to a program of the team, or in a chat that takes Slack's format.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  secret =
    example: description:
    mkOption {
      type = types.nullOr externalPath;
      default = null;
      inherit example description;
    };

  webhook = types.submodule {
    options = {
      url = mkOption {
        type = types.nullOr (types.strMatching "https?://.+");
        default = null;
        example = "http://127.0.0.1:8080/alerts";
        description = "Where to POST Alertmanager's JSON. An address with a password in it belongs into `urlFile`.";
      };
      urlFile = secret "/run/agenix/webhook-url" "A file with that address, if it is secret.";
      tokenFile = secret "/run/agenix/webhook-token" "A file with a token, sent as `Authorization: Bearer`.";
      authority = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/etc/slipway/fleet-ca.pem";
        description = "A PEM file with the authority of the other end's certificate; null means those that the system trusts.";
      };
    };
  };

  slack = types.submodule {
    options = {
      urlFile = secret "/run/agenix/slack-url" "A file with the address that Slack, Mattermost, Rocket.Chat or Discord (its address with `/slack`) gave you.";
      channel = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "#alerts";
        description = "The channel, where the address is not of one channel already.";
      };
    };
  };

  receiver = types.submodule {
    options = {
      email = mkOption {
        type = types.listOf (types.strMatching "[^@ ]+@[^@ ]+");
        default = [ ];
        example = [ "ops@example.com" ];
        description = "Addresses that get an e-mail. `smtp` says through which server.";
      };
      webhook = mkOption {
        type = types.nullOr webhook;
        default = null;
        example.url = "http://127.0.0.1:8080/alerts";
        description = "A program that gets each alert as JSON.";
      };
      slack = mkOption {
        type = types.nullOr slack;
        default = null;
        example.urlFile = "/run/agenix/slack-url";
        description = "A chat that takes messages in Slack's format.";
      };
      sendResolved = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether it also hears that an alert is over.";
      };
      settings = mkOption {
        type = types.attrsOf (types.listOf (types.attrsOf types.anything));
        default = { };
        example.pagerduty_configs = [
          { routing_key_file = "/run/credentials/alertmanager.service/pagerduty"; }
        ];
        description = ''
          Other ways that Alertmanager knows, as its configuration has them. Put no secrets here: name a file of
          `secretFiles`.
        '';
      };
      secretFiles = mkOption {
        type = types.attrsOf externalPath;
        default = { };
        example.pagerduty = "/run/agenix/pagerduty-key";
        description = ''
          Files that Alertmanager gets as `/run/credentials/alertmanager.service/<name>`. The name is one of the whole host.
        '';
      };
    };
  };
in
{
  options.services.slipway.monitoring = {
    receivers = mkOption {
      type = types.attrsOf receiver;
      default = { };
      example = {
        ops.email = [ "ops@example.com" ];
        shop-team.slack.urlFile = "/run/agenix/shop-slack-url";
      };
      description = "Whom to tell, by a name that `severities` and `routes` use. One receiver may have several ways.";
    };
    smtp = {
      host = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "smtp.example.com";
        description = "The server that takes e-mails of receivers.";
      };
      port = mkOption {
        type = types.port;
        default = 587;
        example = 465;
        description = "Its port. The connection is encrypted: from the start on 465, with STARTTLS on others.";
      };
      from = mkOption {
        type = types.str;
        default =
          if lib.hasInfix "@" (toString cfg.smtp.user) then
            cfg.smtp.user
          else
            "alerts@${config.networking.fqdnOrHostName}";
        defaultText = lib.literalMD "`user` where that is an address, or else `alerts@` and the host's full name";
        example = "alerts@example.com";
        description = "The address that e-mails come from.";
      };
      user = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "alerts@example.com";
        description = "The account at that server, where it asks for one.";
      };
      passwordFile = secret "/run/agenix/smtp-password" "A file with the account's password.";
      requireTls = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether to send nothing without encryption. Switch it off for a server on this host only.";
      };
    };

    # Of all receivers, for Alertmanager's unit: { option, name, path }.
    credentials = mkOption {
      type = types.listOf types.raw;
      internal = true;
      readOnly = true;
      default =
        let
          one =
            option: name: path:
            lib.optional (path != null) { inherit option name path; };
          ofReceiver =
            name: asked:
            let
              option = what: "services.slipway.monitoring.receivers.${name}.${what}";
            in
            lib.optionals (asked.webhook != null) (
              one (option "webhook.urlFile") "${name}.webhook-url" asked.webhook.urlFile
              ++ one (option "webhook.tokenFile") "${name}.webhook-token" asked.webhook.tokenFile
            )
            ++ lib.optionals (asked.slack != null) (
              one (option "slack.urlFile") "${name}.slack-url" asked.slack.urlFile
            )
            ++ lib.concatLists (
              lib.mapAttrsToList (file: path: one (option "secretFiles.${file}") file path) asked.secretFiles
            );
        in
        one "services.slipway.monitoring.smtp.passwordFile" "smtp-password" cfg.smtp.passwordFile
        ++ lib.concatLists (lib.mapAttrsToList ofReceiver cfg.receivers);
      description = "The secrets that Alertmanager gets.";
    };
  };
}
