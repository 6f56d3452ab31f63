# The broker, where its official image can't be had. The program is built before, from its Go module.
FROM scratch
COPY nats-server /usr/local/bin/nats-server
ENV PATH=/usr/local/bin
USER 1000:1000
CMD ["nats-server"]
