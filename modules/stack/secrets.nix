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
        kind: key: program:
        those "${kind}.${key}." (
          lib.filterAttrs (secret: path: (stack.secrets.${secret} or null) != path) program.secrets
        );
    in
    those "" stack.secrets
    ++ lib.concatLists (lib.mapAttrsToList (own "services") stack.services)
    ++ lib.concatLists (lib.mapAttrsToList (own "jobs") stack.jobs);
  hardening = import ../../nix/lib/hardening.nix;
  namesOf = import ./names.nix { inherit lib; };

  check = import ../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-check-secrets";
    runtimeInputs = [ pkgs.coreutils ];
    text = ''
      # slipway-check-secrets STACK NAME FILE [NAME FILE]...
      stack=$1 bad=
      shift
      while [ $# -gt 0 ]; do
        option="services.slipway.stacks.$stack.$1" file=$2
        refuse() { echo "$option: $file $*" >&2; bad=1; }
        target=$(readlink -f "$file" || true)
        if [ ! -e "$file" ]; then
          refuse "does not exist; put the secret there or correct the option, then: systemctl start $stack-roll.service"
        elif [ ! -f "$file" ]; then
          refuse "is not a file; put the secret into a file and name that"
        elif [ ! -s "$file" ]; then
          refuse "is empty; write the secret into it"
        elif [ "''${target#${builtins.storeDir}/}" != "$target" ]; then
          refuse "leads into the Nix store, where everybody can read it; make a new secret and keep it outside"
        elif [ $((0$(stat -L -c %a "$file") & 4)) -ne 0 ]; then
          refuse "can be read by every user of this host; chmod o-r it, and make a new secret if others were there"
        fi
        shift 2
      done
      [ -z "$bad" ]
    '';
  };

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
        ExecStart = lib.escapeShellArgs (
          [
            (lib.getExe check)
            name
          ]
          ++ lib.concatMap (one: [
            one.option
            one.path
          ]) (given stack)
        );
      };
    };
in
{
  systemd.services = lib.mapAttrs' (
    name: stack: lib.nameValuePair "${name}-secrets" (unit name stack)
  ) stacks;
}
