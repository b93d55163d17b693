# TorchServe without a model: a bundle is mounted at /bundle when it starts. In the project's folder:
#   docker build --file infra/docker/torchserve.Dockerfile --tag okkhor-torchserve .
#   docker run --rm --publish 127.0.0.1:8080:8080 --volume "$PWD/runs/NAME/TIME/bundle:/bundle:ro" okkhor-torchserve --workers 2
# Pinned by its version and not by a digest, so that a new build gets Debian's security fixes
FROM python:3.11.16-slim-bookworm

# A JDK rather than a JRE: serve/torchserve/mended is compiled when the server starts. Slim images may lack the folder of
# manuals, without which the package cannot be set up
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && apt-get install --yes --no-install-recommends "openjdk-17-jdk-headless=17.*" \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /okkhor
COPY constraints.txt infra/docker/torchserve.txt ./
# TorchServe's workers import PyTorch whatever the format: the build without CUDA, from an index that gives nothing else
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --no-cache-dir --constraint constraints.txt --requirement torchserve.txt

# Archive, settings, logs and tokens; what comes with the image belongs to root and stays as it is
RUN useradd --no-log-init --uid 10001 --no-create-home okkhor \
    && install --directory --owner okkhor --mode 700 /serve
COPY serve serve
COPY src src
ENV PYTHONPATH=/okkhor/src PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OKKHOR_SERVE_DIR=/serve
USER 10001
EXPOSE 8080
# A worker that is ready, which /ping does not tell
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "serve/models.py", "ready"]
ENTRYPOINT ["python", "serve/start.py", "--foreground", "--host", "0.0.0.0", "--bundle", "/bundle"]
