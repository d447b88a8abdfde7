# Build: docker build -t flink-health-exporter .
# The same bits again, from the same commit (BuildKit):
#   SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build --build-arg SOURCE_DATE_EPOCH \
#     --build-arg REVISION=$(git rev-parse HEAD) --output type=image,name=flink-health-exporter,rewrite-timestamp=true .

# The digest is that of the index of all platforms.
ARG PYTHON=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PATH=/build/tools/bin:$PATH
WORKDIR /build
# What is built with, and what is built against, change less often than what is built.
COPY config/requirements-build.lock config/requirements.lock ./
RUN python -m venv tools && python -m venv --without-pip /opt/venv && \
    pip install --require-hashes --only-binary :all: -r requirements-build.lock && \
    pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-compile -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# The time of the files in the wheel; a constant of hatchling where it is not given.
ARG SOURCE_DATE_EPOCH
# Bytecode that is checked neither by time nor by hash: nobody can change the source beside it.
RUN pip wheel --no-build-isolation --no-deps --wheel-dir dist . && \
    pip --python /opt/venv/bin/python install --no-deps --no-index --no-compile dist/*.whl && \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${PYTHON}
ARG REVISION=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="flink-health-exporter" \
      org.opencontainers.image.description="Prometheus exporter of derived Apache Flink health: which job is ill, and why" \
      org.opencontainers.image.source="https://github.com/flink-health-exporter/flink-health-exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can tell that it is not root. Nothing is written, and there is no home.
USER 65532:65532
WORKDIR /
EXPOSE 9449
# Alive, not ready: a Flink that does not answer is no reason to restart the exporter. Another --web.listen-address needs
# another check.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9449/-/healthy', timeout=4)"]
ENTRYPOINT ["flink-health-exporter"]
