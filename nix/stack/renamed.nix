# Earlier names of a stack's options: they still work, and a warning says the new one.
{ lib, options, ... }:
{
  imports = [
    (lib.mkRenamedOptionModule [ "api" ] [ "services" "api" ])
    (lib.mkRenamedOptionModule [ "worker" ] [ "services" "worker" ])
    (lib.mkRenamedOptionModule [ "migrations" ] [ "jobs" "migrate" ])
  ];
  options.services = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule (
        { config, ... }:
        {
          options.trial = lib.mkOption {
            type = lib.types.nullOr lib.types.bool;
            default = null;
            visible = false;
            description = "Now `rolling`.";
          };
          config.rolling = lib.mkIf (config.trial != null) (if config.trial then "stand-in" else "stop");
        }
      )
    );
  };
  # An api and a worker had no other shape.
  config.services = lib.mkMerge [
    (lib.mkIf options.api.isDefined { api.preset = lib.mkDefault "api"; })
    (lib.mkIf options.worker.isDefined { worker.preset = lib.mkDefault "worker"; })
  ];
}
