# What one program of a stack gets in the end, for all renderers: its own values over those of the stack, without what it
# removes.
{ lib }:
let
  over =
    what: stack: program:
    lib.filterAttrs (_: value: value != null) (stack.${what} // program.${what});
  named = dollar: builtins.split "(${dollar})?(${dollar})[(]([A-Za-z_][A-Za-z0-9_]*)[)]";
  # A value of `environment` as the program reads it.
  text = value: if lib.isBool value then lib.boolToString value else toString value;
in
{
  inherit text;
  environment = stack: program: lib.mapAttrs (_: text) (over "environment" stack program);
  # Names to files of the host.
  secrets = over "secrets";
  # The variables that an argument names.
  variables =
    text: map lib.last (lib.filter (part: lib.isList part && lib.head part == null) (named "[$]" text));
  # `$(NAME)` in an argument with what `value` makes of NAME, and `$$(NAME)` as the text itself, as Kubernetes has it.
  # `dollar` matches one `$` of the text.
  substituted =
    dollar: value: text:
    lib.concatMapStrings (
      part:
      if lib.isString part then
        part
      else if lib.head part != null then
        "${lib.elemAt part 1}(${lib.last part})"
      else
        value (lib.last part)
    ) (named dollar text);
  # All of a stack: { kind, key, option, program }.
  programs =
    stack:
    lib.concatMap
      (
        kind:
        lib.mapAttrsToList (key: program: {
          inherit key kind program;
          option = "${kind}.${key}";
        }) stack.${kind}
      )
      [
        "services"
        "jobs"
      ];
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
