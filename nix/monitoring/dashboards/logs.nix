# Lines of all hosts.
{ lines, ... }:
{
  title = "Logs";
  description = "Lines of every host. `query` takes LogsQL, for example `level:error` or a rollout's id.";
  from = "now-1h";
  texts = [ "query" ];
  choices = [
    {
      label = "host";
      from = ''up{job="node"}'';
    }
    {
      label = "stack";
      from = ''up{job="stack"}'';
    }
  ];
  rows = [
    {
      height = 12;
      content = [
        (lines {
          title = "Lines";
          query = ''host:~"^($host)$" $query'';
        })
      ];
    }
    {
      height = 10;
      content = [
        (lines {
          title = "Errors of stacks";
          query = ''host:~"^($host)$" stack:~"^($stack)$" level:error'';
        })
        (lines {
          title = "Failed requests";
          query = ''stack:~"^($stack)$" status:~"^5"'';
        })
      ];
    }
  ];
}
