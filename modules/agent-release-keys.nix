# services.slipway.agent.releaseKeys: whose releases this host runs (docs/trust.md). The agent gets the keys by their path
# in the store, so that it is restarted with other keys; the closure carries the same file, so that the agent before it
# can see whether the closure would still trust its own release.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  file = "slipway/release-keys";
  # A line of `ssh-keygen -t ed25519`, or the second one of a minisign.pub. A line end in the comment would begin another key.
  isKey =
    key: builtins.match "ssh-ed25519 [A-Za-z0-9+/]{68}( [^\n\r]*)?|RW[A-Za-z0-9+/]{54}" key != null;
  wrong = lib.filter (key: !isKey key) cfg.releaseKeys;
in
{
  options.services.slipway.agent = {
    releaseKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrWcXpwxT2D2ao9QyBPZHxXj3+xxlg/9ZuRcBq+lDN9 ci"
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
      ];
      description = ''
        Public keys that sign releases: `ssh-ed25519` lines or keys of minisign. With keys, the agent runs only what a
        manifest with a signature of one of them names for this host. With none, it trusts the control plane.
      '';
    };
    releaseEnvironment = mkOption {
      type = types.nullOr (types.strMatching "[a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9]");
      default = null;
      example = "prod";
      description = ''
        The environment that this host is registered in. Together with `releaseKeys` it is required: a manifest counts only
        for its own environment.
      '';
    };
  };

  config = lib.mkIf (cfg.enable && cfg.releaseKeys != [ ]) {
    environment.etc.${file}.text = lib.concatMapStrings (key: key + "\n") cfg.releaseKeys;

    systemd.services.slipway-agent.environment = {
      AGENT_RELEASE_KEYS_FILE = "${config.environment.etc.${file}.source}";
    }
    // lib.optionalAttrs (cfg.releaseEnvironment != null) {
      AGENT_ENVIRONMENT = cfg.releaseEnvironment;
    };

    assertions = [
      {
        assertion = cfg.releaseEnvironment != null;
        message = "services.slipway.agent.releaseKeys is set and releaseEnvironment is not: name the environment that this host's releases are signed for.";
      }
      {
        assertion = wrong == [ ];
        message = "services.slipway.agent.releaseKeys: `${
          lib.substring 0 20 (lib.head (wrong ++ [ "" ]))
        }…` is no public key; give a line `ssh-ed25519 AAAA…` or the second line of a minisign.pub.";
      }
    ];
  };
}
