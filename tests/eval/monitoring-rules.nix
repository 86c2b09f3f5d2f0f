# The alerts as options.
{ host, lib, ... }:
let
  monitoring =
    rules:
    (host [
      ../../modules/monitoring/rules.nix
      { services.slipway.monitoring = { inherit rules; }; }
    ]).services.slipway.monitoring;
  alerts =
    rules:
    lib.listToAttrs (
      map (alert: lib.nameValuePair alert.alert alert) (
        lib.concatMap (group: group.rules) (lib.concatMap (file: file.groups) (monitoring rules).ruleFiles)
      )
    );
  isRefused = rules: !(builtins.tryEval (builtins.deepSeq (monitoring rules).ruleFiles true)).success;

  own = {
    severity = "ticket";
    expr = "sum by (host) (shop_queue_length) > 1000";
    summary = "{{ $labels.host }} has a long queue.";
    runbook = "https://wiki.example.com/shop/queue";
  };
  ours = lib.attrNames (import ../../nix/monitoring).rules.all;
in
[
  {
    name = "rules: ours are there";
    got = lib.attrNames (alerts { });
    want = ours;
  }
  {
    name = "rules: as deploy/monitoring has them";
    got = (monitoring { }).ruleFiles;
    want = [
      (
        let
          inherit (import ../../nix/monitoring) defaults rulesFile runbooksPage;
        in
        rulesFile (defaults runbooksPage)
      )
    ];
  }
  {
    name = "rules: a threshold, a severity and a time of one's own";
    got =
      let
        alert =
          (alerts {
            RedisEvicts = {
              thresholds.keysPerSecond = 2.5;
              severity = "page";
              forSeconds = 0;
            };
          }).RedisEvicts;
      in
      {
        inherit (alert) expr labels;
        waits = alert ? for;
      };
    want = {
      expr = ''rate(redis_evicted_keys_total{job="redis"}[15m]) > 2.5'';
      labels.severity = "page";
      waits = false;
    };
  }
  {
    name = "rules: an expression of one's own in place of ours";
    got = (alerts { HostDown.expr = "up == 0"; }).HostDown.expr;
    # The label `rollout` is the rule's own.
    want = "max without (rollout) (\nup == 0\n)";
  }
  {
    name = "rules: a label of one's own beside ours";
    got = (alerts { HostDown.labels.team = "shop"; }).HostDown.labels;
    want = {
      rollout = "explains";
      severity = "page";
      team = "shop";
    };
  }
  {
    name = "rules: one that is switched off";
    got = (alerts { RedisEvicts.enable = false; }) ? RedisEvicts;
    want = false;
  }
  {
    name = "rules: a team's own";
    got =
      (alerts {
        ShopQueueLong = own // {
          forSeconds = 300;
        };
      }).ShopQueueLong;
    want = {
      alert = "ShopQueueLong";
      inherit (own) expr;
      for = "300s";
      labels.severity = "ticket";
      annotations = { inherit (own) runbook summary; };
    };
  }
]
++
  map
    (
      { words, rules }:
      {
        name = "rules: ${words} is refused";
        got = isRefused rules;
        want = true;
      }
    )
    [
      {
        words = "a threshold that the rule has not";
        rules.DiskAlmostFull.thresholds.freePercnt = 10;
      }
      {
        words = "a threshold that is no number";
        rules.DiskAlmostFull.thresholds.freePercent = "10";
      }
      {
        words = "a severity that there is not";
        rules.ShopQueueLong = own // {
          severity = "critical";
        };
      }
      {
        words = "a rule without a runbook";
        rules.ShopQueueLong = removeAttrs own [ "runbook" ];
      }
    ]
