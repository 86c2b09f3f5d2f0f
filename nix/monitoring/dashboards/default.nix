# Every dashboard, as Grafana reads it. A dashboard is a list of rows, each a list of panels that share its width; nobody
# edits the JSON by hand. modules/monitoring/grafana.nix gives them to Grafana, deploy/monitoring/ has them for everybody.
let
  inherit (builtins)
    concatLists
    elemAt
    foldl'
    genList
    length
    mapAttrs
    ;
  panels = import ./panels.nix;
  columns = 24;

  # Variables at the top of a page. Every value is chosen at first.
  choice =
    { label, from }:
    {
      name = label;
      type = "query";
      inherit label;
      datasource = panels.metrics;
      definition = "label_values(${from}, ${label})";
      query = "label_values(${from}, ${label})";
      multi = true;
      includeAll = true;
      allValue = ".*";
      current = {
        text = [ "All" ];
        value = [ "$__all" ];
      };
      refresh = 2;
      sort = 1;
      regex = "";
      hide = 0;
      skipUrlSync = false;
      options = [ ];
    };
  source = name: label: type: uid: {
    inherit name label;
    type = "datasource";
    query = type;
    # The one that modules/monitoring provides. Another Grafana takes its first of the type.
    current = {
      text = label;
      value = uid;
    };
    regex = "";
    refresh = 1;
    multi = false;
    includeAll = false;
    options = [ ];
    hide = 2;
    skipUrlSync = false;
  };
  text = name: {
    inherit name;
    label = name;
    type = "textbox";
    query = "";
    current = {
      text = "";
      value = "";
    };
    options = [ ];
    hide = 0;
    skipUrlSync = false;
  };

  # Every change of a rollout's state, on every page.
  rollouts = {
    name = "Rollouts";
    datasource = panels.metrics;
    enable = true;
    hide = false;
    iconColor = "purple";
    expr = ''sum by (to) (increase(slipway_transitions_total{machine="rollout"}[2m])) > 0'';
    titleFormat = "rollout {{to}}";
    textFormat = "";
    tagKeys = "to";
    step = "60s";
    useValueForTime = false;
  };

  # Rows of panels -> panels with their places.
  place =
    rows:
    let
      placed =
        foldl'
          (
            { y, done }:
            {
              height ? 8,
              content,
              ...
            }:
            {
              y = y + height;
              done =
                done
                ++ genList (i: {
                  panel = elemAt content i;
                  gridPos = {
                    x = i * (columns / length content);
                    w = columns / length content;
                    h = height;
                    inherit y;
                  };
                }) (length content);
            }
          )
          {
            y = 0;
            done = [ ];
          }
          rows;
    in
    genList (
      i:
      let
        one = elemAt placed.done i;
      in
      one.panel
      // {
        id = i + 1;
        inherit (one) gridPos;
      }
    ) (length placed.done);

  dashboard =
    name:
    {
      title,
      description,
      choices ? [ ],
      texts ? [ ],
      rows,
      from ? "now-6h",
    }:
    {
      uid = "slipway-${name}";
      inherit title description;
      tags = [ "slipway" ];
      schemaVersion = 39;
      version = 1;
      editable = false;
      graphTooltip = 1;
      refresh = "30s";
      timezone = "browser";
      time = {
        inherit from;
        to = "now";
      };
      annotations.list = [ rollouts ];
      links = [
        {
          type = "dashboards";
          title = "Slipway";
          tags = [ "slipway" ];
          asDropdown = true;
          includeVars = true;
          keepTime = true;
          targetBlank = false;
          icon = "external link";
          tooltip = "";
          url = "";
        }
      ];
      templating.list = concatLists [
        [
          (source "metrics" "Metrics" "prometheus" "slipway-metrics")
          (source "logs" "Logs" "victoriametrics-logs-datasource" "slipway-logs")
        ]
        (map choice choices)
        (map text texts)
      ];
      panels = place rows;
    };
in
mapAttrs dashboard (
  mapAttrs (_: file: import file panels) {
    fleet = ./fleet.nix;
    rollouts = ./rollouts.nix;
    stacks = ./stacks.nix;
    postgres = ./postgres.nix;
    redis = ./redis.nix;
    nginx = ./nginx.nix;
    hosts = ./hosts.nix;
    backups = ./backups.nix;
    logs = ./logs.nix;
    watchers = ./watchers.nix;
  }
)
