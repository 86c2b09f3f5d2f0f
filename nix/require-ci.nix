# .github/scripts/require-ci against a server that answers as GitHub's API does: only a commit whose newest run of ci
# ended well is deployed.
{ pkgs }:
pkgs.runCommand "check-require-ci"
  {
    nativeBuildInputs = [
      pkgs.curl
      pkgs.jq
      pkgs.python3
    ];
    script = ../.github/scripts/require-ci;
  }
  ''
    runs=site/repos/team/app/actions/workflows/ci.yml/runs
    mkdir -p "$(dirname $runs)"
    echo '{"workflow_runs":[]}' > $runs
    # It takes a free port and says which.
    python3 -u -c '
    import functools, http.server
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="site")
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    print(server.server_port)
    server.serve_forever()
    ' > port 2> log &
    server=$!
    trap 'kill $server' EXIT
    for _ in $(seq 100); do [ -s port ] && break || sleep 0.1; done
    export GITHUB_API_URL=http://127.0.0.1:$(cat port) GITHUB_REPOSITORY=team/app GITHUB_SHA=abc GITHUB_REF_NAME=main
    export GITHUB_TOKEN=token

    # says WORDS RUN…: with these runs it is refused with these words; without words it is not refused.
    says() {
      words=$1
      shift
      printf '{"workflow_runs":[%s]}' "$(IFS=,; echo "$*")" > $runs
      status=0
      bash $script > told 2>&1 || status=$?
      if [ -z "$words" ]; then
        [ $status = 0 ] || { echo "refused: $(cat told)"; exit 1; }
      else
        [ $status = 1 ] && grep -qF "$words" told || { echo "not refused with '$words' but ($status) $(cat told)"; exit 1; }
      fi
    }
    run() { printf '{"head_sha":"%s","event":"%s","run_number":%s,"status":"%s","conclusion":%s}' "$@"; }
    says "" "$(run abc push 1 completed '"success"')"
    says "" "$(run abc push 1 completed '"failure"')" "$(run abc push 2 completed '"success"')"
    says "ended with failure" "$(run abc push 2 completed '"failure"')" "$(run abc push 1 completed '"success"')"
    says "ended with cancelled" "$(run abc push 1 completed '"cancelled"')"
    says "is still in_progress" "$(run abc push 1 in_progress null)"
    says "has not run on abc"
    says "has not run" "$(run other push 1 completed '"success"')"
    says "has not run" "$(run abc schedule 1 completed '"success"')"
    rm $runs
    ! bash $script 2> told || { echo "passed without an answer"; exit 1; }
    grep -q 'Authorization' log && exit 1
    touch $out
  ''
