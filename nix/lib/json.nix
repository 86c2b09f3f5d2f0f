# Data as JSON with a line for each value, so that people read a change in a diff. Only builtins.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    isAttrs
    isList
    map
    toJSON
    ;
  lines =
    indent: open: close: parts:
    "${open}\n${concatStringsSep ",\n" (map (part: "${indent}  ${part}") parts)}\n${indent}${close}";
  node =
    indent: value:
    if value == { } || value == [ ] then
      toJSON value
    else if isAttrs value then
      lines indent "{" "}" (
        map (name: "${toJSON name}: ${node "${indent}  " value.${name}}") (attrNames value)
      )
    else if isList value then
      lines indent "[" "]" (map (node "${indent}  ") value)
    else
      toJSON value;
in
{
  document = value: node "" value + "\n";
}
