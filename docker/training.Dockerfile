# Training, evaluation and export. Data, weights and runs are mounted; the container keeps nothing.
# Build from the root of the repository:  docker build -f docker/training.Dockerfile -t duoact-training .
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# The wheels of the default index bring CUDA; https://download.pytorch.org/whl/cpu brings none.
ARG TORCH_INDEX=https://pypi.org/simple
# That which the tests run with.
ARG TORCH=2.13.0
WORKDIR /source
RUN python3 -m venv /opt/duoact
COPY pyproject.toml README.md ./
RUN python3 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*p['dependencies'], *p['optional-dependencies']['train'], sep='\n')" > /requirements.txt \
    # torch comes first and alone, so that nothing else can pull a build for other hardware.
    && /opt/duoact/bin/pip install --no-compile --index-url "${TORCH_INDEX}" "torch==${TORCH}" \
    && /opt/duoact/bin/pip install --no-compile -r /requirements.txt
COPY service service
COPY training training
RUN /opt/duoact/bin/pip install --no-compile --no-deps .

FROM ${BASE}
RUN groupadd --gid 10001 duoact \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /work --shell /usr/sbin/nologin duoact \
    && install -d -o 10001 -g 10001 /work
COPY --from=build /opt/duoact /opt/duoact
# What libraries would keep in a home lands in memory or in the mounted folder.
ENV PATH=/opt/duoact/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HF_HOME=/work/.cache/huggingface MPLCONFIGDIR=/tmp/matplotlib \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /work
VOLUME /work
ENTRYPOINT ["duoact-train"]
CMD ["--help"]
