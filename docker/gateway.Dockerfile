# The gateway: HTTP, decoding, the embedded encoder and the client of Triton. No torch; bundles are mounted.
# Build from the root of the repository:  docker build -f docker/gateway.Dockerfile -t duoact-gateway .
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python3 -m venv /opt/duoact
COPY pyproject.toml README.md ./
# Dependencies have a layer of their own: a change of the code does not install them again.
ARG EXTRAS="triton redis"
RUN python3 -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        extras = p['optional-dependencies']; \
        print(*p['dependencies'], *(each for name in sys.argv[1:] for each in extras.get(name, ())), sep='\n')" \
        ${EXTRAS} > /requirements.txt \
    && /opt/duoact/bin/pip install --no-compile -r /requirements.txt
COPY service service
RUN /opt/duoact/bin/pip install --no-compile --no-deps . \
    # What only an installation or a test of a library needs is a tenth of the image. Training is another image.
    && rm /opt/duoact/bin/duoact-train \
    && /opt/duoact/bin/pip uninstall --yes --quiet pip setuptools \
    && find /opt/duoact -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -r {} +

FROM ${BASE}
RUN groupadd --gid 10001 duoact \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin duoact \
    && install -d -o 10001 -g 10001 /var/cache/duoact
COPY --from=build /opt/duoact /opt/duoact
ENV PATH=/opt/duoact/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DUOACT_HOST=0.0.0.0 DUOACT_PORT=8000 DUOACT_BUNDLE=/bundle DUOACT_CACHE_DIR=/var/cache/duoact
# Without libseccomp the gateway would refuse to listen on 0.0.0.0: better that this build fails.
RUN python3 -c "import pyseccomp"
USER 10001:10001
WORKDIR /
VOLUME /var/cache/duoact
EXPOSE 8000
# Ready, not only alive: a known input has recently had the known answer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
    "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['DUOACT_PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["duoact"]
CMD ["serve"]
