# Stands before the commands of a page of the documentation. The server gets a free port and goes on in the background, whatever
# the page calls it by (`cargo run`, `systemctl`); what the page says to port 3010 goes to it.
set -euo pipefail

step=before server='' address='' last=() args=()
trap 'code=$?; stop; [[ $code -eq 0 ]] || echo "ended in step $step with $code" >&2' EXIT

# The arguments with the server's real address for the page's.
here() {
  local argument
  args=()
  for argument in "$@"; do
    args+=("$(sed -E "s#http://[a-z0-9.-]+:3010#http://$address#g" <<<"$argument")")
  done
}

stop() {
  [[ -n $server ]] || return 0
  kill "$server" && wait "$server"
  server='' address=''
}

start() {
  stop
  last=("$@")
  local line pipe="$ROOT/pipe.$RANDOM"
  mkfifo "$pipe"
  "$JIVCHAT" "$@" --port 0 2>"$pipe" &
  server=$!
  exec 9<"$pipe"
  while IFS= read -r -t 60 -u 9 line; do
    echo "$line" >&2
    [[ $line == *'listening on http://'* ]] && address=${line##*http://} && break
  done
  [[ -n $address ]] || { echo 'the server does not listen' >&2; return 1; }
  cat <&9 >>"$ROOT/server.log" &
  exec 9<&-
}

jivchat() {
  case ${1-} in
    # Its own address is looked at too, and any may be in use here.
    check) "$JIVCHAT" "${@/#3011/0}" $([[ " $* " == *" --port "* ]] || echo --port 0) ;;
    healthcheck) "$JIVCHAT" healthcheck --port "${address##*:}" ;;
    token | import | export | backup | restore | verify | compact | stats) here "$@" && "$JIVCHAT" "${args[@]}" ;;
    *) start "$@" ;;
  esac
}

cargo() { [[ "$1 $2 $3" == 'run --release --' ]] && jivchat "${@:4}"; }

systemctl() {
  case $1 in
    stop) stop ;;
    start) start "${last[@]}" ;;
    *) return 1 ;;
  esac
}

curl() { here "$@" && command curl --max-time 60 "${args[@]}"; }

# mongoexport --uri … --collection NAME --out FILE
mongoexport() { mkdir -p "$(dirname "$6")" && cp "$FIXTURES/$4.json" "$6"; }
