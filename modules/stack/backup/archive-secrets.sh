# Puts the secret options of pgBackRest behind the others, in a file that the accounts of the server and of the backups read.
# shellcheck shell=bash
option=services.slipway.backup.archive.secretsFile
secrets=$CREDENTIALS_DIRECTORY/secrets

refuse() {
  printf '%s: %s %s\n' "$option" "$FILE" "$1" >&2
  exit 1
}
# Not the line itself: it may be a secret.
bad=$(grep --line-number --invert-match --extended-regexp '^([a-z0-9-]+=.+|[[:space:]]*|#.*)$' "$secrets" | cut --delimiter=: --fields=1 | head -n 1) || true
[ -z "$bad" ] || refuse "has no NAME=VALUE in line $bad; write one option of pgBackRest on a line, such as repo1-s3-key=…"
for name in $NEEDED; do
  grep --quiet "^$name=." "$secrets" || refuse "lacks a line $name=…; add it, the same on all hosts of this archive (a new passphrase: openssl rand -base64 48)"
done

umask 0077
# The section [global] comes first in the file.
{
  head -n 1 "$PLAIN"
  grep --extended-regexp '^[a-z0-9-]+=' "$secrets"
  tail -n +2 "$PLAIN"
} > "$CONFIGURATION.new"
chown root:postgres "$CONFIGURATION.new"
chmod 0640 "$CONFIGURATION.new"
mv "$CONFIGURATION.new" "$CONFIGURATION"
