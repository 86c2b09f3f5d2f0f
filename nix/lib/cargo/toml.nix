# TOML as cargo reads and writes it. Only builtins.
let
  inherit (builtins)
    addErrorContext
    attrNames
    concatStringsSep
    elem
    elemAt
    filter
    fromTOML
    genericClosure
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

  # Every sign that may open or end something: quotes one by one or three, and up to two more that belong to the text.
  signs = "(\"{3,8}|'{3,8}|\"|'|#|[{]|}|\\[|]|,|\n|\\\\[\"\\\\ex])";
  # The sign that ends what a sign opens.
  endOf = {
    "\"" = "\"";
    "'" = "'";
    "#" = "\n";
  };
  # A text of three quotes that holds nothing, or quotes alone.
  isWhole = sign: stringLength sign >= 6;
  opens = sign: elem (substring 0 1 sign) (attrNames endOf) && !isWhole sign;
  ends =
    open: sign:
    if stringLength open >= 3 then
      stringLength sign >= 3 && substring 0 1 sign == substring 0 1 open
    else
      sign == endOf.${open};

  # A date or a time where a value stands, as a text. Names may look like one: only in an array a value stands without "=".
  withoutDate =
    inArray: part:
    let
      date = "([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2})([^=]*[^=[:space:]])?";
      before = if inArray then "[[:space:]]*" else ".*=[[:space:]]*";
      found = match "(${before})(${date})([[:space:]]*)" part;
      at = elemAt found;
    in
    if found == null then part else "${at 0}${toJSON (at 1)}${at 4}";

  # => what is written for a token (`out`), and what is known before the next one: the brackets that are open, those of a
  # heading as "h"; what a text or a comment was opened with; a comma that may be the last of its table; whether a value is next.
  step =
    state: token:
    let
      sign = head token;
      top = if state.brackets == [ ] then "" else head state.brackets;
      inTable = top == "{";
      add =
        text: more:
        let
          isBlank = match "[[:space:]]*" text != null;
        in
        state
        // {
          out = if isBlank then text else "${state.comma}${text}";
          comma = if isBlank then state.comma else "";
        }
        // more;
      none = more: state // { out = ""; } // more;
    in
    if isString token then
      if state.open == "" then
        add (withoutDate (top == "[") token) { isValue = match ".*=[[:space:]]*" token != null; }
      else if state.open == "#" && inTable then
        none { }
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
      if sign == "#" && inTable then none { open = sign; } else add sign { open = sign; }
    else if sign == "{" then
      add sign { brackets = [ sign ] ++ state.brackets; }
    else if sign == "[" then
      add sign {
        brackets = [
          (if top == "h" || top == "" && !state.isValue then "h" else sign)
        ]
        ++ state.brackets;
      }
    else if
      elem sign [
        "}"
        "]"
      ]
    then
      # The last comma of a table is left out.
      state
      // {
        out = sign;
        brackets = if state.brackets == [ ] then [ ] else tail state.brackets;
        comma = "";
      }
    else if inTable && sign == "," then
      none { comma = ","; }
    else if inTable && sign == "\n" then
      add " " { }
    else
      add sign { };

  # cargo reads TOML 1.1, Nix reads 1.0 without dates. What differs is written as Nix has it: inline tables over several lines,
  # a comma at their end, the escapes \e and \x, dates and times as texts.
  asNixReads =
    text:
    let
      tokens = split signs (replaceStrings [ "\r\n" ] [ "\n" ] text);
      # A list of states, for a text that grows by every token would be copied every time.
      states = genericClosure {
        startSet = [
          {
            key = 0;
            out = "";
            brackets = [ ];
            open = "";
            comma = "";
            isValue = false;
          }
        ];
        operator =
          state:
          if state.key == length tokens then
            [ ]
          else
            [ (step state (elemAt tokens state.key) // { key = state.key + 1; }) ];
      };
    in
    concatStringsSep "" (map (state: state.out) states);
  # Most files do not differ, and are read much faster as they are.
  mayDiffer =
    text:
    let
      # No expression for a whole comment: it overflows the stack on a long one.
      differences = "[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}|\\\\[ex]|[{,][[:space:]]*[#\n}]|\n[[:space:]]*[,}]";
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
