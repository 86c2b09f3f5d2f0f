# Error and latency budgets of each route. An alert fires when a route spends its budget much faster than it may, over a
# long time and still now: https://sre.google/workbook/alerting-on-slos/ has the factors. A page is for 2 % of a month's
# budget within an hour, or 5 % within six. A ticket is for 10 % within one day or three.
let
  inherit (import ../../contract.nix) paths;

  fast = {
    pairs = [
      {
        factor = "14.4";
        long = "1h";
        short = "5m";
      }
      {
        factor = "6";
        long = "6h";
        short = "30m";
      }
    ];
    longest = "6h";
  };
  slow = {
    pairs = [
      {
        factor = "3";
        long = "1d";
        short = "2h";
      }
      {
        factor = "1";
        long = "3d";
        short = "6h";
      }
    ];
    longest = "3d";
  };

  # Routes of one service that alerts name at a time.
  mostRoutes = 20;

  # Who counts: the programs themselves, and nginx for programs that count nothing. A stack is in one of them.
  programs = {
    labels = "stack, service, route";
    owner = "stack, service";
    requests = "http_requests_total";
    seconds = "http_request_duration_seconds";
    matchers = ''job="stack"'';
    but = "";
  };
  proxies = {
    labels = "stack, domain, route";
    owner = "stack, domain";
    requests = "slipway_proxy_requests_total";
    seconds = "slipway_proxy_request_duration_seconds";
    matchers = ''job="logs",stack!=""'';
    but = "unless on (stack) ${programs.requests}{${programs.matchers}}\n";
  };

  # A kind of budget has the bad requests of a window and all of them, each by a function such as `rate`.
  sum =
    from: function: series: window:
    "sum by (${from.labels}) (${function}(${series}[${window}]))";
  errors =
    from: _:
    let
      of = more: function: sum from function "${from.requests}{${from.matchers}${more}}";
    in
    {
      bad = of '',status=~"5.."'';
      all = of "";
    };
  slowness =
    from: t:
    let
      routes = "${from.matchers},route!~${t.exceptRoutes}";
      all = function: sum from function "${from.seconds}_count{${routes}}";
      # Programs write the bound of a bucket as 1 or as 1.0.
      quick =
        function: sum from function ''${from.seconds}_bucket{${routes},le=~"${t.slowSeconds}([.]0)?"}'';
    in
    {
      inherit all;
      bad = function: window: "(${all function window} - ${quick function window})";
    };

  burns =
    kind: from: speed: t:
    let
      inherit (kind from t) bad all;
      above =
        factor: window:
        "${bad "rate" window} / ${all "rate" window} > ${factor} * (1 - ${t.objectivePercent} / 100)";
      pair =
        {
          factor,
          long,
          short,
        }:
        "${above factor long}\nand\n${above factor short}\n";
    in
    # A single failure on a route that is rarely used is no pattern. And a program chooses the names of its routes: it could
    # make thousands of alerts of them.
    ''
      topk by (${from.owner}) (${toString mostRoutes}, (
      ${builtins.concatStringsSep "or\n" (map pair speed.pairs)})
      and
      ${bad "increase" speed.longest} >= ${t.leastRequests}
      )
    ''
    + from.but;

  errorThresholds = {
    objectivePercent = 99.9;
    leastRequests = 10;
  };
  slownessThresholds = {
    objectivePercent = 99;
    # A bound of the histogram's buckets.
    slowSeconds = 1;
    leastRequests = 10;
    # Long polls.
    exceptRoutes = "${paths.sync}|.*/events|.*/output";
  };
  share = "{{ $value | humanizePercentage }} of the requests to";
  route = "{{ $labels.route }} of {{ $labels.stack }}-{{ $labels.service }}";
  site = "{{ $labels.domain }} ({{ $labels.route }})";

  page =
    rule:
    {
      severity = "page";
      forSeconds = 60;
    }
    // rule;
  ticket =
    rule:
    {
      severity = "ticket";
      forSeconds = 900;
    }
    // rule;
in
{
  fast = {
    ErrorsBurnFast = page {
      thresholds = errorThresholds;
      summary = "${share} ${route} fail.";
      expr = burns errors programs fast;
    };
    LatencyBurnsFast = page {
      thresholds = slownessThresholds;
      summary = "${share} ${route} are slow.";
      expr = burns slowness programs fast;
    };
    SiteErrorsBurnFast = page {
      thresholds = errorThresholds;
      summary = "${share} ${site} fail.";
      expr = burns errors proxies fast;
    };
    SiteLatencyBurnsFast = page {
      thresholds = slownessThresholds;
      summary = "${share} ${site} are slow.";
      expr = burns slowness proxies fast;
    };
  };
  slow = {
    ErrorsBurnSlowly = ticket {
      thresholds = errorThresholds;
      summary = "${share} ${route} have failed for hours or days.";
      expr = burns errors programs slow;
    };
    LatencyBurnsSlowly = ticket {
      thresholds = slownessThresholds;
      summary = "${share} ${route} have been slow for hours or days.";
      expr = burns slowness programs slow;
    };
    SiteErrorsBurnSlowly = ticket {
      thresholds = errorThresholds;
      summary = "${share} ${site} have failed for hours or days.";
      expr = burns errors proxies slow;
    };
    SiteLatencyBurnsSlowly = ticket {
      thresholds = slownessThresholds;
      summary = "${share} ${site} have been slow for hours or days.";
      expr = burns slowness proxies slow;
    };
  };
}
