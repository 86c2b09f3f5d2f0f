# <stack>-secrets.service: names a wrong secret of a stack before a process fails because of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  stacks = lib.filterAttrs (
    _: stack: stack.enable && given stack != [ ]
  ) config.services.slipway.stacks;
  # [ option file … ] of all programs, each secret once.
  given =
    stack:
    let
      those =
        option: secrets:
        lib.mapAttrsToList (secret: path: {
          option = "${option}secrets.${secret}";
          inherit path;
        }) (lib.filterAttrs (_: path: path != null) secrets);
      # What a program only inherits is not repeated.
      own =
        { option, program, ... }:
        those "${option}." (
          lib.filterAttrs (secret: path: (stack.secrets.${secret} or null) != path) program.secrets
        );
    in
    those "" stack.secrets ++ lib.concatMap own (values.programs stack);
  hardening = import ../../nix/lib/hardening.nix;
  namesOf = import ./names.nix { inherit lib; };
  values = import ../../nix/stack/values.nix { inherit lib; };

  checkSecrets = import ../../nix/lib/check-secrets.nix { inherit pkgs; };

  unit =
    name: stack:
    let
      names = namesOf name stack;
      processes = map (process: "${process}.service") (
        names.all ++ map names.job (lib.attrNames stack.jobs)
      );
    in
    {
      description = "${name}: check of the secrets";
      # They wait for it but start even if it fails: a process whose secret appears later starts by
      # itself.
      wantedBy = processes;
      before = processes ++ [ "${names.roll}.service" ];
      # A roll does not begin with a wrong secret.
      requiredBy = [ "${names.roll}.service" ];
      after = stack.requires;
      unitConfig.StartLimitIntervalSec = 0;
      # The unit runs again each time.
      serviceConfig = hardening { capabilities = [ "CAP_DAC_READ_SEARCH" ]; } // {
        # systemd can read secrets in any folder, so this unit must too.
        ProtectHome = "read-only";
        PrivateTmp = false;
        Type = "oneshot";
        ExecStart = checkSecrets "systemctl start ${names.roll}.service" (
          map (one: one // { option = "services.slipway.stacks.${name}.${one.option}"; }) (given stack)
        );
      };
    };
in
{
  systemd.services = lib.mapAttrs' (
    name: stack: lib.nameValuePair "${name}-secrets" (unit name stack)
  ) stacks;
}
