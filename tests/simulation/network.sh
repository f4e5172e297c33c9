# Sourced: NETWORK RANKS WORK. Writes WORK/platform.xml and WORK/hosts, and sets `options` for smpirun: what the network costs.
network=$1 ranks_most=$2 work=$3
{
  echo '<?xml version="1.0"?><!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd"><platform version="4.1">'
  if [ $network = flows ]; then  # leaves of 16 hosts, 16 roots; 100 Gbit/s and 1 us a link
    leaves=$(((ranks_most + 15) / 16))
    echo "<cluster id=\"c\" prefix=\"n\" radical=\"0-$((leaves * 16 - 1))\" suffix=\"\" speed=\"1Gf\" bw=\"12.5GBps\" lat=\"1us\" topology=\"FAT_TREE\" topo_parameters=\"2;16,$leaves;1,16;1,1\" loopback_bw=\"10GBps\" loopback_lat=\"500ns\"/>"
  else
    # Links that flows do not share, and that are not what takes time: bytes cost at the ends, see below. (SimGrid's Constant model has no links at
    # all, but goes through all messages under way at each event.)
    echo "<cluster id=\"c\" prefix=\"n\" radical=\"0-$((ranks_most - 1))\" suffix=\"\" speed=\"1Gf\" bw=\"10000GBps\" lat=\"1us\" sharing_policy=\"FATPIPE\"/>"
  fi
  echo '</platform>'
} >$work/platform.xml
seq -f 'n%.0f' 0 $((ranks_most - 1)) >$work/hosts
# Messages up to 64 KiB leave whether their receiver waits for them or not, as an MPI's eager ones do. (Otherwise SimGrid also keeps all of
# them, of all ranks, in one list that it searches at each end of one.)
# 0.5 us of processor a message on either side; in 'ends' also its bytes at 12.5 GB/s on either side, and 2 us between.
options="--cfg=smpi/async-small-thresh:65536 --cfg=smpi/ois:0:5e-7:0 --cfg=smpi/or:0:5e-7:0"
[ $network = flows ] || options="$options --cfg=network/model:CM02 --cfg=network/TCP-gamma:0 --cfg=smpi/ois:0:5e-7:8e-11 --cfg=smpi/or:0:5e-7:8e-11"
