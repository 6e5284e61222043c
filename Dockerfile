# One static file and nothing else: no shell, no libraries, nobody but an unprivileged user. See docs/install.md.
#   docker build -t jivchat .
#   docker run -d -p 3010:3010 -v jivchat:/data jivchat
FROM rust:1.95-bookworm AS build
# The crypto library is C.
RUN apt-get update && apt-get install -y --no-install-recommends musl-tools && rm -rf /var/lib/apt/lists/*
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
RUN mkdir -p /out/data && cp "$(packaging/build "$(uname -m)-unknown-linux-musl")" /out/

FROM scratch
COPY --from=build /out/jivchat /jivchat
# Whoever mounts nothing here gets a volume that belongs to the user below.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
EXPOSE 3010
# As PID 1 it is told to stop with SIGTERM, drains, and needs at most --shutdown-grace (10 s) and a little.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 CMD ["/jivchat", "healthcheck"]
# What comes behind the image's name are flags of `serve`.
ENTRYPOINT ["/jivchat", "serve", "--host", "0.0.0.0", "--data-dir", "/data"]
CMD ["--log-format", "json"]
