# Collects garbage on a host with an agent: by age and by free space, and never beside an attempt. Without an agent,
# ./store.nix lets NixOS do it by age alone.
{
  config,
  lib,
  ...
}:
let
  agent = config.services.slipway.agent;
  cfg = config.services.slipway.store;
  hardening = import ../nix/lib/hardening.nix;
in
{
  options.services.slipway.store.minFreePercent = lib.mkOption {
    type = lib.types.ints.between 0 90;
    default = 10;
    example = 20;
    description = ''
      The share of the store's disk that stays free on a host with an agent. With less, garbage is collected within the hour.
      If need be, all generations but the present one and the one before go. 0 leaves it to the age alone.
    '';
  };

  config = lib.mkIf (agent.enable && cfg.enable) {
    systemd.services.slipway-collect = {
      description = "Removes what nothing needs any more from the Nix store";
      after = [ "nix-daemon.socket" ];
      path = [ config.nix.package ];
      environment = {
        APP_ENV = "production";
        # The daemon deletes, so the program needs no access to the store.
        NIX_REMOTE = "daemon";
      };
      # A switch must not begin one in the middle of its attempt.
      restartIfChanged = false;
      serviceConfig =
        hardening {
          capabilities = [
            "CAP_DAC_OVERRIDE"
            "CAP_FOWNER"
          ];
          # Generations of profiles.
          writable = [ "/nix/var/nix" ];
        }
        // {
          Type = "oneshot";
          ExecStart = "${lib.getExe' agent.package "slipway-agent"} collect --keep-days ${toString cfg.keepDays} --every-hours 168 --min-free ${toString cfg.minFreePercent}";
          StateDirectory = "slipway-agent";
          StateDirectoryMode = "0700";
          Nice = 19;
          IOSchedulingClass = "idle";
          # Two passes of at most two hours each.
          TimeoutStartSec = "5h";
        };
    };
    systemd.timers.slipway-collect = {
      description = "Looks every hour whether garbage is to be collected";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = "hourly";
        RandomizedDelaySec = "20m";
        Persistent = true;
      };
    };
  };
}
