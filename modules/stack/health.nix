# Asks services what they say of their health (health.sh).
#
#   wait service address    a command that ends when health.ready passes
#   once service address    the words of a program that passes when the first of both that asks over the network does
#   watch service address   one that fails when health.live has failed health.retries times in a row
#   restart unit            what is to follow then, as root
{
  config,
  lib,
  pkgs,
  utils,
}:
let
  program = lib.getExe (
    import ../../nix/lib/shell-application.nix { inherit pkgs; } {
      name = "slipway-health";
      runtimeInputs = [
        pkgs.coreutils
        pkgs.curl
        pkgs.netcat
      ];
      text = builtins.readFile ./health.sh;
    }
  );

  # A name without a folder is a program of the package.
  executable =
    service: word: if lib.hasInfix "/" word then word else lib.getExe' service.package word;
  # Without an address the service is refused (nix/stack/services.nix). nixpkgs must not say before that it is no text.
  probeWords =
    service: address: probe:
    if probe ? http then
      [
        "http"
        (toString address)
        probe.http
      ]
    else if probe ? tcp then
      [
        "tcp"
        (toString address)
      ]
    else
      [
        "command"
        (executable service (lib.head probe.command))
      ]
      ++ lib.tail probe.command;
in
{
  wait =
    service: address:
    utils.escapeSystemdExecArgs (
      [
        program
        "wait"
        service.health.timeoutSeconds
      ]
      ++ probeWords service address service.health.ready
    );
  once =
    service: address:
    [
      program
      "once"
      (toString service.health.timeoutSeconds)
    ]
    ++ probeWords service address (
      lib.findFirst (probe: probe ? http || probe ? tcp) null [
        service.health.ready
        service.health.live
      ]
    );
  watch =
    service: address:
    utils.escapeSystemdExecArgs (
      [
        program
        "watch"
        service.health.timeoutSeconds
        service.health.intervalSeconds
        service.health.retries
      ]
      ++ probeWords service address service.health.live
    );
  # Only after `watch` has failed: a question that could not be asked says nothing, and a replica that has failed by
  # itself makes its pause.
  restart =
    unit:
    pkgs.writeShellScript "slipway-restart-${unit}" ''
      PATH=${config.systemd.package}/bin
      [ "''${EXIT_STATUS-}" != 1 ] || ! systemctl --quiet is-active ${unit}.service || exec systemctl --no-block try-restart ${unit}.service
    '';
}
