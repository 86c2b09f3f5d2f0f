# flake.lock fits flake.nix, and what does not fit is found.
let
  compare = import ../lock.nix;
  inherit (import ../../../flake.nix) inputs;
  lock = builtins.fromJSON (builtins.readFile ../../../flake.lock);

  hash = "sha256-7G+2aXClSMaTY1ogpX14CAxjRsvyVzpE0GRwL71WO7g=";
  node =
    repo: more:
    {
      locked.narHash = hash;
      original = {
        type = "github";
        owner = "o";
        inherit repo;
      };
    }
    // more;
  small = {
    root = "root";
    nodes = {
      root.inputs = {
        a = "a";
        b = "b_2";
      };
      a = node "a" {
        inputs = {
          b = [ "b" ];
          c = [ ];
          own = [
            "a"
            "d"
          ];
        };
      };
      b_2 = node "b" { };
    };
  };
  fitting = {
    a = {
      url = "github:o/a";
      inputs.b.follows = "b";
      inputs.c.follows = "";
    };
    b.url = "github:o/b";
  };
  # A case: what is found when flake.nix says `inputs` and flake.lock `lock`.
  found = name: inputs: lock: want: {
    name = "lock: ${name}";
    got = compare { inherit inputs lock; };
    want = map (problem: "flake.lock does not fit flake.nix: ${problem}; run `nix flake lock`") want;
  };
  withA = a: fitting // { a = fitting.a // a; };
in
[
  (found "of this flake" inputs lock [ ])
  (found "one that fits" fitting small [ ])
  (found "an input too many and one too few"
    {
      inherit (fitting) a;
      z.url = "github:o/z";
    }
    small
    [
      "z is in flake.nix and not in flake.lock"
      "b is in flake.lock and not in flake.nix"
    ]
  )
  (found "another address" (withA { url = "github:o/a/main"; }) small [
    "a is github:o/a/main in flake.nix and github:o/a in flake.lock"
  ])
  (found "a follows that flake.nix lacks" (withA { inputs = { }; }) small [
    "a/b follows `b` in flake.lock and nothing in flake.nix"
  ])
  (found "a follows elsewhere"
    (withA {
      inputs.b.follows = "b/x";
      inputs.c.follows = "b";
    })
    small
    [
      "a/b follows `b/x` in flake.nix and `b` in flake.lock"
      "a/c follows `b` in flake.nix and nothing in flake.lock"
    ]
  )
  (found "a follows that flake.lock lacks" fitting (
    small
    // {
      nodes = small.nodes // {
        a = node "a" {
          inputs = {
            b = "b_2";
            c = [ ];
          };
        };
      };
    }
  ) [ "a/b follows `b` in flake.nix and has a revision of its own in flake.lock" ])
  (found "a node without its hash" fitting (
    small
    // {
      nodes = small.nodes // {
        b_2 = removeAttrs small.nodes.b_2 [ "locked" ];
      };
    }
  ) [ "the node b_2 has no hash in flake.lock" ])
]
