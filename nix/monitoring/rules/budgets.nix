# Error and latency budgets of each route. An alert fires when a route spends its budget much faster than it may, over a
# long time and still now: https://sre.google/workbook/alerting-on-slos/ has the factors. A page is for 2 % of a month's
# budget within an hour, or 5 % within six. A ticket is for 10 % within one day or three.
let
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

  sum =
    function: series: window:
    "sum by (stack, service, route) (${function}(${series}[${window}]))";

  # A kind of budget has the bad requests of a window and all of them, each by a function such as `rate`.
  errors = _: {
    bad = function: sum function ''http_requests_total{job="stack",status=~"5.."}'';
    all = function: sum function ''http_requests_total{job="stack"}'';
  };
  slowness =
    t:
    let
      routes = ''job="stack",route!~${t.exceptRoutes}'';
      all = function: sum function "http_request_duration_seconds_count{${routes}}";
      # Programs write the bound of a bucket as 1 or as 1.0.
      quick =
        function:
        sum function ''http_request_duration_seconds_bucket{${routes},le=~"${t.slowSeconds}([.]0)?"}'';
    in
    {
      inherit all;
      bad = function: window: "(${all function window} - ${quick function window})";
    };

  burns =
    kind: speed: t:
    let
      inherit (kind t) bad all;
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
    # A single failure on a route that is rarely used is no pattern.
    ''
      (
      ${builtins.concatStringsSep "or\n" (map pair speed.pairs)})
      and
      ${bad "increase" speed.longest} >= ${t.leastRequests}
    '';

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
    exceptRoutes = "/api/v1/agent/sync|.*/events";
  };
  share = "{{ $value | humanizePercentage }}";
  route = "{{ $labels.route }} of {{ $labels.stack }}-{{ $labels.service }}";
in
{
  fast = {
    ErrorsBurnFast = {
      severity = "page";
      forSeconds = 60;
      thresholds = errorThresholds;
      summary = "${share} of the requests to ${route} fail.";
      expr = burns errors fast;
    };
    LatencyBurnsFast = {
      severity = "page";
      forSeconds = 60;
      thresholds = slownessThresholds;
      summary = "${share} of the requests to ${route} are slow.";
      expr = burns slowness fast;
    };
  };
  slow = {
    ErrorsBurnSlowly = {
      severity = "ticket";
      forSeconds = 900;
      thresholds = errorThresholds;
      summary = "${share} of the requests to ${route} have failed for hours or days.";
      expr = burns errors slow;
    };
    LatencyBurnsSlowly = {
      severity = "ticket";
      forSeconds = 900;
      thresholds = slownessThresholds;
      summary = "${share} of the requests to ${route} have been slow for hours or days.";
      expr = burns slowness slow;
    };
  };
}
