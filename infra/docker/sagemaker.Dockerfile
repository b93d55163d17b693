# Endpoints of scripts/deploy.py that Amazon's image is too old or too bare for: several models, or no network.
#   docker build --file infra/docker/sagemaker.Dockerfile --tag okkhor-sagemaker .
#   python scripts/deploy.py RUN --target sagemaker --image ACCOUNT.dkr.ecr.REGION.amazonaws.com/okkhor-sagemaker:1
# The same toolkit and model.tar.gz as in Amazon's image, with all that an archive asks for installed; for CPUs.
# Pinned by its version and not by a digest, so that a new build gets Debian's security fixes
FROM python:3.11.16-slim-bookworm

# What SageMaker looks for before it puts several models into one container, and gives it another port
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true

# Slim images may lack the folder of manuals, without which Java cannot be set up
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && apt-get install --yes --no-install-recommends "openjdk-17-jre-headless=17.*" \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /home/model-server
COPY constraints.txt infra/docker/sagemaker.txt ./
# The build without CUDA, from an index that gives nothing else
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && pip install --no-cache-dir --constraint constraints.txt --requirement sagemaker.txt

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=1
EXPOSE 8080
# Root, as SageMaker's folders below /opt/ml are. SageMaker adds the word "serve", which needs no reading
ENTRYPOINT ["python", "-c", "from sagemaker_pytorch_serving_container.serving import main; main()"]
