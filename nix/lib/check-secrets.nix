# A unit's command that names wrong secrets before a process fails because of them. systemd says only that credentials
# failed.
#
#   checkSecrets "systemctl start shop-roll.service" [ { option, path } ] -> ExecStart
{ pkgs }:
let
  inherit (pkgs) lib;
  check = import ./shell-application.nix { inherit pkgs; } {
    name = "slipway-check-secrets";
    runtimeInputs = [ pkgs.coreutils ];
    text = ''
      # slipway-check-secrets CURE [OPTION FILE]...
      cure=$1 bad=
      shift
      while [ $# -gt 0 ]; do
        option=$1 file=$2
        refuse() { echo "$option: $file $*" >&2; bad=1; }
        target=$(readlink -f "$file" || true)
        if [ ! -e "$file" ]; then
          refuse "does not exist; put the secret there or correct the option, then: $cure"
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
in
cure: secrets:
lib.escapeShellArgs (
  [
    (lib.getExe check)
    cure
  ]
  ++ lib.concatMap (one: [
    one.option
    one.path
  ]) secrets
)
