#!/bin/sh
# Starts three ranks of PROGRAM on two hosts, takes one host away, and prints after how many seconds the
# launcher ended: two-hosts.sh PROGRAM. The hosts are namespaces: this script runs under
#     unshare --user --map-root-user --net --pid --fork --mount-proc --kill-child
# so that nothing of it is left behind, and the other host has a network and a name of its own.
set -eu
launch=$(dirname "$0")/../../../../scripts/mpirun.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

ip link set lo up
unshare --net --uts sh -c 'hostname other && ip link set lo up && exec sleep 600' &
other=$!
until [ "$(cat "/proc/$other/comm")" = sleep ]; do sleep 0.05; done
on_other() { nsenter --target "$other" --net --uts -- "$@"; }

ip link add here type veth peer name there netns "$other"
ip address add 10.201.7.1/24 dev here
ip link set here up
on_other ip address add 10.201.7.2/24 dev there
on_other ip link set there up

# In place of ssh. A host that is lost does not end the connection to it.
cat >"$folder/agent" <<AGENT
#!/bin/sh
shift
nsenter --target $other --net --uts -- sh -c "\$*" || exec sleep 600
AGENT
chmod +x "$folder/agent"

export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_plm_rsh_agent="$folder/agent" TMPDIR="$folder"
timeout --kill-after 5 120 "$launch" --host 10.201.7.1:2,10.201.7.2:1 -n 3 "$1" >"$folder/output" 2>&1 &
job=$!
until [ "$(grep -c ready "$folder/output")" = 3 ]; do
    kill -0 "$job" || { cat "$folder/output"; exit 1; }
    sleep 0.05
done

# First its address, so that nothing tells the others that its processes end.
on_other ip address delete 10.201.7.2/24 dev there
network=$(readlink "/proc/$other/ns/net")
for process in /proc/[0-9]*; do
    process=${process#/proc/}
    [ "$process" = "$other" ] || [ "$(readlink "/proc/$process/ns/net")" != "$network" ] || kill -KILL "$process"
done
start=$(date +%s)
code=0
wait "$job" || code=$?
cat "$folder/output"
echo "the launcher ended with exit code $code after $(($(date +%s) - start)) seconds"
