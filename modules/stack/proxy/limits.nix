# How much the proxy lets through, and how long it waits.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;

  rate =
    what:
    {
      perSecond,
      burst,
    }:
    {
      perSecond = mkOption {
        type = types.ints.positive;
        default = perSecond;
        example = 10 * perSecond;
        description = ''
          Requests a second from one address ${what}. Requests beyond it and beyond `burst` are answered with 429
          and Retry-After. Hosts behind one NAT share an address.
        '';
      };
      burst = mkOption {
        type = types.ints.unsigned;
        default = burst;
        example = 10 * burst;
        description = "Requests that may come at once beyond the rate ${what} before they are refused. None is delayed.";
      };
    };

  limitOptions.options.proxy = {
    limits = {
      bodyMiB = mkOption {
        type = types.ints.positive;
        default = contract.proxy.bodyMiB;
        example = 64;
        description = "Largest body of a request in MiB; a larger one is answered with 413. Keep it above the api's own limit.";
      };
      connectionsPerAddress = mkOption {
        type = types.ints.positive;
        default = contract.proxy.connectionsPerAddress;
        example = 200;
        description = "Requests of one address that may be under way at once, long polls included; beyond it 429.";
      };
      requests = rate "for the api" contract.proxy.requests;
      monitoring = rate "for the health paths" contract.proxy.monitoring;
      longPoll = rate "for the long-poll paths" contract.proxy.longPoll;
    };
    longPollPaths = mkOption {
      type = types.listOf types.str;
      default = [ contract.paths.sync ];
      example = [ "/api/v1/wait" ];
      description = ''
        Exact paths whose requests stay open until something happens. They have separate limits. If a replica breaks,
        nginx sends such a request to another one, whatever its method. So list only requests that are safe to send
        twice.
      '';
    };
    timeouts = {
      readSeconds = mkOption {
        type = types.ints.positive;
        default = contract.times.proxyRequestSeconds;
        example = 30;
        description = "Seconds without a byte from the api after which a request is answered with 504. Above the api's own limit.";
      };
      longPollSeconds = mkOption {
        type = types.ints.positive;
        default = contract.times.proxyReadSeconds;
        example = 75;
        description = "Seconds without a byte from the api after which a request for one of `proxy.longPollPaths` is answered with 504. More than a long poll lasts (${toString contract.times.longPollSeconds} s of an agent's).";
      };
    };
  };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule limitOptions);
  };
}
