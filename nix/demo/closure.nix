# A "system" in small: what an agent needs of config.system.build.toplevel, around one HTTP service.
{
  host, # the host's name
  version, # what the service answers to /version
  port, # where it listens, on 127.0.0.1
  state, # the host's folder: live link, boot marker, pid
  run, # the marker of the run, so that what a switch starts can be found again
  service, # absolute path of the slipway-demo-service program
  tools, # PATH for the builder and the switch script
  health ? 200, # what the service answers to /health
  variant ? "works", # works, hangs, prints, fails, no-script, no-checks, bad-checks or other-machine
}:
let
  # Added by content: all closures share one copy, and a host fetches it once.
  program = builtins.path {
    path = service;
    name = "slipway-demo-service";
  };

  script =
    builtins.replaceStrings
      [
        "@out@"
        "@host@"
        "@version@"
        "@address@"
        "@state@"
        "@run@"
        "@program@"
        "@tools@"
        "@health@"
        "@variant@"
      ]
      [
        (builtins.placeholder "out")
        host
        version
        address
        state
        run
        "${program}"
        tools
        (toString health)
        variant
      ]
      (builtins.readFile ./switch-to-configuration.sh);

  address = "127.0.0.1:${toString port}";

  checks = builtins.toJSON {
    checks = [
      {
        name = "listens";
        type = "tcp";
        inherit address;
        timeout_seconds = 2;
      }
      {
        name = "healthy";
        type = "http";
        url = "http://${address}/health";
        expect_status = 200;
        timeout_seconds = 2;
      }
    ];
  };
in
derivation {
  name = "slipway-demo-${host}-${version}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ ./build.sh ];
  PATH = tools;
  inherit version;
  script = if variant == "no-script" then "" else script;
  # As NixOS says which machine a system is for.
  machine = if variant == "other-machine" then "riscv64-linux" else "";
  checks =
    if variant == "no-checks" then
      ""
    else if variant == "bad-checks" then
      "{\"checks\": 7}"
    else
      checks;
}
