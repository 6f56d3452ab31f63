# A stand-in for MongoDB, where its official image can't be had. Its classes are built before, with Maven.
ARG BASE=node:24-slim
FROM ${BASE}
# Slim images have no folder for manuals, and Java's package asks for it.
RUN mkdir -p /usr/share/man/man1 \
  && apt-get -qq update \
  && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends default-jre-headless >/dev/null \
  && rm -rf /var/lib/apt/lists/*
COPY . /opt/mongo-stand-in
USER 1000:1000
CMD ["java", "-cp", "/opt/mongo-stand-in/mongo-stand-in.jar:/opt/mongo-stand-in/lib/*", "causeway.standin.StandIn"]
