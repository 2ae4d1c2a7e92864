# syntax=docker/dockerfile:1
# One image for all processes; each gets its command, its secrets and its database user from outside:
#
#   api                node api/server.ts
#   worker             node worker.ts runner | vault | projection
#   migrations (a job) node commands/missions.ts migrate && node commands/missions.ts setup
#
# A tag moves. For builds that can be repeated pass a digest: --build-arg NODE_IMAGE=node:24-slim@sha256:...
# (`docker buildx imagetools inspect node:24-slim` shows it).
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
ARG YARN="npx --yes @yarnpkg/cli-dist@4.18.1"
WORKDIR /app
COPY package.json yarn.lock .yarnrc.yml ./
# Fails if the lock file does not fit package.json.
RUN ${YARN} install --immutable
COPY . .
# Production never bundles: workers take the workflow code that was bundled here. Then development's packages go.
RUN ${YARN} build:workflows && ${YARN} workspaces focus --production

FROM ${NODE_IMAGE}
# The worker's gRPC core reads the system's certificates; the slim image has none.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Owned by root: the process cannot change its own code.
COPY --from=build /app /app
ENV NODE_ENV=production HOST=0.0.0.0 WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js
USER node
EXPOSE 3565 3566 3567 3568 3569
STOPSIGNAL SIGTERM
CMD ["node", "api/server.ts"]
