# rekey as one static file in an image with nothing else: no shell, no package
# manager, no root. Build it from a clean checkout:
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t rekey .
#
# Think before you run it like this. rekey rewrites env files and runs the reload
# commands of rekey.yaml, and this image holds no systemctl, no pm2 and no ssh. Where
# the services run on the host, run rekey on the host (deploy/rekey.service). Where
# they run in containers, build FROM this image, COPY the static program that reloads
# them, and mount the folders (not the single files: a file is replaced by renaming
# another one over it) that hold the env files.

FROM golang:1.26 AS build
WORKDIR /src
# The modules first: they change seldom, and this layer is kept until they do.
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG VERSION=unversioned
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X main.version=${VERSION}" -o /out/rekey ./cmd/rekey
# What the empty image needs besides: a folder for the state, for its owner alone.
RUN install -d -m 0700 /out/state

FROM scratch
# The authorities Slack's, PagerDuty's and Sentry's certificates are checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/rekey /usr/bin/rekey
# 65532 is the customary "nonroot". Run it as the owner of the env files instead
# where that is another user: docker run --user.
COPY --from=build --chown=65532:65532 /out/state /var/lib/rekey
USER 65532:65532
# Mount rekey.yaml here, and give each token as NAME_FILE, not as NAME: a container's
# environment is shown by "docker inspect".
ENV REKEY_CONFIG=/etc/rekey/rekey.yaml REKEY_STATE_DIR=/var/lib/rekey
# The ledger and, on SQLite, its key: without a volume they end with the container.
VOLUME /var/lib/rekey
# Socket Mode calls out; nothing calls in. So nothing is exposed, and "rekey health"
# asks inside the container.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
	CMD ["/usr/bin/rekey", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/rekey"]
CMD ["serve"]
