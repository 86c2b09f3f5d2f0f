let
  of = route: ''host="web-1",job="stack",service="api",stack="shop",route="${route}"'';
  requests = route: status: ''http_requests_total{${of route},method="GET",status="${status}"}'';
  timed = route: ''http_request_duration_seconds_count{${of route},method="GET"}'';
  within =
    route: bound: ''http_request_duration_seconds_bucket{${of route},method="GET",le="${bound}"}'';
  labels = {
    route = "/cart";
    service = "api";
    stack = "shop";
  };
in
{
  ErrorsBurnFast = {
    fault.series = {
      ${requests "/cart" "200"} = "0+57x60";
      ${requests "/cart" "502"} = "0+3x60";
    };
    fault.minutes = 10;
    fault.alerts = [
      {
        inherit labels;
        summary = "5% of the requests to /cart of shop-api fail.";
      }
    ];
    # One of 2,000; mistakes of clients; a single failure on a route that hardly anybody uses; errors that are over.
    healthy.series = {
      ${requests "/cart" "200"} = "0+2000x120";
      ${requests "/cart" "500"} = "0+1x120";
      ${requests "/cart" "404"} = "0+500x120";
      ${requests "/admin" "200"} = "0x10 1x50 2x60";
      ${requests "/admin" "500"} = "0x20 1x100";
      ${requests "/past" "200"} = "0+2000x120";
      ${requests "/past" "500"} = "0+500x3 2000x117";
    };
    healthy.minutes = 60;
    healthy.also.ErrorsBurnSlowly = 1;
  };
  ErrorsBurnSlowly = {
    fault.series = {
      ${requests "/cart" "200"} = "0+996x60";
      ${requests "/cart" "500"} = "0+4x60";
    };
    fault.minutes = 25;
    fault.alerts = [
      {
        inherit labels;
        summary = "0.4% of the requests to /cart of shop-api have failed for hours or days.";
      }
    ];
    healthy.series = {
      ${requests "/cart" "200"} = "0+2000x120";
      ${requests "/cart" "500"} = "0+1x120";
    };
    healthy.minutes = 60;
  };
  LatencyBurnsFast = {
    fault.series = {
      ${timed "/cart"} = "0+100x60";
      ${within "/cart" "0.5"} = "0+20x60";
      ${within "/cart" "1"} = "0+70x60";
      ${within "/cart" "2.5"} = "0+100x60";
    };
    fault.minutes = 10;
    fault.alerts = [
      {
        inherit labels;
        summary = "30% of the requests to /cart of shop-api are slow.";
      }
    ];
    # Long polls are slow on purpose.
    healthy.series = {
      ${timed "/cart"} = "0+1000x120";
      ${within "/cart" "0.5"} = "0+500x120";
      ${within "/cart" "1"} = "0+995x120";
      ${timed "/api/v1/agent/sync"} = "0+100x120";
      ${within "/api/v1/agent/sync" "1"} = "0x120";
    };
    healthy.minutes = 60;
  };
  LatencyBurnsSlowly = {
    # As other clients of Prometheus write the bound.
    fault.series = {
      ${timed "/cart"} = "0+100x60";
      ${within "/cart" "1.0"} = "0+95x60";
      ${within "/cart" "2.5"} = "0+100x60";
    };
    fault.minutes = 25;
    fault.alerts = [
      {
        inherit labels;
        summary = "5% of the requests to /cart of shop-api have been slow for hours or days.";
      }
    ];
    healthy.series = {
      ${timed "/cart"} = "0+1000x120";
      ${within "/cart" "1.0"} = "0+995x120";
    };
    healthy.minutes = 60;
  };
}
