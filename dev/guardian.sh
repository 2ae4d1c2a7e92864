#!/bin/sh
# Is told on stdin what its parent started, waits until the parent is gone in whatever way (also kill -9: the pipe
# between them closes), ends the process groups that are left and then removes the parent's directories. Directories
# come last: PostgreSQL leaves shared memory behind when its files vanish while it shuts down.
#
#   guard PROCESS-GROUP SIGNAL | forget PROCESS-GROUP | directory PATH
trap '' HUP INT TERM

newline='
'
processes=
directories=
while read -r verb subject signal; do
  case $verb in
    guard) processes="$processes $subject:$signal" ;;
    forget)
      rest=
      for p in $processes; do [ "${p%%:*}" = "$subject" ] || rest="$rest $p"; done
      processes=$rest
      ;;
    directory) directories="$directories$subject${signal:+ $signal}$newline" ;;
  esac
done

# A zombie still has its process id; where nobody collects it, that lasts for ever.
has_ended() {
  kill -0 "$1" 2>/dev/null || return 0
  [ -r "/proc/$1/stat" ] || return 1
  read -r _ _ state _ <"/proc/$1/stat" 2>/dev/null || return 0
  [ "$state" = Z ]
}

for p in $processes; do kill -s "${p#*:}" -- "-${p%%:*}" 2>/dev/null; done
n=0
for p in $processes; do
  until has_ended "${p%%:*}" || [ "$n" -ge 50 ]; do
    sleep 0.1
    n=$((n + 1))
  done
  kill -s KILL -- "-${p%%:*}" 2>/dev/null
done

IFS=$newline
for n in 1 2 3 4 5; do
  left=
  for d in $directories; do
    rm -rf -- "$d" 2>/dev/null
    [ ! -e "$d" ] || left=1
  done
  [ -n "$left" ] || exit 0
  sleep 0.5
done
