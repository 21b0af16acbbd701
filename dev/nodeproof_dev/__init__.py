"""A real Kubernetes control plane on one machine, with stand-in nodes: for demo, tests and play.

Never part of a wheel. From the bottom up::

    build        the binaries of our Go modules, built once per content
    go_sev_guest another verifier of the same evidence, asked for its opinion
    process      a child process that cannot outlive us, with its log
    pki          the cluster's certificates
    kds          a stand-in for AMD's key service, as hostile as one likes
    api          a small synchronous client of the API server
    controlplane etcd, API server, controller manager and scheduler, started and stopped
    interfaces   how a node's agent reaches its machine: as through a kernel, or by the simulator
    node         a stand-in kubelet with the node's own identity
    installation nodeproof itself: CRDs, RBAC, policies, and the operator's process
    cluster      all of it, kept running until Ctrl-C
"""
