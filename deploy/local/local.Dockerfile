# For docker-compose.yml only: the development OpenID provider, the sample services, tokenctl, and the one-shot set-up.

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.base.json ./
COPY libs libs
COPY services services
COPY deploy/local deploy/local
COPY test/package.json test/
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN npx tsc -b deploy/local
RUN rm -rf node_modules \
  && npm pkg delete devDependencies --workspaces \
  && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --workspace deploy/local \
  && rm -rf libs/*/src services/*/src deploy/local/src

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/libs libs
COPY --from=build /app/services services
COPY --from=build /app/deploy/local deploy/local

USER node
STOPSIGNAL SIGTERM
ENTRYPOINT ["node"]
CMD ["/app/services/tokenctl/dist/main.js", "--help"]
