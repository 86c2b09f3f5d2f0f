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
    typeOf
    ;
in
rec {
  quote = name: "`${name}`";
  list = names: concatStringsSep ", " (map quote names);
  when = condition: sentence: if condition then [ sentence ] else [ ];

  # A user or a group; the last number means none.
  isId = value: isInt value && value >= 0 && value < 4294967295;
  isText = value: isString value || value == null;
  isListOf = check: value: isList value && builtins.all check value;
  isTextSet = value: isAttrs value && builtins.all isString (attrValues value);

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
        when (
          !known.${name}.check given.${name}
        ) "${quote (prefix + name)} is a ${typeOf given.${name}}: give ${known.${name}.is}"
    ) (attrNames given);
}
