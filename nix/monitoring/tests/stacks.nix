let
  process =
    unit:
    ''host="web-1",instance="web-1/${unit}",job="stack",service="api",stack="shop",unit="${unit}"'';
  exporter = ''host="web-1",instance="web-1/redis-shop",job="redis",unit="redis-shop"'';
  labels = unit: {
    host = "web-1";
    instance = "web-1/${unit}";
    job = "stack";
    service = "api";
    stack = "shop";
    inherit unit;
  };
in
{
  ServiceDown = {
    fault.series = {
      "up{${process "shop-api-1"}}" = "1 0x20";
      "up{${process "shop-api-2"}}" = "1 1 0x20";
    };
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = {
          host = "web-1";
          service = "api";
          stack = "shop";
        };
        summary = "No process of shop-api on web-1 answers.";
      }
    ];
    # One after another is restarted, and another host is off.
    healthy.series = {
      ${''up{host="off",job="node"}''} = "0x20";
      ${''up{host="off",job="stack",service="api",stack="shop"}''} = "0x20";
      "up{${process "shop-api-1"}}" = "1 0 1x20";
      "up{${process "shop-api-2"}}" = "1 1 0 1x20";
    };
    healthy.also.HostDown = 1;
  };
  ProcessDown = {
    fault.series = {
      "up{${process "shop-api-1"}}" = "0x20";
      "up{${process "shop-api-2"}}" = "1x20";
    };
    fault.alerts = [
      {
        labels = labels "shop-api-1";
        summary = "shop-api-1 of web-1 does not answer; other processes of the service do.";
      }
    ];
    healthy.series = {
      "up{${process "shop-api-1"}}" = "0 0 1x20";
      "up{${process "shop-api-2"}}" = "1x20";
    };
  };
  TargetDown = {
    fault.series = {
      "up{${exporter}}" = "0x20";
      # Probes of an exporter that is gone are no targets of their own.
      ${''up{host="web-1",instance="web-1/shop.example.com",job="blackbox",url="https://shop.example.com/"}''} =
        "0x20";
      ${''up{host="mon",instance="mon/blackbox",job="blackbox"}''} = "0x20";
    };
    fault.alerts = [
      {
        labels = {
          host = "web-1";
          instance = "web-1/redis-shop";
          job = "redis";
          unit = "redis-shop";
        };
        summary = "web-1/redis-shop cannot be asked for metrics, or its answer cannot be read.";
      }
      {
        labels = {
          host = "mon";
          instance = "mon/blackbox";
          job = "blackbox";
        };
        summary = "mon/blackbox cannot be asked for metrics, or its answer cannot be read.";
      }
    ];
    healthy.series."up{${exporter}}" = "1 0 0 1x20";
  };
  PoolExhausted = {
    fault.series = {
      # Many wait all the time in one process, and some calls give up in the other.
      "database_pool_waiting{${process "shop-api-1"}}" = "7x20";
      # Labels that a program makes up bring no further alert.
      ${''database_pool_waiting{${process "shop-api-1"},odd="1"}''} = "7x20";
      ${''database_pool_waiting{${process "shop-api-1"},odd="2"}''} = "7x20";
      "database_pool_timeouts_total{${process "shop-api-1"}}" = "0x20";
      "database_pool_waiting{${process "shop-api-2"}}" = "0x20";
      "database_pool_timeouts_total{${process "shop-api-2"}}" = "0 0 5x20";
    };
    fault.minutes = 4;
    fault.alerts = [
      {
        labels = labels "shop-api-1";
        summary = "shop-api-1 of web-1 waits for a free database connection.";
      }
      {
        labels = labels "shop-api-2";
        summary = "shop-api-2 of web-1 waits for a free database connection.";
      }
    ];
    # All connections are used at times, and nobody has to wait for long.
    healthy.series = {
      "database_pool_waiting{${process "shop-api-1"}}" = "0 3 0 0x20";
      "database_pool_timeouts_total{${process "shop-api-1"}}" = "2x20";
    };
  };
  CacheUnreachable = {
    fault.series = {
      "redis_client_connected{${process "shop-api-1"}}" = "1 0x20";
      "redis_client_connected{${process "shop-api-2"}}" = "1x20";
      ${''redis_up{${exporter},stack="shop"}''} = "1x20";
    };
    fault.alerts = [
      {
        labels = labels "shop-api-1";
        summary = "shop-api-1 of web-1 has no connection to its Redis, which answers others.";
      }
    ];
    # After a restart. The Redis of the other stack is down, and has its own alert.
    healthy.also.RedisDown = 1;
    healthy.series = {
      "redis_client_connected{${process "shop-api-1"}}" = "1 0x2 1x20";
      ${''redis_up{${exporter},stack="shop"}''} = "1x20";
      ${''redis_client_connected{host="web-1",job="stack",stack="blog",unit="blog-web-1"}''} = "0x20";
      ${''redis_up{host="web-1",instance="web-1/redis-blog",job="redis",stack="blog"}''} = "0x20";
    };
  };
}
