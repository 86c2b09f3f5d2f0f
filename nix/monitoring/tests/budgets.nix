let
  # What programs count, and what nginx counts for the others.
  programs = {
    requests =
      route: status: ''http_requests_total{${of.programs route},method="GET",status="${status}"}'';
    timed = route: ''http_request_duration_seconds_count{${of.programs route},method="GET"}'';
    within =
      route: bound:
      ''http_request_duration_seconds_bucket{${of.programs route},method="GET",le="${bound}"}'';
    labels = {
      route = "/cart";
      service = "api";
      stack = "shop";
    };
    what = "/cart of shop-api";
  };
  proxies = {
    requests =
      route: status:
      ''slipway_proxy_requests_total{${of.proxies route},method="GET",status="${status}"}'';
    timed = route: "slipway_proxy_request_duration_seconds_count{${of.proxies route}}";
    within =
      route: bound: ''slipway_proxy_request_duration_seconds_bucket{${of.proxies route},le="${bound}"}'';
    labels = {
      route = "/cart";
      domain = "blog.example.com";
      stack = "blog";
    };
    what = "blog.example.com (/cart)";
  };
  of = {
    programs = route: ''host="web-1",job="stack",service="api",stack="shop",route="${route}"'';
    proxies =
      route: ''host="web-1",job="logs",stack="blog",domain="blog.example.com",route="${route}"'';
  };

  # Once in a while, and just now.
  rare = "0x4 1x22 2x29 3x100";

  errorsFast =
    {
      requests,
      labels,
      what,
      ...
    }:
    {
      fault.series = {
        ${requests "/cart" "200"} = "0+57x60";
        ${requests "/cart" "502"} = "0+3x60";
      };
      fault.minutes = 10;
      fault.alerts = [
        {
          inherit labels;
          summary = "5% of the requests to ${what} fail.";
        }
      ];
      # One of 2,000; mistakes of clients; single failures on a route that hardly anybody uses.
      healthy.series = {
        ${requests "/cart" "200"} = "0+2000x120";
        ${requests "/cart" "500"} = "0+1x120";
        ${requests "/cart" "404"} = "0+500x120";
        ${requests "/admin" "200"} = rare;
        ${requests "/admin" "500"} = rare;
      };
      healthy.minutes = 30;
    };
  errorsSlowly =
    {
      requests,
      labels,
      what,
      ...
    }:
    {
      fault.series = {
        ${requests "/cart" "200"} = "0+996x60";
        ${requests "/cart" "500"} = "0+4x60";
      };
      fault.minutes = 25;
      fault.alerts = [
        {
          inherit labels;
          summary = "0.4% of the requests to ${what} have failed for hours or days.";
        }
      ];
      healthy.series = {
        ${requests "/cart" "200"} = "0+2000x120";
        ${requests "/cart" "500"} = "0+1x120";
        ${requests "/admin" "200"} = rare;
        ${requests "/admin" "500"} = rare;
      };
      healthy.minutes = 30;
    };
  latencyFast =
    {
      timed,
      within,
      labels,
      what,
      ...
    }:
    {
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
          summary = "30% of the requests to ${what} are slow.";
        }
      ];
      # Long polls are slow on purpose.
      healthy.series = {
        ${timed "/cart"} = "0+1000x120";
        ${within "/cart" "0.5"} = "0+500x120";
        ${within "/cart" "1"} = "0+995x120";
        ${timed "/api/v1/agent/sync"} = "0+100x120";
        ${within "/api/v1/agent/sync" "1"} = "0x120";
        ${timed "/admin"} = rare;
        ${within "/admin" "1"} = "0x120";
      };
      healthy.minutes = 30;
    };
  latencySlowly =
    {
      timed,
      within,
      labels,
      what,
      ...
    }:
    {
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
          summary = "5% of the requests to ${what} have been slow for hours or days.";
        }
      ];
      healthy.series = {
        ${timed "/cart"} = "0+1000x120";
        ${within "/cart" "1.0"} = "0+995x120";
        ${timed "/admin"} = rare;
        ${within "/admin" "1.0"} = "0x120";
      };
      healthy.minutes = 30;
    };

  # The programs of this stack count for themselves, so what nginx counts fires nothing.
  counted =
    case:
    case
    // {
      healthy = case.healthy // {
        series = case.healthy.series // {
          ${programs.requests "/cart" "200"} = "0+2000x120";
          ${proxied "200"} = "0+50x120";
          ${proxied "500"} = "0+50x120";
        };
      };
    };
  proxied =
    status:
    ''slipway_proxy_requests_total{host="web-1",job="logs",stack="shop",domain="shop.example.com",route="/",status="${status}"}'';
in
{
  ErrorsBurnFast =
    let
      case = errorsFast programs;
      inherit (programs) requests;
    in
    # Errors that are over make no page.
    case
    // {
      healthy = case.healthy // {
        minutes = 60;
        series = case.healthy.series // {
          ${requests "/past" "200"} = "0+2000x120";
          ${requests "/past" "500"} = "0+500x3 2000x117";
        };
        also.ErrorsBurnSlowly = 1;
      };
    };
  ErrorsBurnSlowly = errorsSlowly programs;
  LatencyBurnsFast = latencyFast programs;
  LatencyBurnsSlowly = latencySlowly programs;
  SiteErrorsBurnFast = counted (errorsFast proxies);
  SiteErrorsBurnSlowly = errorsSlowly proxies;
  SiteLatencyBurnsFast = latencyFast proxies;
  SiteLatencyBurnsSlowly = latencySlowly proxies;
}
