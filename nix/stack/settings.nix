# What a stack's proxy says of all its domains (`proxy.*`), and each domain may say anew: limits, waits, headers, closed
# paths. `from` is the stack's, whose values are a domain's defaults; null is the stack itself.
#
#   settings { lib, from } -> options
{
  lib,
  from ? null,
}:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;
  inherit (contract) times;

  # An option with the default of the stack, or that of `proxy.<path>` for a domain.
  setting =
    path: default: option:
    mkOption (
      option
      // (
        if from == null then
          { inherit default; }
        else
          {
            default = lib.getAttrFromPath (lib.splitString "." path) from;
            defaultText = lib.literalMD "`proxy.${path}`";
          }
      )
    );

  rate = path: what: numbers: {
    perSecond = setting "${path}.perSecond" numbers.perSecond {
      type = types.ints.positive;
      example = 10 * numbers.perSecond;
      description = ''
        Requests a second from one address ${what}. Requests beyond it and beyond `burst` are answered with 429
        and Retry-After. Hosts behind one NAT share an address.
      '';
    };
    burst = setting "${path}.burst" numbers.burst {
      type = types.ints.unsigned;
      example = 10 * numbers.burst;
      description = "Requests that may come at once beyond the rate ${what} before they are refused. None is delayed.";
    };
  };
in
{
  limits = {
    bodyMiB = setting "limits.bodyMiB" contract.proxy.bodyMiB {
      type = types.ints.positive;
      example = 64;
      description = "Largest body of a request in MiB; a larger one is answered with 413. Keep it above the api's own limit.";
    };
    connectionsPerAddress =
      setting "limits.connectionsPerAddress" contract.proxy.connectionsPerAddress
        {
          type = types.ints.positive;
          example = 200;
          description = "Requests of one address that may be under way at once, long polls included; beyond it 429.";
        };
    requests = rate "limits.requests" "for services" contract.proxy.requests;
    monitoring = rate "limits.monitoring" "for the health paths" contract.proxy.monitoring;
    longPoll = rate "limits.longPoll" "for the long-poll paths" contract.proxy.longPoll;
  };
  longPollPaths = setting "longPollPaths" [ contract.paths.sync ] {
    type = types.listOf types.str;
    example = [ "/api/v1/wait" ];
    description = ''
      Exact paths whose requests stay open until something happens. They have separate limits. If a replica breaks,
      nginx sends such a request to another one, whatever its method. So list only requests that are safe to send
      twice.
    '';
  };
  closedPaths = setting "closedPaths" [ contract.paths.metrics ] {
    type = types.listOf types.str;
    example = [
      "/metrics"
      "/internal"
    ];
    description = ''
      Paths that are answered with 404, with all below them and in upper or lower case, as if they were not there. No route
      opens one again, and none does by `stripPrefix`.
    '';
  };
  timeouts = {
    readSeconds = setting "timeouts.readSeconds" times.proxyRequestSeconds {
      type = types.ints.positive;
      example = 30;
      description = "Seconds without a byte from a service after which a request is answered with 504. Above the api's own limit.";
    };
    longPollSeconds = setting "timeouts.longPollSeconds" times.proxyReadSeconds {
      type = types.ints.positive;
      example = 75;
      description = "Seconds without a byte from a service after which a request for one of `longPollPaths` is answered with 504. More than a long poll lasts (${toString times.longPollSeconds} s of an agent's).";
    };
  };
  tls.hsts = {
    maxAgeSeconds = setting "tls.hsts.maxAgeSeconds" 63072000 {
      type = types.ints.unsigned;
      example = 300;
      description = ''
        Seconds that a browser refuses to talk to the domain without TLS (Strict-Transport-Security). Begin with a
        small number on a domain that was served over plain HTTP; 0 makes browsers forget.
      '';
    };
    includeSubDomains = setting "tls.hsts.includeSubDomains" false {
      type = types.bool;
      example = true;
      description = "Whether that holds for all names below the domain as well, whoever serves them.";
    };
  };
}
