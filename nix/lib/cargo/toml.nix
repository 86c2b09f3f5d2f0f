# Writes a value as TOML that cargo reads. Every table of the first level is one line, so nothing is nested by headings.
# Only builtins.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    isAttrs
    isList
    toJSON
    ;

  # JSON's strings, numbers and booleans are TOML's.
  value =
    it:
    if isAttrs it then
      "{ ${concatStringsSep ", " (map (name: "${toJSON name} = ${value it.${name}}") (attrNames it))} }"
    else if isList it then
      "[ ${concatStringsSep ", " (map value it)} ]"
    else
      toJSON it;
in
{
  write =
    table:
    concatStringsSep "" (
      map (name: "${toJSON name} = ${value table.${name}}\n") (
        filter (name: table.${name} != null) (attrNames table)
      )
    );
}
