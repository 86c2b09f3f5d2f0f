# Whether a flake.lock fits the inputs of its flake.nix: a list of what differs, each with its cure. Only builtins.
{ inputs, lock }:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    head
    isList
    isString
    map
    split
    ;

  locked = lock.nodes.${lock.root}.inputs or { };
  declared = filter (name: elem name (attrNames locked)) (attrNames inputs);

  # "slipway/nixpkgs" -> [ "slipway" "nixpkgs" ]; an input that follows "" is left out.
  pathOf = follows: filter (part: isString part && part != "") (split "/" follows);
  said = path: if path == [ ] then "nothing" else "`${concatStringsSep "/" path}`";

  addressOf =
    original:
    if original.type or "" == "github" then
      "github:${original.owner}/${original.repo}" + (if original ? ref then "/${original.ref}" else "")
    else
      original.url or original.path or original.id or "";

  # One entry of flake.nix against one entry of flake.lock: either a node's name or a path that it follows.
  compare =
    name: input: entry:
    if input ? follows then
      if !isList entry then
        [
          "${name} follows ${said (pathOf input.follows)} in flake.nix and has a revision of its own in flake.lock"
        ]
      else if entry != pathOf input.follows then
        [ "${name} follows ${said (pathOf input.follows)} in flake.nix and ${said entry} in flake.lock" ]
      else
        [ ]
    else if isList entry then
      [ "${name} follows ${said entry} in flake.lock and nothing in flake.nix" ]
    else
      compareNode name input lock.nodes.${entry};

  compareNode =
    name: input: node:
    let
      nested = input.inputs or { };
      there = node.inputs or { };
    in
    (
      if input ? url && addressOf (node.original or { }) != input.url then
        [ "${name} is ${input.url} in flake.nix and ${addressOf (node.original or { })} in flake.lock" ]
      else
        [ ]
    )
    ++ concatMap (
      inner:
      if there ? ${inner} then
        compare "${name}/${inner}" nested.${inner} there.${inner}
      else
        [ "${name}/${inner} is in flake.nix and not in flake.lock" ]
    ) (attrNames nested)
    # What an input's own flake lets follow stays inside that input.
    ++ concatMap (
      inner:
      if
        isList there.${inner} && !nested ? ${inner} && there.${inner} != [ ] && head there.${inner} != name
      then
        [ "${name}/${inner} follows ${said there.${inner}} in flake.lock and nothing in flake.nix" ]
      else
        [ ]
    ) (attrNames there);

  hashed =
    name:
    if builtins.match "sha256-.{44}" (lock.nodes.${name}.locked.narHash or "") != null then
      [ ]
    else
      [ "the node ${name} has no hash in flake.lock" ];

  problems =
    map (name: "${name} is in flake.nix and not in flake.lock") (
      filter (name: !elem name (attrNames locked)) (attrNames inputs)
    )
    ++ map (name: "${name} is in flake.lock and not in flake.nix") (
      filter (name: !inputs ? ${name}) (attrNames locked)
    )
    ++ concatMap (name: compare name inputs.${name} locked.${name}) declared
    ++ concatMap hashed (filter (name: name != lock.root) (attrNames lock.nodes));
in
map (problem: "flake.lock does not fit flake.nix: ${problem}; run `nix flake lock`") problems
