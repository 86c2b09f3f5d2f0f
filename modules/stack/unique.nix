# Names of units and folders: two options that lead to the same one would merge in silence, into a unit that is neither.
{
  config,
  lib,
  modulesPath,
  options,
  ...
}:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  values = import ../../nix/stack/values.nix { inherit lib; };
  optionOf =
    name: claim:
    "services.slipway.stacks.${name}" + lib.optionalString (claim.option != null) ".${claim.option}";

  claims = lib.concatLists (
    lib.mapAttrsToList (
      name: stack: map (claim: claim // { option = optionOf name claim; }) (namesOf name stack).claims
    ) stacks
  );
  # Units of the host that exist without any stack, by whoever makes them.
  ofHost =
    map
      (unit: {
        option = "Slipway itself";
        unit = "${unit}.service";
      })
      [
        "slipway-agent"
        "slipway-backup-exporter"
        "slipway-database-certificate"
        "slipway-database-memory"
        "slipway-logs"
        "slipway-logs-door"
        "slipway-logs-door-renew"
        "slipway-logs-renew"
        "slipway-monitoring-password"
        "slipway-monitoring-secrets"
        "slipway-telemetry-door"
        "slipway-telemetry-door-renew"
        "slipway-telemetry-facts"
        "slipway-telemetry-role"
      ]
    ++ lib.concatMap (
      definition:
      let
        file = toString definition.file;
      in
      lib.optionals (lib.hasPrefix modulesPath file) (
        map (unit: {
          option = "nixos/modules${lib.removePrefix modulesPath file}";
          unit = "${unit}.service";
        }) (lib.filter (unit: !lib.hasPrefix "redis-" unit) (lib.attrNames definition.value))
      )
    ) options.systemd.services.definitionsWithLocations;

  ofStack = lib.listToAttrs (map (claim: lib.nameValuePair claim.unit claim.option) claims);
  units =
    let
      makers = lib.groupBy (claim: claim.unit) (
        claims ++ lib.filter (claim: ofStack ? ${claim.unit}) ofHost
      );
    in
    lib.mapAttrs (_: owners: lib.unique (map (claim: claim.option) owners)) makers;

  # The same for folders below /var/lib and /run: `serviceConfig` may name others than names.nix does.
  programs = lib.concatLists (
    lib.mapAttrsToList (
      name: stack:
      map (
        {
          key,
          option,
          program,
          ...
        }:
        {
          option = optionOf name { inherit option; };
          state =
            program.serviceConfig.StateDirectory or (lib.optional program.stateDirectory "${name}-${key}");
          runtime = program.serviceConfig.RuntimeDirectory or [ ];
        }
      ) (values.programs stack)
    ) stacks
  );
  words = value: lib.concatMap (lib.splitString " ") (lib.toList value);
  folders =
    let
      claim = option: path: { inherit option path; };
      ofPrograms = lib.concatMap (
        program:
        map (folder: claim program.option "/var/lib/${folder}") (words program.state)
        ++ map (folder: claim program.option "/run/${folder}") (words program.runtime)
      ) programs;
      ofOthers =
        map (claim "Slipway itself") [
          "/run/slipway"
          "/run/slipway-cache"
          "/run/slipway-jobs"
          "/run/slipway-logs-door"
          "/run/slipway-roll"
          "/run/slipway-telemetry"
          "/run/slipway-telemetry-door"
          "/var/lib/slipway-agent"
          "/var/lib/slipway-backup"
          "/var/lib/slipway-jobs"
          "/var/lib/slipway-logs"
        ]
        ++ lib.concatMap (name: [
          (claim "services.slipway.stacks.${name}" "/run/redis-${name}")
          (claim "services.slipway.stacks.${name}" "/var/lib/redis-${name}")
        ]) (lib.attrNames stacks);
    in
    lib.mapAttrs (_: owners: lib.unique (map (one: one.option) owners)) (
      lib.groupBy (one: one.path) (ofPrograms ++ ofOthers)
    );

  # One message for all that the same options share.
  clashes =
    what: cure: names:
    lib.mapAttrsToList
      (who: shared: {
        assertion = false;
        message = "${who} would both have the ${what} ${lib.concatStringsSep ", " shared}: ${cure}.";
      })
      (
        lib.groupBy (name: lib.concatStringsSep " and " names.${name}) (
          lib.filter (name: lib.length names.${name} > 1) (lib.attrNames names)
        )
      );
in
{
  config.assertions = lib.optionals (stacks != { }) (
    clashes "unit" "rename one of them" units
    ++ clashes "folder" "rename one of them, or set another in its serviceConfig" folders
  );
}
