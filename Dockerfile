# hilum as a service: docker build -t hilum . ; docs/deploy.md says how to run it.
FROM python:3.13-slim AS made
WORKDIR /hilum
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/hilum \
 && /opt/hilum/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve,codecs]'

FROM python:3.13-slim
COPY --from=made /opt/hilum /opt/hilum
# Nobody's home: what hilum keeps of bundles that it has tried goes to the one place that may be written to.
RUN useradd --system --no-create-home --uid 10001 hilum
USER 10001
ENV PATH=/opt/hilum/bin:$PATH HILUM_HOME=/tmp/hilum PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["hilum", "serve", "--host", "0.0.0.0", "--behind-proxy"]
