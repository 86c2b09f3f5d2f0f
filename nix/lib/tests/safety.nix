# What a build must never do: run what a name holds, or read a secret that lies beside a crate.
let
  cargo = import ../cargo/workspace.nix;
  code = import ../cargo/code.nix;
  selections = import ../cargo/selection.nix;
  views = import ../cargo/view.nix;

  view = views.ofSet {
    "api/Cargo.toml" = "[package]\nname = \"x\"\n[[bin]]\nname = \"a'$(b)'\"\npath = \"src/main.rs\"";
    "api/src/main.rs" =
      "from_filename(\".env\"); f(\".env.local\"); f(\"../../.env\"); include_str!(\"../../.env.example\"); \".git\"";
    "api/.env" = "PASSWORD=x";
    "api/.env.local" = "PASSWORD=x";
    "api/.env.example" = "PASSWORD=";
    "api/.git/config" = "";
    ".env" = "PASSWORD=x";
    ".env.example" = "PASSWORD=";
  };
  workspace = cargo.read view "api";
  case = name: got: want: {
    name = "safety: ${name}";
    inherit got want;
  };
in
[
  (case "a shell takes a name as it stands" (selections.of { inherit workspace; }).builds.x.targets
    "--bin 'a'\\''$(b)'\\'''"
  )
  (case "variables with secrets are not read, though the code names their file"
    (removeAttrs (code.of {
      inherit view;
      at = "api";
      folders = [ "api" ];
      crate = workspace.crates.api;
    }) [ "hasLinks" ])
    {
      without = [
        "api/.env"
        "api/.env.local"
        "api/.git"
      ];
      outside = [ ".env.example" ];
    }
  )
]
