# The broker. Build from the root of the repository:
#   docker build --file deploy/broker.Dockerfile --tag token-broker .
# Run with the configuration mounted; nothing is written, so the file system may be read-only:
#   docker run --read-only --mount type=bind,src=/etc/token-broker,dst=/etc/token-broker,readonly token-broker

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.base.json ./
COPY libs libs
COPY services services
# The lock names every workspace, so each manifest must be there.
COPY deploy/local/package.json deploy/local/
COPY test/package.json test/
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN npx tsc -b services/broker && node services/bundle.mjs broker
# What production needs, from the same lock. npm follows the development dependencies of a chosen workspace even with
# --omit=dev where another workspace needs them in production (245 packages instead of 42), so they are taken out first.
RUN rm -rf node_modules \
  && npm pkg delete devDependencies --workspaces \
  && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --workspace services/broker \
  && rm -rf libs/*/src services/*/src

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/libs/foundation libs/foundation
COPY --from=build /app/libs/protocol libs/protocol
COPY --from=build /app/libs/configuration libs/configuration
COPY --from=build /app/libs/provider libs/provider
COPY --from=build /app/services/broker services/broker

USER node
EXPOSE 9464
STOPSIGNAL SIGTERM
# `http.listen` of the configuration decides the port; set HEALTH_URL where it is another one.
ENV HEALTH_URL=http://127.0.0.1:9464/livez
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/services/broker/bin/token-broker.js"]
CMD ["--config", "/etc/token-broker/broker.yaml"]
