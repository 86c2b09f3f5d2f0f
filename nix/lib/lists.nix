# Lists, most of them of texts. Only builtins.
let
  inherit (builtins)
    attrNames
    filter
    genericClosure
    groupBy
    map
    ;
in
rec {
  optional = condition: item: if condition then [ item ] else [ ];

  # Each text once, sorted.
  unique = list: attrNames (groupBy (text: text) list);

  # Without what is null.
  known = filter (text: text != null);

  # `start` and all that `next` leads to from there, each once, sorted.
  reach =
    start: next:
    unique (
      map (item: item.key) (genericClosure {
        startSet = map (key: { inherit key; }) start;
        operator = { key }: map (key: { inherit key; }) (next key);
      })
    );
}
