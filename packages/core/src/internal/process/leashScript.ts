/** What the script is called, by which tests with a scripted executor recognize it. */
export const name = "effect-opencode-leash"

/** What a scripted executor answers instead of the script. */
export const nothingToWatch = "nothing to watch"

/**
 * The watchdog. Its arguments are the directory of processes, the variable that names the program of a process, this
 * program (empty if only the watchdog can know its pid), the first characters of the names of its temporary directories,
 * and the first digits of the limit by which its processes are known (`limitMark`), if they have one. The first line of
 * its input is the directory in which temporary directories are made.
 *
 * Two processes: the first one makes the pipe, says where, and stays until the program has opened it or has died, so
 * that the pipe has a writer at any time. The second one is the watchdog, in the session that the executor has made for
 * it, so that neither the end of the program's group nor that of its terminal reaches it.
 *
 * A process belongs to the program if a variable of its own names the program, alone or among the programs around it, or
 * if its limit does. A look that finds nothing is repeated, because a process that executes a program has no environment
 * for a moment. What is left after four looks, half a second, is killed.
 */
export const script = `
PATH=/usr/bin:/bin\${PATH:+:$PATH}
export PATH
umask 077
proc=$1 variable=$2 owner=$3 prefix=$4 limit=$5
[ -n "$owner" ] || owner=/$PPID/
newline='
'
IFS= read -r parent || exit 1
pipe=$parent/\${prefix}leash
mkfifo "$pipe" || exit 1
exec 3<>"$pipe" 4<"$pipe" || exit 1

found() {
  if [ -r "$proc/self/stat" ]; then
    for file in $(grep -slF -e "$owner" "$proc"/[0-9]*/environ); do
      tr '\\n\\000' '\\t\\n' 2>/dev/null <"$file" | grep -Eq "^$variable=(.*:)?$owner(:.*)?\\$" || continue
      pid=\${file%/environ}
      echo "\${pid##*/}"
    done
    [ -z "$limit" ] ||
      for file in $(grep -slE -e "^Max file locks +[^ ]+ +$limit[0-9]{9} " "$proc"/[0-9]*/limits); do
        pid=\${file%/limits}
        echo "\${pid##*/}"
      done
  else
    ps -A -E -ww -o pid=,command= |
      grep -E "[[:space:]]$variable=([^[:space:]]*:)?$owner(:[^[:space:]]*)?([[:space:]]|\\$)" |
      while read -r pid rest; do echo "$pid"; done
  fi
}

pause() {
  sleep 0.1 2>/dev/null || sleep 1
}

(
  trap '' HUP INT QUIT TERM
  exec 3<&-
  cd /
  parents=$parent
  while IFS= read -r line <&4; do
    case $line in
      q) exit 0 ;;
      d*) parents=$parents$newline\${line#d} ;;
    esac
  done
  round=0 quiet=0
  while [ $quiet -lt 2 ] && [ $round -lt 100 ]; do
    pids=$(found | sort -u)
    if [ -z "$pids" ]; then
      quiet=$((quiet + 1))
    else
      quiet=0
      case $round in
        0 | 2) kill -s TERM $pids ;;
        [0-3]) ;;
        *) kill -s KILL $pids ;;
      esac
    fi
    round=$((round + 1))
    pause
  done
  rm -f "$pipe"
  IFS=$newline
  set -f
  for parent in $parents; do
    set +f
    for directory in "$parent/$prefix"*; do
      [ -d "$directory" ] || continue
      rm -rf "$directory" || { chmod -R u+rwx "$directory"; rm -rf "$directory"; }
    done
  done
) </dev/null >/dev/null 2>&1 &

exec 4<&-
echo "$PPID $pipe"
read -r line
exit 0
`
