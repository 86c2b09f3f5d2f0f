# What the options of a database and a cache have in common (database.nix, cache.nix). Each is the platform's own
# (`enable`), one elsewhere (`host` or `urlFile`), one that the platform knows and names itself, or none. The platform's own
# is a server of the host, or one beside the containers. A platform sets where its own is and how programs log in. The
# variables that programs read follow from that, all by mkDefault.
{ lib }:
let
  inherit (lib) mkOption types;
  externalPath = import ../lib/external-path.nix { inherit lib; };
in
{
  # Programs that keep the contract want both; what others want is theirs to say.
  expected = stack: lib.any (service: service.preset != null) (lib.attrValues stack.services);
  secretFile =
    example: description:
    mkOption {
      type = types.nullOr externalPath;
      default = null;
      inherit example description;
    };
  internal =
    type: default: description:
    mkOption {
      inherit type default description;
      internal = true;
    };
}
