# Data as YAML, in a form that people read in a diff. Only builtins, so that committed copies can be checked anywhere.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    isAttrs
    isInt
    isList
    isString
    map
    match
    split
    toJSON
    ;

  # A text that is itself when it stands bare; everything else is written as JSON, which is YAML.
  isPlain =
    text:
    match "[A-Za-z/][A-Za-z0-9_./@+-]*" text != null
    && match "(true|false|null|yes|no|on|off|y|n)" (lower text) == null;

  upperLetters = filter isString (split "" "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  lowerLetters = filter isString (split "" "abcdefghijklmnopqrstuvwxyz");
  lower = builtins.replaceStrings (nonEmpty upperLetters) (nonEmpty lowerLetters);
  nonEmpty = filter (text: text != "");

  lines = text: filter isString (split "\n" text);

  # A text of several lines that ends with one newline, as a literal block.
  isBlock = text: match ".+\n" text != null && match "([^\n \t][^\n]*\n|\n)+" text != null;

  block =
    indent: text:
    let
      all = lines text;
      body = builtins.genList (builtins.elemAt all) (builtins.length all - 1);
    in
    "|\n" + concatStringsSep "\n" (map (line: if line == "" then "" else "${indent}${line}") body);

  scalar =
    indent: value:
    if isString value && isBlock value && builtins.length (lines value) > 2 then
      block indent value
    else if isString value && isPlain value then
      value
    else
      toJSON value;

  isEmpty = value: value == { } || value == [ ];
  isNested = value: (isAttrs value || isList value) && !isEmpty value;

  # The value after `key:` or `-`, with what separates them.
  after =
    indent: value: if isNested value then "\n${node indent value}" else " ${scalar indent value}";

  key = name: if isPlain name then name else toJSON name;

  node =
    indent: value:
    if isAttrs value then
      concatStringsSep "\n" (
        map (name: "${indent}${key name}:${after "${indent}  " value.${name}}") (attrNames value)
      )
    else
      concatStringsSep "\n" (map (item: "${indent}-${entry "${indent}  " item}") value);

  # The first key of a set stands on the line of its dash.
  entry =
    indent: item:
    if isAttrs item && item != { } then
      let
        text = node indent item;
        width = builtins.stringLength indent;
      in
      " ${builtins.substring width (builtins.stringLength text - width) text}"
    else
      after indent item;
in
{
  inherit isPlain;

  # One document. Keys are in alphabetical order.
  document =
    value:
    assert isAttrs value || isList value || isInt value || isString value;
    (if isNested value then node "" value else scalar "" value) + "\n";

  # Several documents in one file, in the order given.
  documents = values: concatStringsSep "---\n" (map (value: "${node "" value}\n") values);
}
