# docker build -t mqfast .
# docker run -p 127.0.0.1:6789:6789 -p 127.0.0.1:6790:6790 -v mqfast:/data -e AUTH_TOKENS=... mqfast
#
# Without AUTH_TOKENS or TOKENS_FILE whoever reaches the ports may do everything: publish them with care.

FROM node:22-slim AS dashboard
WORKDIR /src/mqfast/http/ui
COPY mqfast/http/ui/package.json mqfast/http/ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY mqfast/http/ui ./
RUN node build.mjs

FROM python:3.13-slim-bookworm AS wheel
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . ./
COPY --from=dashboard /src/mqfast/http/static mqfast/http/static
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim-bookworm
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels mqfast \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mqfast \
    && install -d -o mqfast -g mqfast -m 0700 /data
ENV HOST=0.0.0.0 HTTP=1 HTTP_HOST=0.0.0.0 PERSIST=/data PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 6789 6790
STOPSIGNAL SIGTERM
# Of HTTP without TLS; with TLS_CERT give one of your own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('HTTP_PORT', '6790') + '/health', timeout=4)"]
ENTRYPOINT ["mqfast"]
CMD ["serve"]
