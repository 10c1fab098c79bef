"""A cluster of Ray on loopback, of two nodes with a core each, in a process of its own: Ray leaves threads behind.

It prints its address. A line on standard input kills the second node; the end of standard input ends it all.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    print(cluster.address, flush=True)
    if sys.stdin.readline():
        cluster.remove_node(second, allow_graceful=False)
        sys.stdin.read()
    cluster.shutdown()
