# Paths as text, and the patterns of `members`.
let
  glob = import ../cargo/glob.nix;
  paths = import ../cargo/paths.nix;
  views = import ../cargo/view.nix;
  same = name: got: want: {
    name = "paths: ${name}";
    inherit got want;
  };
in
[
  (same "a path is joined" (paths.join "crates/bin/api" "../../lib/./store") "crates/lib/store")
  (same "a path that leads out" (paths.join "crates" "../../x") null)
  (same "an absolute path" (paths.join "crates" "/x") null)
  (same "a folder is within itself and not within its namesake"
    [
      (paths.within "a" "a")
      (paths.within "a" "a/b")
      (paths.within "a" "ab")
    ]
    [ true true false ]
  )
  (same "signs of a pattern"
    (map
      (glob.expand (views.ofSet {
        "xb1.y/f" = "";
        "xb1.yz/f" = "";
        "xd1.y/f" = "";
        "xb1zy/f" = "";
        "deep/.hidden/x/f" = "";
        "x[1]/f" = "";
      }) ".")
      [
        "x[a-c]?.y*"
        "deep/**/x"
        "x[1]"
        "x[^b]1zy"
      ]
    )
    [
      [
        "xb1.y"
        "xb1.yz"
      ]
      [ "deep/.hidden/x" ]
      [ "x[1]" ]
      [ "xb1zy" ]
    ]
  )
]
