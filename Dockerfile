# The operator's image: docker build -t keywright:0.1.0 .
# tests/test_image.py plays the first stage without a container.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock image.lock pyproject.toml README.md LICENSE ./
COPY operator operator
COPY crds crds
COPY manifests manifests
COPY examples examples
# What builds it is locked too, and stays behind.
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .
RUN python -m venv /keywright \
 && /keywright/bin/pip install --no-cache-dir --require-hashes -r image.lock \
 && /keywright/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim
COPY --from=build /keywright /keywright
USER 65532:65532
# Times are written in UTC, whatever the node's zone is.
ENV TZ=UTC PYTHONUNBUFFERED=1
ENTRYPOINT ["/keywright/bin/keywright"]
