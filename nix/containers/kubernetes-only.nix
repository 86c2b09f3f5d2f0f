# What a stack asks for and a cluster cannot give as it stands, with the cure; and arguments that fit no stack.
{
  lib,
  gateway,
  ingress,
  requests,
  scale,
  signalInImage,
  storage,
}:
config:
let
  contract = import ../contract.nix;
  cron = import ./cron.nix { inherit lib; };
  values = import ../stack/values.nix { inherit lib; };
  inherit (import ../stack/texts.nix { inherit lib; }) instead;
  known =
    argument: among: chosen:
    let
      unknown = toString (lib.subtractLists (lib.attrNames among) chosen);
    in
    {
      assertion = unknown == "";
      message = "${argument} names ${unknown}, which the stack has not; ${instead unknown (lib.attrNames among)}";
    };
  plain = address: builtins.match "any|localhost|[0-9a-fA-F:.]+(/[0-9]+)?" address != null;
  each =
    {
      key,
      option,
      program,
      ...
    }:
    let
      listed = lib.filter (address: !plain address) (values.allowedAddresses config program);
    in
    [
      {
        assertion = program.writablePaths == [ ] && program.readablePaths == [ ];
        message = "${option}.writablePaths and readablePaths name folders of a host, and a cluster's pods have none of them: use ${option}.stateDirectory, or a store of objects.";
      }
      {
        assertion = listed == [ ];
        message = "${option}.allowedAddresses has ${toString listed}, which only systemd knows: give networks such as 10.0.0.0/24, or any.";
      }
      {
        assertion = !program.stateDirectory || storage ? ${key};
        message = "${option}.stateDirectory needs a volume: give the argument storage.${key} = { size = \"10Gi\"; }.";
      }
    ];
in
[
  {
    assertion = config.domains == { } || (gateway != null) != (ingress != null);
    message = "domains are served through one of the arguments gateway and ingress: give gateway = { class = \"…\"; namespace = \"…\"; }, or ingress.";
  }
  {
    assertion = gateway == null || (gateway ? class) != (gateway ? parent);
    message = "gateway is either one of the stack's own, by its class, or one that is there, by its parent: give one of the two.";
  }
  {
    assertion = ingress == null || ingress ? class && ingress ? namespace;
    message = "ingress needs its class and the namespace of its controller's pods, which alone may reach the stack: give ingress = { class = \"…\"; namespace = \"…\"; }.";
  }
  {
    assertion = ingress == null || ingress ? annotations || ingress.class or "" == "nginx";
    message = "ingress.annotations is not set, and only those of ingress-nginx are known: give what class ${ingress.class or ""} reads, with a read time-out above a long poll's.";
  }
  (known "requests" (config.services // config.jobs) (lib.remove "proxy" (lib.attrNames requests)))
  (known "scale" config.services (lib.attrNames scale))
  (known "signalInImage" config.services signalInImage)
  (known "storage" (config.services // config.jobs) (lib.attrNames storage))
]
++ lib.mapAttrsToList (
  program: asked:
  let
    inherit ((config.services // config.jobs).${program}) limits;
  in
  {
    assertion = asked.cpus or 0 <= limits.cpus && asked.memoryMiB or 0 <= limits.memoryMiB;
    message = "requests.${program} is above ${program}.limits, and a cluster refuses that: lower it, or raise the limits.";
  }
) (lib.intersectAttrs (config.services // config.jobs) requests)
++ lib.mapAttrsToList (service: asked: {
  assertion = asked.stopSignal == contract.stopSignal || lib.elem service signalInImage;
  message = "services.${service}.stopSignal is ${asked.stopSignal}, and Kubernetes takes the signal from the image: build it with that signal, and name the service in the argument signalInImage.";
}) config.services
++ lib.concatMap each (values.programs config)
++ lib.mapAttrsToList (job: asked: {
  assertion = asked.schedule == null || cron asked != null;
  message = "jobs.${job}.schedule cannot be written for cron by Slipway: set jobs.${job}.cron to the same times.";
}) config.jobs
