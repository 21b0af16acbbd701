"""A Kubernetes cluster with real nodes on one machine: kubelet, containerd, kube-proxy and DNS.

Every node is a set of namespaces (processes, mounts, network, host name) with a disk of its own: a
directory. One more, without a kubelet, holds the bridge that joins them, the control plane and DNS.
Ending its first process ends all that runs in such a machine, containers included, and takes its
mounts, interfaces and firewall rules with it; nothing of these is ever made on the host itself but
one interface. From the bottom up::

    requirements why such a cluster cannot run here
    addresses    which addresses everything has
    cgroups      the control groups of the nodes' pods
    reservation  one cluster's name and network, and what a killed one left
    blueprint    what runs in a machine
    launch, boot, supervisor
                 the machine's own side: its processes' parent, its root, its services
    machine      our side: started and stopped
    wiring       bridge, interfaces and routes between the machines
    settings     the files that a node's programs read
    node         a kubelet's machine
    cluster      all of it
"""
