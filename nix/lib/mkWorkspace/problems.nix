# Mistakes of arguments as sentences that name the argument and the cure. Only builtins.
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    filter
    isAttrs
    isInt
    isList
    isString
    map
    match
    stringLength
    toJSON
    typeOf
    ;
in
rec {
  quote = name: "`${name}`";
  list = names: if names == [ ] then "none" else concatStringsSep ", " (map quote names);
  when = (import ../lists.nix).optional;

  # A user or a group; the last number means none.
  isId = value: isInt value && value >= 0 && value < 4294967295;
  isText = value: isString value || value == null;
  isListOf = check: value: isList value && builtins.all check value;
  isTextSet = value: isAttrs value && builtins.all isString (attrValues value);
  isPackage = value: isAttrs value && value.type or null == "derivation";

  # Where a link leads shows when something is built.
  # The older way looks into the folder above, which a flake may not do for its own.
  typeAt =
    builtins.readFileType or (path: (builtins.readDir (dirOf path)).${baseNameOf path} or "directory");

  # What was given, in the words of the pages.
  described =
    value:
    let
      type = typeOf value;
      isShort = text: text != "" && stringLength text <= 80 && match "[^\n]*" text != null;
      shown = kind: text: if isShort text then "the ${kind} ${quote text}" else "a ${kind}";
    in
    if value == null || type == "bool" then
      toJSON value
    else if isInt value || type == "float" then
      shown "number" (toJSON value)
    else if isString value then
      shown "text" value
    else if type == "path" then
      shown "path" (toString value)
    else if isPackage value then
      shown "package" (value.name or "")
    else if type == "lambda" then
      "a function"
    else if value == [ ] then
      "an empty list"
    else
      "a ${type}";

  # Checks that can say which item is wrong.
  listOf = check: {
    check = isListOf check;
    wrong = value: if isList value then map described (filter (item: !check item) value) else [ ];
  };
  textSet = {
    check = isTextSet;
    wrong =
      value:
      if isAttrs value && !isPackage value then
        map (name: "${described value.${name}} as ${quote name}") (
          filter (name: !isString value.${name}) (attrNames value)
        )
      else
        [ ];
  };
  orNull =
    type:
    type
    // {
      check = value: value == null || type.check value;
    };

  # What is wrong with the kind of one argument.
  ofKind =
    argument: type: value:
    let
      wrong = (type.wrong or (_: [ ])) value;
    in
    if type.check value then
      [ ]
    else if wrong == [ ] then
      [ "${quote argument} is ${described value}: give ${type.is}" ]
    else
      map (item: "${quote argument} holds ${item}: give ${type.is}") wrong;

  # Mistakes in the names and kinds of `given`.
  shape =
    prefix: known: required: given:
    map (name: "${quote (prefix + name)} is missing: give ${known.${name}.is}") (
      filter (name: !given ? ${name}) required
    )
    ++ concatMap (
      name:
      if !known ? ${name} then
        [ "${quote (prefix + name)} is not known here; there are ${list (attrNames known)}" ]
      else
        ofKind (prefix + name) known.${name} given.${name}
    ) (attrNames given);
}
