#!/bin/bash
# many_boards.sh N: N scripted boards (shared/cases/board/rig) on one interface of a network namespace of their own, and N
# `bringup boot` commands at once. RIG is the rig's folder, PROJECT the checkout. Says how each ended; the last line begins "exit".
export N=$1 RIG PROJECT PYTHONDONTWRITEBYTECODE=1 FAKE_BMC_PASSWORD=secret BMCPW=secret PATH=$PATH:/usr/sbin:/sbin
export WORK=$(mktemp -d -t bringup-many-XXXX) BMCSRC=${CACHE:-$HOME/.cache/bringup-cases}/bmc-fbe8bb4
export XDG_CACHE_HOME=$WORK/cache XDG_STATE_HOME=$WORK/state XDG_CONFIG_HOME=$WORK/config XDG_RUNTIME_DIR=$WORK/rt
# The scripted board's BMC is the project's own at the commit that the cases were recorded with.
[ -d "$BMCSRC/bringup" ] || { mkdir -p "$BMCSRC" && git -C "$PROJECT" archive fbe8bb4 bringup | tar -x -C "$BMCSRC"; } || exit 1
mkdir -p $WORK/rt $WORK/boards && cp $RIG/fast.toml $WORK/boards/ && cp "$PROJECT/build/standin/standin-kernel" $WORK/kernel || exit 1
head -c 1048576 /dev/zero > $WORK/module
exec unshare -n -m bash -c '
mount -t tmpfs none /run; mkdir -p /run/netns /run/lock; ip link set lo up
ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
cd $WORK; mkfifo in; sleep 1000 > in & KEPT=$!
for i in $(seq $N); do
  mac=$(printf "ac:1f:6b:0e:31:%02x" $i); ip netns add cl$i; mkdir w$i
  ip link add v$i type veth peer name eth0 netns cl$i; ip link set v$i master br0 up; ethtool -K v$i tx off > /dev/null 2>&1
  ip netns exec cl$i sh -c "ip link set lo up; ip link set eth0 address $mac up; ethtool -K eth0 tx off > /dev/null 2>&1"
  sed "s#ip netns exec cl python3 \$RIG/pxe.py#WORK=$WORK/w$i ip netns exec cl$i python3 \$RIG/pxe.py mac=$mac #" $RIG/../s_full.json > s$i.json
  $PROJECT/.venv/bin/python $RIG/board.py s$i.json < in > board$i.log 2>&1 & KEPT="$KEPT $!"
done
for i in $(seq $N); do
  for look in $(seq 200); do grep -qs port board$i.log && break; sleep 0.1; done
  cat >> lab.toml <<L
[boards.b$i]
profile = "fast"
macs = ["$(printf "ac:1f:6b:0e:31:%02x" $i)"]
bmc = { address = "127.0.0.1", port = $(sed -n "s/.*\"port\": \([0-9]*\).*/\1/p" board$i.log | head -1), user = "ADMIN", password = { env = "BMCPW" } }
network = { interface = "br0", mode = "own-segment", address = "10.77.0.1/24", board_address = "10.77.0.$((100 + i))" }
L
done
for i in $(seq $N); do
  { timeout 240 $PROJECT/.venv/bin/bringup boot b$i kernel module > out$i.txt 2>&1 < /dev/null; echo "exit $?" >> out$i.txt; } & BOOTS="$BOOTS $!"
done
wait $BOOTS
for i in $(seq $N); do echo "b$i: $(tail -1 out$i.txt) $(grep -a "^ok\|fault:" out$i.txt | head -1)"; done
echo "left serving: $(ls /run/lock rt/bringup 2> /dev/null | grep -c bringup-serve)"
kill $KEPT; wait 2> /dev/null; rm -rf $WORK; echo "exit 0"' 
