# The demo on a CPU, as an unprivileged user: docker build -t mobilesam .
FROM python:3.12-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

RUN useradd --uid 1000 --create-home demo && install --directory --owner demo /cache
WORKDIR /app

# From wheels alone, so that no compiler is needed. Torch and torchvision come first and together: else pip would take
# the CUDA build, which is 5 GB larger.
COPY requirements*.txt ./
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --only-binary :all: -c requirements.txt --index-url "$TORCH_INDEX" "torch==2.14.*" "torchvision==0.29.*"
ARG EXTRAS="heic mcp metrics redis"
RUN pip install --only-binary :all: -r requirements.txt $(printf -- "-r requirements-%s.txt " $EXTRAS)

COPY LICENSE app.py ./
COPY weights weights
COPY examples examples
COPY mobilesam mobilesam
RUN python -m compileall -q mobilesam

# The official weights are downloaded into /cache once, and a volume keeps them.
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HOME=/cache
VOLUME /cache
EXPOSE 7860
USER 1000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["python", "app.py"]
