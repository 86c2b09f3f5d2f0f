# The panels of dashboards, as Grafana's schema has them. A panel is made from what differs; the rest is the same everywhere.
let
  inherit (builtins) genList elemAt length;

  metrics = {
    type = "prometheus";
    uid = "\${metrics}";
  };
  logs = {
    type = "victoriametrics-logs-datasource";
    uid = "\${logs}";
  };

  letters = [
    "A"
    "B"
    "C"
    "D"
    "E"
    "F"
    "G"
    "H"
  ];
  target =
    queries: i:
    let
      query = elemAt queries i;
    in
    {
      refId = elemAt letters i;
      datasource = metrics;
      inherit (query) expr;
      legendFormat = query.legend or "__auto";
      editorMode = "code";
      range = true;
      instant = false;
    };
  targets = queries: genList (target queries) (length queries);
  # One point a series: what is now.
  now =
    queries:
    map (
      one:
      one
      // {
        range = false;
        instant = true;
      }
    ) (targets queries);

  # Values below 0 make no sense in any of ours, and a level is drawn when it is given.
  steps = level: {
    mode = "absolute";
    steps = [
      {
        color = "green";
        value = null;
      }
    ]
    ++ (
      if level == null then
        [ ]
      else
        [
          {
            color = "red";
            value = level;
          }
        ]
    );
  };

  panel =
    type:
    {
      title,
      description ? "",
      unit ? "short",
      level ? null,
      max ? null,
      decimals ? null,
      ...
    }:
    {
      inherit type title description;
      datasource = metrics;
      fieldConfig = {
        overrides = [ ];
        defaults = {
          inherit unit;
          min = 0;
          thresholds = steps level;
          color.mode = "palette-classic";
        }
        // (if max == null then { } else { inherit max; })
        // (if decimals == null then { } else { inherit decimals; });
      };
    };
  defaults =
    base: more:
    base
    // {
      fieldConfig = base.fieldConfig // {
        defaults = base.fieldConfig.defaults // more;
      };
    };
in
{
  inherit metrics logs;

  # A line for each series; with `level`, a line at which it is too much.
  graph =
    args@{
      queries,
      stacked ? false,
      level ? null,
      ...
    }:
    defaults (panel "timeseries" args) {
      custom = {
        drawStyle = "line";
        lineWidth = 1;
        fillOpacity = if stacked then 30 else 5;
        showPoints = "never";
        spanNulls = false;
        stacking = {
          mode = if stacked then "normal" else "none";
          group = "A";
        };
        thresholdsStyle.mode = if level == null then "off" else "line";
      };
    }
    // {
      targets = targets queries;
      options = {
        legend = {
          displayMode = "list";
          placement = "bottom";
          showLegend = true;
          calcs = [ ];
        };
        tooltip = {
          mode = "multi";
          sort = "desc";
        };
      };
    };

  # One number; red from `level` on.
  number =
    args@{ queries, ... }:
    defaults (panel "stat" args) { color.mode = "thresholds"; }
    // {
      targets = now queries;
      options = {
        colorMode = "value";
        graphMode = "none";
        justifyMode = "auto";
        orientation = "auto";
        textMode = "auto";
        wideLayout = true;
        showPercentChange = false;
        percentChangeColorMode = "standard";
        reduceOptions = {
          calcs = [ "lastNotNull" ];
          fields = "";
          values = false;
        };
      };
    };

  # A row for each series, by its labels.
  table =
    args@{
      queries,
      hidden ? [ ],
      ...
    }:
    panel "table" args
    // {
      targets = map (one: one // { format = "table"; }) (now queries);
      options = {
        cellHeight = "sm";
        frameIndex = 0;
        showHeader = true;
        footer = {
          show = false;
          reducer = [ ];
          countRows = false;
        };
      };
      transformations = [
        {
          id = "merge";
          options = { };
        }
        {
          id = "organize";
          options = {
            excludeByName = builtins.listToAttrs (
              map (name: {
                inherit name;
                value = true;
              }) ([ "Time" ] ++ hidden)
            );
            indexByName = { };
            renameByName = { };
          };
        }
      ];
    };

  # States over time, a line for each series. `values`: the text of each number.
  states =
    args@{ queries, values, ... }:
    defaults (panel "state-timeline" args) {
      color.mode = "thresholds";
      custom = {
        fillOpacity = 70;
        lineWidth = 0;
      };
      mappings = [
        {
          type = "value";
          options = values;
        }
      ];
    }
    // {
      targets = targets queries;
      options = {
        mergeValues = true;
        rowHeight = 0.9;
        showValue = "auto";
        alignValue = "left";
        legend = {
          displayMode = "list";
          placement = "bottom";
          showLegend = false;
          calcs = [ ];
        };
        tooltip = {
          mode = "single";
          sort = "none";
        };
      };
    };

  # Lines of the store of logs that match a query in LogsQL.
  lines =
    {
      title,
      query,
      description ? "",
    }:
    {
      type = "logs";
      inherit title description;
      datasource = logs;
      targets = [
        {
          refId = "A";
          datasource = logs;
          expr = query;
          queryType = "instant";
          editorMode = "code";
          maxLines = 500;
        }
      ];
      options = {
        showTime = true;
        showLabels = false;
        showLogContextToggle = false;
        showCommonLabels = false;
        wrapLogMessage = true;
        prettifyLogMessage = false;
        enableLogDetails = true;
        dedupStrategy = "none";
        sortOrder = "Descending";
      };
    };
}
