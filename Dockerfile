# Two images: the agent and the operator. docs/images.md says how they are built and what is in them.
#
#   BUILD_IMAGE    Python 3.11 with venv, and a shell
#   RUNTIME_IMAGE  the same Python at the same path; neither shell nor pip is needed
#
# Both are given by digest (name@sha256:…) and have no default: what an image stands on is decided by
# whoever builds it. `make images` makes both where no registry is in reach.
ARG BUILD_IMAGE
ARG RUNTIME_IMAGE

# ---- our wheel, once for both images ---------------------------------------------------------------
FROM ${BUILD_IMAGE} AS wheel
ARG SOURCE_DATE_EPOCH
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /source
COPY requirements/build.lock requirements/
# The machine's pip settings and its CA, if it needs any, are mounted and reach no layer.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/ca.crt \
    python3 -m venv /build \
    && /build/bin/pip install --quiet --require-hashes --only-binary=:all: -r requirements/build.lock
COPY pyproject.toml README.md ./
COPY attestation attestation
COPY agent agent
COPY operator operator
COPY cli cli
RUN /build/bin/python -m hatchling build -t wheel -d /dist

# ---- what each image gets: an environment of its lock file and our wheel, and nothing else ---------
FROM wheel AS agent-files
ARG SOURCE_DATE_EPOCH
COPY requirements/agent.lock requirements/
COPY dev/nodeproof_dev/images/assemble.py ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/ca.crt \
    /build/bin/python assemble.py requirements/agent.lock /dist /opt/nodeproof \
    --without nodeproof_operator --without nodeproof_cli

FROM wheel AS operator-files
ARG SOURCE_DATE_EPOCH
COPY requirements/operator.lock requirements/
COPY dev/nodeproof_dev/images/assemble.py ./
# Nearly all of the Kubernetes client is typed models and calls, which are not used: not compiled ahead.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/ca.crt \
    /build/bin/python assemble.py requirements/operator.lock /dist /opt/nodeproof \
    --without nodeproof_agent --uncompiled 'kubernetes/(aio/)?client/(models/v|api/\w+_api)'

# ---- what both images have in common --------------------------------------------------------------
FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION
ARG REVISION
ARG CREATED
# SAFEPATH: no module is ever imported from the working directory or a script's.
# DONTWRITEBYTECODE: the root file system is read-only, and everything is compiled already.
ENV PATH=/opt/nodeproof/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.vendor="nodeproof" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
WORKDIR /

FROM runtime AS agent
LABEL org.opencontainers.image.title="nodeproof-agent" \
      org.opencontainers.image.description="Asks the processor for SEV-SNP reports and submits them as evidence"
COPY --from=agent-files /opt/nodeproof /opt/nodeproof
# uid 0, without any capability: the kernel makes /sys/kernel/config/tsm/report root's with mode 0755
# and /dev/sev-guest root's with mode 0600, and has no way to give them to another user.
USER 0:0
ENTRYPOINT ["/opt/nodeproof/bin/nodeproof-agent"]

FROM runtime AS operator
LABEL org.opencontainers.image.title="nodeproof-operator" \
      org.opencontainers.image.description="Verifies SEV-SNP evidence of Kubernetes nodes and marks those that pass"
COPY --from=operator-files /opt/nodeproof /opt/nodeproof
# The number that deploy/ names as well; the kubelet can check runAsNonRoot only on a number.
USER 65532:65532
EXPOSE 8443 9090
ENTRYPOINT ["/opt/nodeproof/bin/nodeproof-operator"]
