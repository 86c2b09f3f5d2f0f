# The system users and groups of stacks. Each belongs to one stack. An account of something else has other rights, and two
# stacks with one account could read each other's secrets and files.
{
  config,
  lib,
  modulesPath,
  options,
  ...
}:
let
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  reserved = import ./reserved.nix;
  values = import ../../nix/stack/values.nix { inherit lib; };

  # Those that NixOS makes on this host, such as a service's. The host's own configuration may add to a stack's account.
  ofNixos =
    kind:
    lib.concatMap (
      definition:
      lib.optionals (lib.hasPrefix modulesPath (toString definition.file)) (
        lib.attrNames definition.value
      )
    ) options.users.${kind}.definitionsWithLocations;
  others = {
    users = reserved.users ++ ofNixos "users";
    groups = reserved.groups ++ ofNixos "groups";
  };

  # { stack, option, name } of all accounts that stacks ask for; a user that a program inherits is named once.
  asked =
    of:
    lib.concatLists (
      lib.mapAttrsToList (
        stack: values:
        map (
          one:
          one
          // {
            inherit stack;
            option = "services.slipway.stacks.${stack}.${one.option}";
          }
        ) (of values)
      ) stacks
    );
  users = asked (
    stack:
    [
      {
        option = "user";
        name = stack.user;
      }
    ]
    ++ lib.filter (one: one.name != stack.user) (
      map (one: {
        option = "${one.option}.user";
        name = one.program.user;
      }) (values.programs stack)
    )
  );
  groups = asked (stack: [
    {
      option = "group";
      name = stack.group;
    }
  ]);

  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isAccount;
  named = what: one: {
    assertion = isAccount one.name;
    message = "${one.option} is ${builtins.toJSON one.name}, which is no name of a ${what}: take up to 31 letters, digits, `_` and `-`, and neither digit nor `-` first.";
  };
  foreign = kind: what: one: {
    assertion = !lib.elem one.name others.${kind};
    message = "${one.option} is ${one.name}, a ${what} of this host with other rights: take a ${what} of the stack's own, such as ${one.stack}-app.";
  };
  # A user namespace of its own is what keeps a process out of others of the same user, and so from their secrets.
  open =
    stack:
    let
      all = map (one: {
        inherit (one) option;
        inherit (one.program) user;
        secrets = lib.attrValues (values.secrets stacks.${stack} one.program);
        isOpen = lib.elem (one.program.serviceConfig.PrivateUsers or true) [
          false
          "no"
          "false"
          "off"
          "0"
        ];
      }) (values.programs stacks.${stack});
      reads = one: other: other.user == one.user && lib.subtractLists one.secrets other.secrets != [ ];
    in
    map (
      one:
      let
        option = "services.slipway.stacks.${stack}.${one.option}";
        readable = lib.filter (reads one) all;
      in
      {
        assertion = !one.isOpen || readable == [ ];
        message = "${option}.serviceConfig.PrivateUsers is off, so it could read the secrets of ${
          lib.concatMapStringsSep ", " (other: other.option) readable
        }, whose user it has: give it one of its own in ${option}.user.";
      }
    ) all;
  # The first of each stack that asks for the same.
  shared =
    what: list:
    lib.concatLists (
      lib.mapAttrsToList (
        name: owners:
        let
          firsts = map lib.head (lib.attrValues (lib.groupBy (one: one.stack) owners));
        in
        lib.optional (lib.length firsts > 1) {
          assertion = false;
          message = "${
            lib.concatMapStringsSep " and " (one: one.option) firsts
          } are both ${name}, so the stacks could read each other's secrets and files: give each a ${what} of its own.";
        }
      ) (lib.groupBy (one: one.name) list)
    );
in
{
  config = lib.mkIf (stacks != { }) {
    users = {
      # Assertions refuse accounts that belong to others; until then theirs must stay whole.
      users = lib.mapAttrs (_: owners: {
        isSystemUser = lib.mkDefault true;
        group = lib.mkDefault stacks.${(lib.head owners).stack}.group;
      }) (lib.removeAttrs (lib.groupBy (one: one.name) users) reserved.users);
      groups = lib.genAttrs (map (one: one.name) groups) (_: { });
    };
    assertions =
      map (named "user") users
      ++ map (named "group") groups
      ++ map (foreign "users" "user") users
      ++ map (foreign "groups" "group") groups
      ++ shared "user" users
      ++ shared "group" groups
      ++ lib.concatMap open (lib.attrNames stacks);
  };
}
