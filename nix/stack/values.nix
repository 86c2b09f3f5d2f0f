# What one program of a stack gets in the end, for all renderers: its own values over those of the stack, without what it
# removes.
{ lib }:
let
  over =
    what: stack: program:
    lib.filterAttrs (_: value: value != null) (stack.${what} // program.${what});
  text = value: if lib.isBool value then lib.boolToString value else toString value;
in
{
  environment = stack: program: lib.mapAttrs (_: text) (over "environment" stack program);
  # Names to files of the host.
  secrets = over "secrets";
  # Where it may connect to: what systemd's IPAddressAllow takes.
  allowedAddresses =
    stack: program:
    if program.allowedAddresses == null then stack.allowedAddresses else program.allowedAddresses;
  # The jobs before a start by name, each after those that it waits for. A circle is refused (jobs.nix).
  startJobs =
    stack:
    let
      jobs = lib.filterAttrs (_: job: job.before == "start") stack.jobs;
    in
    (lib.toposort (one: other: lib.elem one jobs.${other}.after) (lib.attrNames jobs)).result or [ ];
}
