"""What real kubelets add to a control plane."""

from __future__ import annotations

from nodeproof_dev.site import LOCAL, Site

FILES = {name: f"/pki/{name}" for name in ("ca.crt", "kubelet-client.crt", "kubelet-client.key")}


def test_alone_it_listens_on_the_loopback_address() -> None:
    assert LOCAL.address == "127.0.0.1"
    assert LOCAL.kubelet_flags(FILES) == ["--endpoint-reconciler-type=none"]


def test_with_kubelets_it_knows_them_by_certificate() -> None:
    flags = Site("10.201.0.254", has_kubelets=True).kubelet_flags(FILES)
    assert "--kubelet-certificate-authority=/pki/ca.crt" in flags
    assert "--kubelet-client-key=/pki/kubelet-client.key" in flags


def test_its_certificate_is_good_for_the_service_as_well() -> None:
    site = Site("10.201.0.254", service_range="10.201.1.0/24")
    assert site.addresses == ["10.201.0.254", "10.201.1.1"]
    assert "kubernetes.default.svc" in site.names
    assert "kubernetes.default.svc.cluster.local" in site.names
