# TOML as cargo reads and writes it. Only builtins.
let
  inherit (builtins)
    addErrorContext
    attrNames
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    fromTOML
    head
    isAttrs
    isList
    isString
    length
    match
    replaceStrings
    split
    stringLength
    substring
    tail
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

  # Every sign that may open or end something: quotes one by one or three, and up to three more that belong to the text.
  signs = "(\"{3,6}|'{3,6}|\"|'|#|[{]|}|\\[|]|,|\n|\\\\[\"\\\\ex])";
  # The sign that ends what a sign opens.
  endOf = {
    "\"" = "\"";
    "'" = "'";
    "#" = "\n";
  };
  isWhole = sign: stringLength sign == 6;
  opens = sign: elem (substring 0 1 sign) (attrNames endOf) && !isWhole sign;
  ends =
    open: sign:
    if stringLength open >= 3 then
      stringLength sign >= 3 && substring 0 1 sign == substring 0 1 open
    else
      sign == endOf.${open};

  # A date or a time where a value stands, as a text.
  withoutDate =
    part:
    let
      date = "([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2})([^=]*[^=[:space:]])?";
      found = match "(.*=[[:space:]]*|[[:space:]]*)(${date})([[:space:]]*)" part;
      at = elemAt found;
    in
    if found == null then part else "${at 0}${toJSON (at 1)}${at 4}";

  # => what is known before the next sign: `out`, the brackets that are open, what a text or a comment was opened with, and a
  # comma that may be the last of its table.
  step =
    state: token:
    let
      sign = head token;
      top = if state.brackets == [ ] then "" else head state.brackets;
      inTable = top == "{";
      add =
        text: more:
        let
          comma = if match "[[:space:]]*" text == null then state.comma else "";
          out = "${state.out}${comma}${text}";
        in
        builtins.seq out (
          state
          // {
            inherit out;
            comma = if comma == "" then state.comma else "";
          }
          // more
        );
    in
    if isString token then
      if state.open == "" then
        add (withoutDate token) { }
      else if state.open == "#" && inTable then
        state
      else
        add token { }
    else if state.open != "" then
      let
        isEnd = ends state.open sign;
        isComment = state.open == "#";
      in
      add (
        if isComment && inTable then
          " "
        else if substring 0 1 state.open != "\"" then
          sign
        else
          replaceStrings [ "\\e" "\\x" ] [ "\\u001b" "\\u00" ] sign
      ) (if isEnd then { open = ""; } else { })
    else if opens sign then
      if sign == "#" && inTable then state // { open = sign; } else add sign { open = sign; }
    else if
      elem sign [
        "{"
        "["
      ]
    then
      add sign { brackets = [ sign ] ++ state.brackets; }
    else if
      elem sign [
        "}"
        "]"
      ]
    then
      # The last comma of a table is left out.
      state
      // {
        out = "${state.out}${sign}";
        brackets = if state.brackets == [ ] then [ ] else tail state.brackets;
        comma = "";
      }
    else if inTable && sign == "," then
      state // { comma = ","; }
    else if inTable && sign == "\n" then
      add " " { }
    else
      add sign { };

  # cargo reads TOML 1.1, Nix reads 1.0 without dates. What differs is written as Nix has it: inline tables over several lines,
  # a comma at their end, the escapes \e and \x, dates and times as texts.
  asNixReads =
    text:
    (foldl' step {
      out = "";
      brackets = [ ];
      open = "";
      comma = "";
    } (split signs (replaceStrings [ "\r\n" ] [ "\n" ] text))).out;
  # Most files do not differ, and are read much faster as they are.
  mayDiffer =
    text:
    let
      newline = "[[:space:]]*(#[^\n]*)?\n[[:space:]]*";
      differences = "[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}|\\\\[ex]|[{,]${newline}|${newline}[,}]|,[[:space:]]*}";
    in
    length (split differences text) > 1;
in
rec {
  # `name` is the file's.
  read = name: text: readPlain name (if mayDiffer text then asNixReads text else text);

  # What cargo wrote itself. What is no TOML cannot be caught, so the error gets words of ours.
  readPlain =
    name: text:
    addErrorContext "${name} is no TOML: mend it where the lines below point; `cargo metadata` says more" (
      fromTOML text
    );

  # Every table of the first level is one line, so nothing is nested by headings.
  write =
    table:
    concatStringsSep "" (
      map (name: "${toJSON name} = ${value table.${name}}\n") (
        filter (name: table.${name} != null) (attrNames table)
      )
    );
}
