# hilum as a service: docker build -t hilum . ; docs/deploy.md says how to run it.
FROM python:3.13-slim AS made
WORKDIR /hilum
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/hilum \
 && /opt/hilum/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve,codecs]'

FROM made AS made-node
RUN /opt/hilum/bin/pip install --no-cache-dir --constraint constraints.txt '.[dicom,serve,codecs]'

FROM python:3.13-slim AS base
# Nobody's home: what hilum keeps of bundles that it has tried goes to the one place that may be written to.
RUN useradd --no-create-home --shell /usr/sbin/nologin --uid 10001 hilum
USER 10001
ENV PATH=/opt/hilum/bin:$PATH HILUM_HOME=/tmp/hilum PYTHONDONTWRITEBYTECODE=1
STOPSIGNAL SIGTERM

# A DICOM node: docker build --target node -t hilum-node . ; docs/node.md says how to run it.
FROM base AS node
COPY --from=made-node /opt/hilum /opt/hilum
USER 0
RUN install -d -o 10001 -m 700 /spool
USER 10001
EXPOSE 11112
ENTRYPOINT ["hilum", "node"]
CMD ["/etc/hilum/NODE.toml"]

# A module of mercure's: docker build --target mercure -t hilum-mercure .
FROM node AS mercure
ENTRYPOINT ["hilum", "node", "mercure"]
CMD []

FROM base
COPY --from=made /opt/hilum /opt/hilum
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["hilum", "serve", "--host", "0.0.0.0", "--behind-proxy"]
