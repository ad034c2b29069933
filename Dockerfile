# The same executable that `python3 build.py` makes, unpacked once while the image is built. tests/test_build.py reads
# this file and holds it to the code.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python3 build.py

FROM python:3.11-slim-bookworm
COPY --from=build /source/dist/vemetric.pyz /usr/local/bin/vemetric
# Unpacked as root and read-only for the server; compiled, so that no start has to do it again.
ENV SHIV_ROOT=/opt/vemetric
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin vemetric \
    && install --directory --owner vemetric --group vemetric --mode 0700 /data \
    && vemetric config > /dev/null \
    && python3 -m compileall -q /opt/vemetric \
    && chmod 0755 /opt/vemetric \
    && rm -rf /data/* ./vemetric-data
USER vemetric
WORKDIR /data
ENV VEMETRIC_DATA_DIR=/data
VOLUME /data
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["vemetric", "healthcheck"]
ENTRYPOINT ["vemetric"]
CMD ["serve"]
