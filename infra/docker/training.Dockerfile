# Training jobs of launcher=sagemaker, with NVIDIA's apex. In the project's folder, then pushed as docs/sagemaker.md says:
#   docker build --file infra/docker/training.Dockerfile --tag okkhor-training .
# The source is not in it, each job brings its own: launcher.image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/okkhor-training:1
# Pinned by its version and not by a digest, so that a new build gets Debian's security fixes
FROM python:3.11.16-bookworm AS apex

# The compiler of the CUDA that PyTorch was built with, which apex insists on; PyTorch itself brings no headers
ADD https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb /tmp/keyring.deb
RUN dpkg --install /tmp/keyring.deb \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        "cuda-libraries-dev-13-0=13.0.*" "cuda-minimal-build-13-0=13.0.*" "ninja-build=1.11.*" \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /apex
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt torch setuptools wheel packaging
# Its tags lag behind PyTorch's: name a commit here for a build that can be repeated
ARG APEX_REVISION=master
# g4dn, p4d, g5, g6, p5; what is newer compiles for itself when it is first used
ENV CUDA_HOME=/usr/local/cuda-13.0 TORCH_CUDA_ARCH_LIST="7.5;8.0;8.6;8.9;9.0+PTX" MAX_JOBS=4
RUN git init --quiet source \
    && git -C source fetch --quiet --depth 1 https://github.com/NVIDIA/apex "$APEX_REVISION" \
    && git -C source checkout --quiet FETCH_HEAD \
    && APEX_CPP_EXT=1 APEX_CUDA_EXT=1 pip wheel --no-build-isolation --no-deps --wheel-dir wheels ./source

FROM python:3.11.16-slim-bookworm

# torch.compile calls a compiler
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "g++=4:12.*" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/okkhor
COPY constraints.txt infra/docker/training.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt --requirement training.txt
COPY --from=apex /apex/wheels wheels
RUN pip install --no-cache-dir --no-deps --no-index wheels/*.whl

# The driver comes from the machine, where the image asks for it
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NO_ALBUMENTATIONS_UPDATE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Root, as SageMaker's folders below /opt/ml are; the job says what is run
CMD ["python"]
